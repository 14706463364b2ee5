"""Scale rules side by side: which one suits some tensors, and what the others cost."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from statistics import median_low

from fpx.core.choices import ScaleRule
from fpx.core.scaling import ScaledFormat
from fpx.core.targets import Target, find_target
from fpx.report.base import JsonValue, to_json
from fpx.report.cast_row import CastRow


@dataclass(frozen=True)
class RuleRow:
    """What one rule does to all tensors.

    Attributes:
        rule: its name.
        to: the target with it.
        sqnr_db: of all tensors together, in dB.
        median_sqnr_db: the (lower) median of the tensors' SQNR.
        worst_sqnr_db: the lowest.
        clipped_block_rate: the share of blocks whose largest value is clipped.
        underflow_rate: the share of non-zero values that become zero.
        unfit: tensors that do not fit.
        best_of: tensors of which no other rule has a higher SQNR.
    """

    rule: str
    to: str
    sqnr_db: float
    median_sqnr_db: float
    worst_sqnr_db: float
    clipped_block_rate: float
    underflow_rate: float
    unfit: int
    best_of: int


@dataclass(frozen=True)
class RuleComparison:
    """Rules for one target.

    Attributes:
        source: the file or distribution, or the total of all.
        target: the target, without a rule.
        tensors: how many there are.
        rows: one per rule, in the order in which they were asked for.
    """

    source: str
    target: str
    tensors: int
    rows: tuple[RuleRow, ...] = field(default=())

    @property
    def best(self) -> RuleRow:
        """The rule with the highest median SQNR; of equals the one with the highest of all."""
        return max(self.rows, key=lambda row: (_known(row.median_sqnr_db), _known(row.sqnr_db)))

    @property
    def text(self) -> str:
        """Which rule to take and what the others cost, in a sentence."""
        best = self.best
        of = "median " if self.tensors > 1 else ""
        head = f"take {best.rule}: {of}{_decibels(best.median_sqnr_db)}"
        if self.tensors > 1:
            head += f", best for {best.best_of:,} of {self.tensors:,} tensors"
        others = [
            f"{row.rule} {_cost(best.median_sqnr_db - row.median_sqnr_db)}"
            for row in sorted(self.rows, key=lambda row: -_known(row.median_sqnr_db))
            if row is not best
        ]
        return f"{head}; {', '.join(others)}." if others else f"{head}."

    def to_dict(self) -> dict[str, JsonValue]:
        """Its JSON entry."""
        return {
            "source": self.source,
            "target": self.target,
            "tensors": self.tensors,
            "best": self.best.rule,
            "text": self.text,
            "rules": to_json(self.rows),
        }


def _known(value: float) -> float:
    return -math.inf if math.isnan(value) else value


def _decibels(value: float) -> str:
    return "exact" if value == math.inf else f"{value:.2f} dB"


def _cost(lost: float) -> str:
    if math.isnan(lost):  # both exact, or neither has a value
        return "the same"
    return f"costs {lost:.2f} dB" if round(lost, 2) else "the same"


def compare_rules(
    source: str, rows: Sequence[CastRow], totals: Iterable[CastRow]
) -> tuple[RuleComparison, ...]:
    """A comparison for each target that was asked for by several rules.

    Args:
        source: of what.
        rows: one per tensor and target.
        totals: one per target, over these tensors.
    """
    groups: dict[str, list[tuple[ScaleRule, CastRow]]] = {}
    for total in totals:
        target = find_target(total.to)
        if isinstance(target, ScaledFormat):
            groups.setdefault(without_rule(target), []).append((target.encoding.rule, total))
    of: dict[str, list[CastRow]] = {}
    for row in rows:
        of.setdefault(row.to, []).append(row)
    return tuple(
        RuleComparison(source, target, len(of[group[0][1].to]), _rule_rows(group, of))
        for target, group in groups.items()
        if len(group) > 1
    )


def _rule_rows(
    group: Sequence[tuple[ScaleRule, CastRow]], of: dict[str, list[CastRow]]
) -> tuple[RuleRow, ...]:
    columns = [[_sqnr(row) for row in of[total.to]] for _, total in group]
    best = [max(map(_known, each)) for each in zip(*columns, strict=True)]
    found = []
    for (rule, total), own in zip(group, columns, strict=True):
        known = [value for value in own if not math.isnan(value)]
        found.append(
            RuleRow(
                rule=rule.value,
                to=total.to,
                sqnr_db=_sqnr(total),
                median_sqnr_db=median_low(known) if known else math.nan,
                worst_sqnr_db=min(known, default=math.nan),
                clipped_block_rate=total.number("clipped_block_rate"),
                underflow_rate=total.number("underflow_rate"),
                unfit=sum(not row.fits for row in of[total.to]),
                best_of=sum(a == b for a, b in zip(map(_known, own), best, strict=True)),
            )
        )
    return tuple(found)


def _sqnr(row: CastRow) -> float:
    value = row.metrics["sqnr_db"]
    return math.nan if value is None else value


def without_rule(target: Target) -> str:
    """The name of a target without its rule (and what follows from it)."""
    base, _, options = target.name.partition(":")
    kept = [option for option in options.split(",") if option and not option.startswith("rule=")]
    return ":".join([base, ",".join(kept)]) if kept else base
