"""The report of `fpx cast-compare`: answers, a row per tensor and target, totals, and checks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar

from fpx.core.formats import FORMATS
from fpx.core.scaling import ScaledFormat
from fpx.core.targets import find_target
from fpx.report.answers import Answer, Recommendation, recommend
from fpx.report.base import JsonValue, once, to_json
from fpx.report.cast_row import CastRow
from fpx.report.channels import ChannelCost
from fpx.report.checks import Check, Failure
from fpx.report.columns import Table
from fpx.report.environment import Environment
from fpx.report.gates.baseline import Baseline, Comparison
from fpx.report.gates.exemptions import Exemption
from fpx.report.gates.gate import Gate
from fpx.report.measured import MeasuredReport
from fpx.report.metrics import METRICS
from fpx.report.rules import RuleComparison, compare_rules
from fpx.report.verdicts import USUAL, Tolerance
from fpx.words import counted, listed, quoted

TARGETS = ("float16", "bfloat16")
"""The formats that are cast to where nobody chose."""


MEASURABLE = tuple(spec for spec in FORMATS.values() if FORMATS["float64"].holds(spec))
"""The listed formats whose values float64 has, in which errors are measured: what `all` means."""


EXACT = "exact"
"""The backend of casts by fpx itself, which round correctly."""


@dataclass(frozen=True, repr=False)
class CastReport(MeasuredReport):
    """What casts did to tensors.

    Attributes:
        rows: one per tensor and target, in the order of the sources.
        totals: one per target, over all tensors.
        subtotals: one per source and target, over its tensors.
        details: what produced the numbers.
        errors: one line per source that could not be read; the rest was still done.
        notes: one line per tensor that was passed over, and why.
        partial: whether the work was interrupted; the last row then tells of a part of its tensor.
        checks: what was asked of every row.
        exemptions: tensors of which something else was asked.
        baseline: an older report, beside which this one is judged.
        versions: the version of each backend that cast, by its name.
        tolerance: how much a tensor may lose and still fit.
        channels: of each tensor and scaled target, what the channel that sticks out costs the
            others; empty where no axis was asked for.
        measured_by: who measured casts to plain targets, and why; in no document,
            since measurements do not depend on it.
        rounding: the stochastic rounding, as it is written; None where casts round to nearest.
        unread: tensors that could not be read, as a source and a name; no row is of them.
    """

    schema: ClassVar[str] = "fpx.cast-compare/2"

    rows: tuple[CastRow, ...]
    totals: tuple[CastRow, ...]
    subtotals: tuple[CastRow, ...]
    details: Environment
    errors: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    partial: bool = False
    checks: tuple[Check[CastRow], ...] = ()
    exemptions: tuple[Exemption, ...] = ()
    baseline: Comparison | None = None
    versions: Mapping[str, str] = field(default_factory=dict)
    tolerance: Tolerance = USUAL
    channels: tuple[ChannelCost, ...] = ()
    measured_by: str = ""
    rounding: str | None = None
    unread: tuple[tuple[str, str], ...] = ()

    def beside(self) -> dict[str, JsonValue]:
        """Answers, recommendations, totals, errors, notes, checks and failures."""
        return {
            "answers": [answer.to_dict() for answer in self.answers],
            "recommendations": to_json(self.recommendations),
            "scaled_targets": [
                {
                    "name": target.name,
                    "says": target.says,
                    "bits_per_element": target.bits_per_element,
                    "encoding": target.choices(),
                }
                for target in self.scaled_targets
            ],
            "scale_rules": [compared.to_dict() for compared in self.scale_rules],
            "channels": [cost.to_dict() for cost in self.channels],
            "rounding": self.rounding or "ties_to_even",
            "tolerance": to_json(self.tolerance),
            "totals": [row.to_dict() for row in self.totals],
            "subtotals": [row.to_dict() for row in self.subtotals],
            "errors": list(self.errors),
            "notes": list(self.notes),
            "partial": self.partial,
            **self.gate.to_dict(self.worst_first()),
        }

    def table(self) -> Table:
        """A row for each of `rows`; the columns are always the same: all but the histogram."""
        rows = [row.to_cells() for row in self.rows]
        columns = tuple(rows[0]) if rows else (*METRICS,)
        return Table(columns, tuple(tuple(row.values()) for row in rows))

    def about(self) -> str:
        """The targets."""
        return ", ".join(total.to for total in self.totals)

    @once
    def answers(self) -> tuple[Answer, ...]:
        """One per source and target, in the order of the sources."""
        found: dict[tuple[str, str], list[CastRow]] = {
            (row.source, row.to): [] for row in self.subtotals
        }
        for row in self.rows:
            found[row.source, row.to].append(row)
        return tuple(
            Answer(source, to, tuple(rows), self.tolerance, self.partial)
            for (source, to), rows in found.items()
        )

    @once
    def overall(self) -> tuple[Answer, ...]:
        """One per target over all sources."""
        return tuple(
            Answer(
                total.source,
                total.to,
                tuple(row for row in self.rows if row.to == total.to),
                self.tolerance,
                self.partial,
            )
            for total in self.totals
        )

    @once
    def recommendations(self) -> tuple[Recommendation, ...]:
        """The smallest target that each tensor fits, in the order of the rows."""
        return recommend(self.rows)

    @once
    def scaled_targets(self) -> tuple[ScaledFormat, ...]:
        """Those of the targets that have scales."""
        found = (find_target(total.to) for total in self.totals)
        return tuple(target for target in found if isinstance(target, ScaledFormat))

    @once
    def scale_rules(self) -> tuple[RuleComparison, ...]:
        """The rules of targets that were asked for by several: over all sources, if there are
        several, under the name of the totals; then for each.
        """
        sources = dict.fromkeys(row.source for row in self.subtotals)
        found: list[RuleComparison] = []
        if len(sources) > 1:
            found += compare_rules(self.totals[0].source, self.rows, self.totals)
        for source in sources:
            own = [row for row in self.rows if row.source == source]
            totals = [total for total in self.subtotals if total.source == source]
            found += compare_rules(source, own, totals)
        return tuple(found)

    @property
    def keep(self) -> tuple[tuple[str, str], ...]:
        """Source and tensor of those that fit none of the targets."""
        return tuple((item.source, item.tensor) for item in self.recommendations if not item.to)

    @property
    def backends(self) -> tuple[str, ...]:
        """Who cast, by name, in the order of the rows."""
        return tuple(dict.fromkeys(row.backend for row in self.rows))

    @property
    def casters(self) -> tuple[str, ...]:
        """Who cast, with the version."""
        return tuple(
            f"fpx {self.versions[name]} ({name})"
            if name == EXACT
            else f"{name} {self.versions[name]}"
            for name in self.backends
        )

    def worst_first(self) -> list[CastRow]:
        """The rows, what hurts most first."""
        return sorted(self.rows, key=CastRow.badness)

    @property
    def unchecked(self) -> tuple[str, ...]:
        """A line for each check that could not be made here; `errors` are said instead."""
        if self.errors:
            return ()
        told = self.gate.unchecked(self.rows)
        if self.gate.asks and self.unread:
            named = listed((quoted(name) for _, name in self.unread), 3)
            told.append(
                f"{counted(len(self.unread), 'tensor')} not checked, because unread: {named}"
            )
        return tuple(told)

    def since(self, older: Baseline) -> CastReport:
        """This report beside an older one.

        Raises:
            InputError: they are about different questions.
        """
        return replace(self, baseline=older.compared(self.parts(), self.environment()))

    @property
    def gate(self) -> Gate:
        """What was asked of the rows, all told."""
        return Gate(self.checks, self.exemptions, self.baseline)

    def failures(self) -> list[Failure[CastRow]]:
        """The rows that fail one of `checks`, the worst first."""
        return self.gate.failures(self.worst_first()) if self.gate.asks else []
