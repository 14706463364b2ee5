"""What changed between the rows of two reports of one command: the older one's are JSON entries.

Counts are compared exactly. Of measured numbers, a difference of up to RELATIVE of the larger one,
or of decibels and binades up to LOGARITHMIC, is none.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from fpx.errors import InputError
from fpx.report.base import JsonValue
from fpx.report.checks import Condition, MeasuredRow, measured, number
from fpx.report.metrics import BLOCKS, DECIBELS, ELEMENTS, METRICS
from fpx.report.verdicts import SEVERITY, Judgement, Outcome, Verdict
from fpx.words import escape, quoted

RELATIVE = 0.01
LOGARITHMIC = 0.1

Entry = Mapping[str, Any]
"""An entry of `results`."""

Key = tuple[JsonValue, ...]
"""The values of a row's identity."""


class Change(NamedTuple):
    """Something that is not as it was.

    Attributes:
        what: a metric, a cause, or another key.
        old, new: it in the baseline, and now.
        worse: whether that is worse than it was, not better.
        kind: of a cause, what kind it is of.
    """

    what: str
    old: JsonValue
    new: JsonValue
    worse: bool
    kind: str | None = None

    @property
    def text(self) -> str:
        """`overflow_count 0 -> 64`."""
        return f"{self.what} {shown(self.old)} -> {shown(self.new)}"


def shown(value: JsonValue) -> str:
    """A value on a line."""
    return number(value) if value is None or isinstance(value, float) else str(value)


@dataclass(frozen=True)
class OldRow:
    """A row of the baseline.

    Attributes:
        command: whose row it is.
        entry: its JSON entry.
        own: its identity, with the source's name of now.
    """

    command: str
    entry: Entry
    own: Mapping[str, str]

    @property
    def title(self) -> str:
        """Which row it is, in a line."""
        of = self.own
        if self.command == "cast-verify":
            return f"{of['from']} -> {of['to']} by {of['backend']} on {of['device']}"
        name = escape(f"{of['source']} {of['tensor']}")
        return name if self.command == "inspect" else f"{name} -> {of['to']}"

    def identity(self) -> dict[str, JsonValue]:
        """The keys of its JSON entry that tell which row it is."""
        return dict(self.own)


@dataclass(frozen=True)
class OldCast(OldRow):
    """A row of an older cast-compare: what conditions look at."""

    metrics: Mapping[str, int | float | None]
    outcome: Outcome
    judgement: Judgement

    def share(self, metric: str) -> float:
        """A count as a share of all elements, 0 to 1."""
        count = self.metrics.get("count") or 0
        return (self.metrics.get(metric) or 0) / count if count else 0.0


def damaged(key: str, value: object) -> InputError:
    """The error about a key of an entry."""
    return InputError(f"{quoted(key)} is {quoted(json.dumps(value))}")


# -- cast-compare ----------------------------------------------------------------------------------


_RANKS: Mapping[str, int] = {
    **{verdict.value: rank for verdict, rank in SEVERITY.items()},
    Outcome.EMPTY.value: 0,
    Outcome.EXACT.value: 0,
    Outcome.ROUNDED.value: 1,
    Outcome.SATURATED.value: 2,
    Outcome.DESTROYED.value: 3,
}
"""How bad a verdict is, and how bad an outcome."""


def cast_row(entry: Entry, own: Mapping[str, str]) -> OldCast:
    """A cast of the baseline, with what its nulls mean."""
    words: dict[str, Any] = {}
    for name, kind in (("outcome", Outcome), ("verdict", Verdict)):
        try:
            words[name] = kind(entry.get(name))
        except ValueError:
            raise damaged(name, entry.get(name)) from None
    metrics: dict[str, int | float | None] = {}
    for name, metric in METRICS.items():
        if name not in entry:
            continue  # it is newer than that report
        value = entry[name]
        if isinstance(value, bool) or not isinstance(value, (int, float, type(None))):
            raise damaged(name, value)
        if value is None and metric.is_of_all:
            destroyed = words["outcome"] is Outcome.DESTROYED and f"surviving_{name}" in METRICS
            value = math.inf * metric.worse if destroyed else math.nan
        metrics[name] = value
    decided_by = entry.get("decided_by")
    value = metrics.get(decided_by) if isinstance(decided_by, str) else None
    judgement = Judgement(words["verdict"], decided_by if value is not None else None, value)
    return OldCast("cast-compare", entry, own, metrics, words["outcome"], judgement)


def cast_changes(old: Any, new: Any) -> Iterator[Change]:
    """The verdict, and metrics that moved."""
    before, after = old.judgement.verdict, new.judgement.verdict
    destroyed = Outcome.DESTROYED in (old.outcome, new.outcome)
    if before is not after:
        worse = SEVERITY[after] > SEVERITY[before]
        yield Change("verdict", before.value, after.value, worse)
    for name, metric in METRICS.items():
        if not metric.worse or name.endswith("_rate"):  # a count has told what its rate would
            continue
        if name.startswith("surviving_") and not destroyed:  # the same as of all
            continue
        was, now = measured(old, name), measured(new, name)
        if was is None or now is None or was != was or now != now or not differ(name, was, now):
            continue
        yield Change(name, was, now, (now > was) == (metric.worse > 0))


def differ(metric: str, old: float, new: float) -> bool:
    """Whether two numbers of a metric differ by more than what is tolerated."""
    if old == new:
        return False
    unit = METRICS[metric].unit
    if unit in (ELEMENTS, BLOCKS) or math.isinf(old) or math.isinf(new):
        return True
    if unit in (DECIBELS, "binades"):
        return abs(old - new) > LOGARITHMIC
    return abs(old - new) > RELATIVE * max(abs(old), abs(new))


def excuses(condition: Condition, old: MeasuredRow, new: MeasuredRow) -> bool:
    """Whether a condition of failure held in the baseline too, with an equal or a worse value."""
    if not condition.fails(old):
        return False
    was, now = condition.value(old), condition.value(new)
    metric = condition.metric
    if isinstance(was, str) or isinstance(now, str):
        return _RANKS[str(now)] <= _RANKS[str(was)]
    if was is None or now is None:  # not measured
        return False
    if was != was or now != now:
        return was != was and now != now
    if not (was != now if condition.percent else differ(metric, was, now)):
        return True
    worse = direction(condition.comparison, METRICS[metric].worse)
    return worse != 0 and (now < was) == (worse > 0)


def direction(comparison: str, worse: int) -> int:
    """Which way a number gets worse where a condition asks for it: up (1), down (-1) or either (0).

    Args:
        comparison: the condition's.
        worse: which way it does where nobody asks.
    """
    return {">": 1, "<": -1}.get(comparison[0], worse)


# -- cast-verify -----------------------------------------------------------------------------------


def verify_row(entry: Entry, own: Mapping[str, str]) -> OldRow:
    """A cast of the baseline, with its causes."""
    if not isinstance(entry.get("offered"), bool):
        raise damaged("offered", entry.get("offered"))
    causes = entry.get("causes")
    if not isinstance(causes, list) or not all(
        isinstance(cause, dict)
        and isinstance(cause.get("cause"), str)
        and type(cause.get("count")) is int
        for cause in causes
    ):
        raise damaged("causes", causes)
    return OldRow("cast-verify", entry, own)


def verify_changes(old: OldRow, new: Any) -> Iterator[Change]:
    """Causes that are new or gone, and where the same codes were cast, their counts."""
    if old.entry["offered"] != new.offered:
        yield Change("offered", old.entry["offered"], new.offered, worse=not new.offered)
        return
    before = {cause["cause"]: cause for cause in old.entry["causes"]}
    after = {cause.cause: cause for cause in new.causes}
    same = all(
        old.entry.get(name) == getattr(new, name)
        for name in ("codes", "checked_count", "undefined_count")
    )
    for name in dict.fromkeys((*after, *before)):
        was = before[name]["count"] if name in before else 0
        now = after[name].count if name in after else 0
        kind = after[name].kind if name in after else before[name].get("kind")
        if was != now and (same or not was or not now):
            yield Change(name, was, now, now > was, kind)


# -- inspect ---------------------------------------------------------------------------------------


_COUNTS = ("nan_count", "inf_count", "subnormal_count", "zero_count")


def _is_lines(value: object) -> bool:
    return value is None or (
        isinstance(value, list) and all(isinstance(line, str) for line in value)
    )


def inspect_row(entry: Entry, own: Mapping[str, str]) -> OldRow:
    """A tensor of the baseline, with its statistics if it has some."""
    if not isinstance(entry.get("dtype"), str):
        raise damaged("dtype", entry.get("dtype"))
    if not isinstance(entry.get("shape"), list):
        raise damaged("shape", entry.get("shape"))
    stats = entry.get("stats")
    if stats is not None and (
        not isinstance(stats, dict) or not all(type(stats.get(name)) is int for name in _COUNTS)
    ):
        raise damaged("stats", stats)
    stored = entry.get("quantised")
    if stored is not None and (
        not isinstance(stored, dict) or not _is_lines(stored.get("doubts", []))
    ):
        raise damaged("quantised", stored)
    return OldRow("inspect", entry, own)


def _doubts(entry: Entry) -> list[str] | None:
    """What an older report said of the scales of a quantised weight; None if they were not read."""
    found = (entry.get("quantised") or {}).get("doubts")
    return None if found is None else list(found)


def inspect_changes(old: OldRow, new: Any) -> Iterator[Change]:
    """Another dtype or shape, other doubts, and counts of values."""
    if old.entry["dtype"] != new.dtype:
        yield Change("dtype", old.entry["dtype"], new.dtype, worse=True)
    if old.entry["shape"] != list(new.shape):
        yield Change("shape", old.entry["shape"], list(new.shape), worse=True)
    was = _doubts(old.entry)
    now = None if new.quantised is None else new.quantised.doubts
    if was is not None and now is not None and was != list(now):
        before, after = (", ".join(lines) or "none" for lines in (was, now))
        yield Change("doubts", before, after, worse=bool(set(now) - set(was)))
    stats = old.entry.get("stats")
    if stats is None or new.stats is None:
        return
    for name in _COUNTS:
        then, count = stats[name], getattr(new.stats, name)
        if then != count:
            yield Change(name, then, count, count > then)


def no_stats(old: Iterable[OldRow], new: Mapping[Key, Any]) -> Iterator[str]:
    """A line on tensors that have no statistics to compare with."""
    if any(row.stats is not None for row in new.values()) and any(
        row.entry.get("stats") is None for row in old
    ):
        yield (
            "the baseline has no stats of some tensors, whose values are not compared: save one "
            "with --stats"
        )
