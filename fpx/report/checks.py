"""What a user asks of every row of a report: conditions, and which rows fail them.

How conditions, exceptions to them and an older report work together is in `fpx.report.gates.gate`.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Generic, Protocol, TypeVar

from fpx.errors import InputError
from fpx.report.base import JsonValue, to_json
from fpx.report.metrics import METRICS
from fpx.report.verdicts import Judgement, Outcome, Verdict
from fpx.words import did_you_mean, listed, quoted


class CheckedRow(Protocol):
    """A row that checks look at."""

    @property
    def title(self) -> str:
        """Which row it is, on one line: `model.pt weight -> float16`."""

    def identity(self) -> dict[str, JsonValue]:
        """The keys of its JSON entry that tell which row it is."""


class MeasuredRow(CheckedRow, Protocol):
    """A row with metrics, and what they mean."""

    @property
    def metrics(self) -> Mapping[str, int | float | None]:
        """The name of each of METRICS -> its value; None where it was not measured."""

    @property
    def outcome(self) -> Outcome:
        """What the cast did, in a word."""

    @property
    def judgement(self) -> Judgement:
        """The verdict, and what decided it."""

    def share(self, metric: str) -> float:
        """A count as a share of all elements, 0 to 1."""


Row = TypeVar("Row", bound=CheckedRow)
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
class Failure(Generic[Row]):
    """A row that fails a check.

    Attributes:
        row, check: which row, and which check.
        value: what the check looked at.
        old: that in the baseline; None without one.
    """

    row: Row
    check: Check[Row]
    value: JsonValue
    old: JsonValue = None

    @property
    def text(self) -> str:
        """The failure on one line."""
        if not isinstance(self.old, (int, float, str)):
            return f"{self.row.title}: {self.reason}"
        unit = "%" if self.check.text.endswith("%") else ""  # of a condition on a share
        return f"{self.row.title}: {self.reason}; it was {number(self.old)}{unit}"

    @property
    def reason(self) -> str:
        """Why the row fails."""
        return self.check.reason(self.row)

    def to_dict(self) -> dict[str, JsonValue]:
        """Its entry in the JSON document's `failures`."""
        return {
            **self.row.identity(),
            "check": self.check.text,
            "value": to_json(self.value),
            "baseline_value": to_json(self.old),
            "reason": self.reason,
        }


def failures(rows: Sequence[Row], checks: Iterable[Check[Row]]) -> list[Failure[Row]]:
    """The failures of some checks, in the order of the checks, then of the rows."""
    return [
        Failure(row, check, check.value(row))
        for check in checks
        for row in rows
        if check.fails(row)
    ]


def gate(checks: Iterable[Check[Row]], failed: Iterable[Failure[Row]]) -> dict[str, JsonValue]:
    """What the JSON document says of checks: `checks` and `failures`."""
    return {
        "checks": [check.to_dict() for check in checks],
        "failures": [failure.to_dict() for failure in failed],
    }


# -- conditions ------------------------------------------------------------------------------------


COMPARISONS = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
}


_WORDS: Mapping[str, type[Enum]] = {"verdict": Verdict, "outcome": Outcome}
"""What is compared with words, and with which."""


SUBJECTS: tuple[str, ...] = (*METRICS, *_WORDS)
"""Whatever a condition may be about."""


_NOTHING_LOST = (Outcome.EXACT, Outcome.EMPTY)
_OF_NONE = ("min_abs", "headroom_binades", "underflow_rate")  # undefined where all x are zero


def measured(row: MeasuredRow, metric: str) -> int | float | None:
    """A metric of a row. None if it was not measured, NaN if it is undefined.

    Where nothing was lost (no finite element, or every one exact), or there is nothing that it
    could be of, what is undefined is taken as for a cast without error: 0, or infinity of what had
    better be large.
    """
    value = row.metrics.get(metric)
    if value is None or not math.isnan(value):
        return value
    if row.outcome in _NOTHING_LOST or metric in _OF_NONE:
        return math.inf if METRICS[metric].worse < 0 or metric == "min_abs" else 0.0
    return value


@dataclass(frozen=True)
class Condition:
    """A condition on a row: `overflow_count>0`, `underflow_count>1%`, `verdict!=fits`.

    As a check it is one of failure: a row that meets it fails.

    Attributes:
        metric: the name of one of METRICS, `verdict` or `outcome`.
        comparison: `>`, `>=`, `<`, `<=`, `==` or `!=`; of words, one of the last two.
        limit: what the metric is compared with; in percent if `percent`.
        percent: whether a count is taken as a percentage of all elements.
        text: the condition as it was written.
    """

    metric: str
    comparison: str
    limit: float | str
    percent: bool
    text: str

    def value(self, row: MeasuredRow) -> int | float | str | None:
        """What is compared with the limit: a word, a count's percentage, else as of `measured`."""
        if self.metric == "verdict":
            return row.judgement.verdict.value
        if self.metric == "outcome":
            return row.outcome.value
        value = measured(row, self.metric)
        return 100 * row.share(self.metric) if self.percent and value is not None else value

    def holds(self, row: MeasuredRow) -> bool | None:
        """Whether it holds; None where its metric was not measured, or is undefined."""
        value = self.value(row)
        if value is None or value != value:
            return None
        return bool(COMPARISONS[self.comparison](value, self.limit))

    def fails(self, row: MeasuredRow) -> bool:
        """Whether the row meets it. What is undefined counts as bad: no gate passes for that.

        Of what was not measured nothing can be said: `fpx.report.gates.gate` tells of it.
        """
        return self.holds(row) is not False and self.value(row) is not None

    def reason(self, row: MeasuredRow) -> str:
        """`overflow_count>0 holds (overflow_count is 28)`."""
        if self.holds(row) is None:
            return f"{self.text} counts as met: {self.found(row)}"
        return f"{self.text} holds ({self.found(row)})"

    def found(self, row: MeasuredRow) -> str:
        """What the row has of its metric: `overflow_count is 28`."""
        value = self.value(row)
        if self.metric == "verdict":
            why = row.judgement
            by = f": {why.decided_by} is {number(why.value)}" if why.decided_by else ""
            return f"verdict is {value}{by}"
        if isinstance(value, str):
            return f"{self.metric} is {value}"
        if value is None:
            return f"{self.metric} was not measured"
        if value != value:
            return f"{self.metric} is undefined, the outcome is {row.outcome.value}"
        if self.percent:
            return f"{self.metric} is {row.metrics[self.metric]}, {value:.4g}%"
        return f"{self.metric} is {number(value)}"

    def to_dict(self) -> dict[str, JsonValue]:
        """Its parts."""
        return {
            "check": self.text,
            "metric": self.metric,
            "comparison": self.comparison,
            "limit": to_json(self.limit),
            "percent": self.percent,
        }


@dataclass(frozen=True)
class Requirement:
    """The check that a condition holds: of what is undefined or was not measured, it does not.

    Attributes:
        condition: what must hold.
    """

    condition: Condition

    @property
    def text(self) -> str:
        """The condition."""
        return self.condition.text

    def value(self, row: MeasuredRow) -> int | float | str | None:
        """As of the condition."""
        return self.condition.value(row)

    def fails(self, row: MeasuredRow) -> bool:
        """Whether the condition does not hold, or cannot be said to."""
        return self.condition.holds(row) is not True

    def reason(self, row: MeasuredRow) -> str:
        """`overflow_count==0 does not hold (overflow_count is 28)`."""
        return f"{self.text} does not hold ({self.condition.found(row)})"

    def to_dict(self) -> dict[str, JsonValue]:
        """As of the condition."""
        return self.condition.to_dict()


def number(value: float | str | None) -> str:
    """A metric on a line: counts whole, measurements with six digits."""
    return f"{value:.6g}" if isinstance(value, float) else str(value)


# -- read ------------------------------------------------------------------------------------------


_CONDITION = re.compile(r"\s*([^<>=!~&|]*?)\s*([<>=!~]+)\s*(.*?)\s*", re.DOTALL)
_NUMBER = re.compile(
    r"([+-]?(?:(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:e[+-]?[0-9]+)?|inf))\s*(%?)", re.IGNORECASE
)
_MISTYPED = {"=": "==", "===": "==", "=>": ">=", "=<": "<=", "<>": "!=", "!": "!=", "!==": "!="}
_ENDS = ("_count", "_db", "_rate")  # ends that people leave out


def parse_condition(text: str) -> Condition:
    """The condition that a text means: `METRIC OPERATOR NUMBER[%]`, or `verdict != fits`.

    Raises:
        InputError: not of that form; no such metric, operator or verdict; counts alone take a
            percentage.
    """
    match = _CONDITION.fullmatch(text)
    if match is None or not (match[1] and match[3]):
        raise InputError(
            f"{quoted(text)} is no condition: write METRIC OPERATOR VALUE, as in "
            "'overflow_count>0', 'underflow_count>1%', 'sqnr_db<50' or 'verdict!=fits'"
        )
    subject, comparison, value = match.groups()
    if subject not in SUBJECTS:
        raise InputError(f"{quoted(subject)} is no metric{_meant(subject)}")
    if comparison not in COMPARISONS:
        near = _MISTYPED.get(comparison)
        hint = f"; did you mean {quoted(near)}?" if near else f": use one of {listed(COMPARISONS)}"
        raise InputError(f"{quoted(comparison)} in {quoted(text)} is no operator{hint}")
    if subject in _WORDS:
        if comparison not in ("==", "!="):
            raise InputError(
                f"{quoted(text)}: a word has no order, write {subject}==… or {subject}!=…"
            )
        word = _word(subject, value)
        return Condition(subject, comparison, word, percent=False, text=text.strip())
    found = _NUMBER.fullmatch(value)
    if found is None:
        raise InputError(f"{quoted(value)} in {quoted(text)} is not a number")
    if found[2] and not METRICS[subject].is_count:
        raise InputError(
            f"{quoted(text)}: only counts take a percentage, {subject} does not"
            + (": write 1% as 0.01" if subject.endswith("_rate") else "")
        )
    return Condition(subject, comparison, float(found[1]), bool(found[2]), text.strip())


def _meant(name: str) -> str:
    """What may have been meant by a name that is no metric: the end of a message."""
    plain = re.sub(r"[\s-]+", "_", name.lower())
    whole = next((plain + end for end in ("", *_ENDS) if plain + end in SUBJECTS), plain)
    return did_you_mean(whole, SUBJECTS) or f": use one of {listed(SUBJECTS, 60)}"


def _word(subject: str, text: str) -> str:
    """The verdict or outcome that a text names: with a space, `_` or `-`, quoted or not.

    Raises:
        InputError: there is none.
    """
    bare = text[1:-1] if text[0] in "'\"" and text[-1] == text[0] and len(text) > 1 else text
    plain = re.sub(r"[\s_-]+", " ", bare.strip().lower())
    words = [str(member.value) for member in _WORDS[subject]]
    if plain in words:
        return plain
    hint = did_you_mean(plain, words) or f": use one of {listed(words)}"
    raise InputError(f"{quoted(bare)} is no {subject}{hint}")
