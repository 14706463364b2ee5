"""What got better or worse of step-compare's rows since an older report.

Which way a number gets worse, the rows say; counts and shares are compared exactly, measured
numbers as of `changes`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from fpx.report.gates.changes import RELATIVE, Change, Entry, OldRow, damaged, direction
from fpx.report.limits import Limit
from fpx.report.step_rows import ROWS, Motion, StateRow, StepRow, Survival, decimal
from fpx.words import escape

_KINDS: Mapping[str, type[StepRow]] = {row.kind: row for row in ROWS}
_MEASURED = ("max_update", "expected_moved_count")  # in float64; all other numbers are exact


@dataclass(frozen=True)
class OldStep(OldRow):
    """A row of an older step-compare: what conditions look at.

    Attributes:
        verdict: what it came to.
    """

    verdict: Motion | Survival

    @property
    def title(self) -> str:
        """Which row it is, in a line."""
        of = self.own
        what = ": state" if of["kind"] == StateRow.kind else ""
        return escape(f"{of['source']} {of['tensor']}{what} -> {of['to']}")

    def numbers(self) -> Mapping[str, Fraction]:
        """As of `StepRow`; a number that is newer than the report is not there."""
        kind = _KINDS[self.own["kind"]]
        found = {name: self.entry.get(name) for name in kind.measured}
        found |= {flag: self.verdict.value == flag.replace("_", " ") for flag in kind.flags}
        return {name: decimal(value) for name, value in found.items() if value is not None}


def step_row(entry: Entry, own: Mapping[str, str]) -> OldStep:
    """A row of the baseline.

    Raises:
        InputError: it is damaged.
    """
    kind = _KINDS.get(own["kind"])
    if kind is None:
        raise damaged("kind", own["kind"])
    for name in kind.measured:
        value = entry.get(name)
        if value is not None and not (isinstance(value, (int, float)) and math.isfinite(value)):
            raise damaged(name, value)
    try:
        verdict = kind.verdicts(entry.get("verdict"))
    except ValueError:
        raise damaged("verdict", entry.get("verdict")) from None
    return OldStep("step-compare", entry, own, verdict)


def step_changes(old: OldStep, new: Any) -> Iterator[Change]:
    """The verdict, and every number that has a worse direction; of a share, its count tells."""
    before, after = old.verdict, new.verdict
    if before is not after:
        order = tuple(new.verdicts)
        worse = order.index(after) > order.index(before)
        yield Change("verdict", before.value, after.value, worse)
    for name, way in new.measured.items():
        was, now = old.entry.get(name), getattr(new, name)
        if not way or name.endswith("_rate") or was is None or now is None:
            continue
        if _differ(name, decimal(was), decimal(now)):
            yield Change(name, was, now, (now > was) == (way > 0))


def excuses_limit(limit: Limit, old: OldStep, new: StepRow) -> bool:
    """Whether a condition of failure held in the baseline too, with an equal or a worse value.

    Both rows have the number that it is about.
    """
    if not limit.fails(old):
        return False
    was, now = old.numbers()[limit.name], new.numbers()[limit.name]
    if now is None:
        return False
    if not _differ(limit.name, Fraction(was), Fraction(now)):
        return True
    worse = direction(limit.comparison, new.measured.get(limit.name, 1))  # a flag had better not be
    return worse != 0 and (now < was) == (worse > 0)


def _differ(name: str, old: Fraction, new: Fraction) -> bool:
    """Whether two numbers of a name differ by more than what is tolerated."""
    if name in _MEASURED:
        was, now = float(old), float(new)
        return abs(was - now) > RELATIVE * max(abs(was), abs(now))
    return old != new
