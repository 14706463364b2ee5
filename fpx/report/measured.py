"""What reports on measured tensors have in common: rows, and what produced them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fpx.report.base import JsonValue, Report
from fpx.report.environment import Environment


class MeasuredReport(Report):
    """A report of rows, which tell themselves what they are in JSON.

    Attributes:
        rows: its rows.
        details: what produced them.
    """

    rows: Sequence[Any]
    details: Environment

    def parts(self) -> Sequence[Any]:
        """The rows."""
        return self.rows

    def results(self) -> list[dict[str, JsonValue]]:
        """One entry per row."""
        return [row.to_dict() for row in self.rows]

    def environment(self) -> dict[str, JsonValue]:
        """What produced the numbers."""
        return self.details.to_dict()
