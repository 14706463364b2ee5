"""Gates: what a user asks of every row of a report, and the rows that fail.

A report keeps the checks that were asked of it; its JSON document has them and their failures, and
a command that shows it exits with 1 if there are any.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from fpx.report.base import JsonValue, to_json


class CheckedRow(Protocol):
    """A row that checks look at."""

    @property
    def title(self) -> str:
        """Which row it is, on one line: `model.pt weight -> float16`."""

    def identity(self) -> dict[str, JsonValue]:
        """The keys of its JSON entry that tell which row it is."""


_Row = TypeVar("_Row", bound=CheckedRow)
_AskedRow = TypeVar("_AskedRow", bound=CheckedRow, contravariant=True)


class Check(Protocol[_AskedRow]):
    """What is asked of every row. A row fails it, or passes."""

    @property
    def text(self) -> str:
        """It in the user's words."""

    def value(self, row: _AskedRow) -> JsonValue:
        """What it looks at in a row; None where that was not measured."""

    def fails(self, row: _AskedRow) -> bool:
        """Whether the row fails it."""

    def reason(self, row: _AskedRow) -> str:
        """Why a row fails it, in words that follow the row's title."""

    def to_dict(self) -> dict[str, JsonValue]:
        """Its entry in the JSON document's `checks`; `check` is its text."""


@dataclass(frozen=True)
class Failure(Generic[_Row]):
    """A row that fails a check.

    Attributes:
        row, check: which row, and which check.
        value: what the check looked at.
    """

    row: _Row
    check: Check[_Row]
    value: JsonValue

    @property
    def text(self) -> str:
        """The failure on one line."""
        return f"{self.row.title}: {self.check.reason(self.row)}"

    def to_dict(self) -> dict[str, JsonValue]:
        """Its entry in the JSON document's `failures`."""
        return {**self.row.identity(), "check": self.check.text, "value": to_json(self.value)}


def failures(rows: Sequence[_Row], checks: Iterable[Check[_Row]]) -> list[Failure[_Row]]:
    """The failures of some checks, in the order of the checks, then of the rows."""
    return [
        Failure(row, check, check.value(row))
        for check in checks
        for row in rows
        if check.fails(row)
    ]


def gate(checks: Iterable[Check[_Row]], failed: Iterable[Failure[_Row]]) -> dict[str, JsonValue]:
    """What the JSON document says of checks: `checks` and `failures`."""
    return {
        "checks": [check.to_dict() for check in checks],
        "failures": [failure.to_dict() for failure in failed],
    }
