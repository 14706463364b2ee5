"""The gate of a report: its conditions, exceptions to them and an older report, all told."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from fpx.report.base import JsonValue
from fpx.report.checks import Check, Condition, Failure, gate, parse_condition
from fpx.report.gates.baseline import Comparison, NotWorse
from fpx.report.gates.changes import OldCast, excuses
from fpx.report.gates.exemptions import Exemption, TensorRow, exemption_of

_Cast = TypeVar("_Cast", bound=TensorRow)


@dataclass(frozen=True)
class Gate:
    """What is asked of the casts of tensors.

    Attributes:
        checks: of every cast; one fails that fails one of them. With a baseline and without checks,
            a cast fails that got worse, or is new and does not fit.
        exemptions: tensors of which something else is asked.
        baseline: an older report: what failed there, no less, does not fail.
    """

    checks: tuple[Check[Any], ...] = ()
    exemptions: tuple[Exemption, ...] = ()
    baseline: Comparison | None = None

    @property
    def asks(self) -> bool:
        """Whether anything is asked at all."""
        return bool(self.checks or self.exemptions or self.baseline is not None)

    def failures(self, rows: Sequence[_Cast]) -> list[Failure[_Cast]]:
        """The failures, in the order of the checks, then of the rows."""
        return [
            found
            for check, row in self._asked(rows)
            if check.fails(row) and (found := self._failure(check, row)) is not None
        ]

    def _failure(self, check: Check[Any], row: _Cast) -> Failure[_Cast] | None:
        """The failure of a check; None where the baseline excuses it."""
        if isinstance(check, NotWorse):
            return check.failure(row)
        old = None if self.baseline is None else self.baseline.old_row(row)
        if not isinstance(check, Condition) or not isinstance(old, OldCast):
            return Failure(row, check, check.value(row))
        if excuses(check, old, row):
            return None
        return Failure(row, check, check.value(row), check.value(old))

    def unchecked(self, rows: Sequence[TensorRow]) -> list[str]:
        """A line for each condition on what was not measured, and one if there are no rows."""
        if not rows and (self.checks or self.baseline is not None):
            return ["nothing was checked: no tensor was cast"]
        lacks: dict[str, list[bool]] = {}
        for check, row in self._asked(rows):
            if isinstance(check, Condition):
                lacks.setdefault(check.text, []).append(check.value(row) is None)
        return [
            f"{text}: not checked, as it was measured in "
            + ("no row" if all(each) else f"{each.count(False):,} of {len(each):,} rows")
            for text, each in lacks.items()
            if any(each)
        ]

    def notes(self, rows: Sequence[TensorRow]) -> list[str]:
        """A line for each exception, and what there is to say of the baseline."""
        lines = []
        for item, count in zip(self.exemptions, self._counts(rows), strict=True):
            if count:
                rule = f"an exception holds for {count:,} of {len(rows):,} rows"
            else:
                rule = "an exception matches no tensor"
            lines.append(f"{rule}: {item.text}")
        return lines + ([] if self.baseline is None else self.baseline.lines())

    def to_dict(self, rows: Sequence[TensorRow]) -> dict[str, JsonValue]:
        """What the JSON document says of it: checks, exceptions, baseline and failures."""
        return {
            **gate(self.checks, self.failures(rows)),
            "exceptions": [
                {**item.to_dict(), "rows": count}
                for item, count in zip(self.exemptions, self._counts(rows), strict=True)
            ],
            "baseline": None if self.baseline is None else self.baseline.to_dict(),
            "unchecked": self.unchecked(rows),
        }

    def _asked(self, rows: Sequence[_Cast]) -> Iterator[tuple[Check[Any], _Cast]]:
        """Every check, with every row of which it is asked."""
        general = self.checks
        if self.baseline is not None and not general:
            general = (NotWorse(self.baseline, parse_condition("verdict!=fits")),)
        exempt = [exemption_of(row, self.exemptions) for row in rows]
        for checks, whose in (
            (general, None),
            *((item.conditions, item) for item in self.exemptions),
        ):
            for check in checks:
                for row, item in zip(rows, exempt, strict=True):
                    if item is whose:
                        yield check, row

    def _counts(self, rows: Sequence[TensorRow]) -> list[int]:
        """How many rows each exception is for."""
        exempt = [exemption_of(row, self.exemptions) for row in rows]
        return [sum(item is one for item in exempt) for one in self.exemptions]
