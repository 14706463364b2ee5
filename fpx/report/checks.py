"""Gates: what a user asks of every row of a report, and the rows that fail.

A report keeps the checks that were asked of it; its JSON document has them and their failures, and
a command that shows it exits with 1 if there are any.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from fpx.errors import InputError
from fpx.report.base import JsonValue, to_json
from fpx.report.metrics import METRICS
from fpx.words import listed, quoted


class CheckedRow(Protocol):
    """A row that checks look at."""

    @property
    def title(self) -> str:
        """Which row it is, on one line: `model.pt weight -> float16`."""

    def identity(self) -> dict[str, JsonValue]:
        """The keys of its JSON entry that tell which row it is."""


class MeasuredRow(CheckedRow, Protocol):
    """A row with metrics."""

    @property
    def metrics(self) -> Mapping[str, int | float | None]:
        """The name of each of METRICS -> its value; None where it was not measured."""

    def share(self, metric: str) -> float:
        """A count as a share of all elements, 0 to 1."""


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


# -- conditions on metrics -------------------------------------------------------------------------


_COMPARISONS = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
}


@dataclass(frozen=True)
class Condition:
    """A failure condition such as `overflow_count>0` or `underflow_count>1%` (of all elements).

    A row that meets it fails.

    Attributes:
        metric: the name of one of METRICS.
        comparison: `>`, `>=`, `<`, `<=`, `==` or `!=`.
        limit: what the metric is compared with; in percent if `percent`.
        percent: whether the metric is taken as a percentage of all elements.
        text: the condition as it was written.
    """

    metric: str
    comparison: str
    limit: float
    percent: bool
    text: str

    def value(self, row: MeasuredRow) -> int | float | None:
        """What is compared with the limit: the metric, or its percentage."""
        value = row.metrics[self.metric]
        return 100 * row.share(self.metric) if self.percent and value is not None else value

    def fails(self, row: MeasuredRow) -> bool:
        """Whether the row meets the condition."""
        return self._meets(self.value(row))

    def _meets(self, value: int | float | None) -> bool:
        """What a condition means for a metric that was not measured is decided here: it is not met.

        Nor is it by a metric that is not a number, whose comparisons are false but for `!=`.
        """
        return value is not None and bool(_COMPARISONS[self.comparison](value, self.limit))

    def reason(self, row: MeasuredRow) -> str:
        """`overflow_count>0 holds (overflow_count is 28)`."""
        value = row.metrics[self.metric]
        shown = f"{value:.6g}" if isinstance(value, float) else str(value)
        share = f", {self.value(row):.4g}%" if self.percent else ""
        return f"{self.text} holds ({self.metric} is {shown}{share})"

    def to_dict(self) -> dict[str, JsonValue]:
        """Its parts."""
        return {
            "check": self.text,
            "metric": self.metric,
            "comparison": self.comparison,
            "limit": to_json(self.limit),
            "percent": self.percent,
        }


_CONDITION = re.compile(
    r"\s*([a-z_0-9]+)\s*(>=|<=|==|!=|>|<)\s*([+-]?[0-9.]+(?:e[+-]?[0-9]+)?)(%?)\s*"
)


def parse_condition(text: str) -> Condition:
    """The condition that `METRIC OPERATOR NUMBER[%]` means.

    Raises:
        InputError: not of that form, or no such metric; counts alone take a percentage.
    """
    match = _CONDITION.fullmatch(text)
    if match is None:
        raise InputError(
            f"{quoted(text)} is no condition: write METRIC OPERATOR NUMBER, as in "
            "'overflow_count>0', 'underflow_count>1%' or 'sqnr_db<50'"
        )
    metric, comparison, number, percent = match.groups()
    if metric not in METRICS:
        raise InputError(f"{quoted(metric)} is no metric: use one of {listed(METRICS, 40)}")
    if percent and not METRICS[metric].is_count:
        raise InputError(f"{quoted(text)}: only counts take a percentage, {metric} does not")
    try:
        limit = float(number)
    except ValueError:
        raise InputError(f"{quoted(number)} in {quoted(text)} is not a number") from None
    return Condition(metric, comparison, limit, bool(percent), text.strip())
