"""The report of `fpx diff`: two checkpoints, tensor by tensor."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import ClassVar

from fpx.report.base import JsonValue, once, to_json
from fpx.report.checks import Failure, failures, gate
from fpx.report.columns import Table, table_of
from fpx.report.diff_row import COMPARED, STRUCTURE, Change, DiffRow, OwnRule, Side, Spot
from fpx.report.environment import Environment
from fpx.report.measured import MeasuredReport
from fpx.words import counted, escape, quoted


@dataclass(frozen=True)
class Unchanged:
    """What every tensor must pass: it is there, in its shape, and no value is beyond the tolerance.

    Attributes:
        tolerance_ulp: the most codes between two values that pass.
        allow_renamed: whether a tensor of the same content and another name passes.
    """

    tolerance_ulp: int = 0
    allow_renamed: bool = False

    @property
    def text(self) -> str:
        """`tolerance_ulp=0`."""
        return f"tolerance_ulp={self.tolerance_ulp}"

    def value(self, row: DiffRow) -> int | None:
        """The largest distance; None where the values were not compared."""
        return None if row.comparison is None else row.comparison.max_distance

    def fails(self, row: DiffRow) -> bool:
        """Whether the row fails. What cannot be read is no failure but an error."""
        if row.outcome is Change.RENAMED:
            return not self.allow_renamed
        return row.outcome in (Change.DIFFERS, Change.RESHAPED, Change.MISSING, Change.EXTRA)

    def reason(self, row: DiffRow) -> str:
        """Why a row fails: `3 of 10 values differ, by up to 12 codes`."""
        if row.outcome is Change.MISSING:
            return "missing in B"
        if row.outcome is Change.EXTRA:
            return "in B alone"
        assert row.a is not None
        assert row.b is not None
        if row.outcome is Change.RENAMED:
            return f"renamed to {quoted(row.b.tensor)} (`allow_renamed=True` allows that)"
        if row.outcome is Change.RESHAPED:
            return f"shape {list(row.a.shape)} became {list(row.b.shape)}"
        found = row.comparison
        assert found is not None
        start = f"{found.beyond_count:,} of {found.count:,} values differ"
        return ", ".join([start, *row.how_far()])

    def to_dict(self) -> dict[str, JsonValue]:
        """Its parts."""
        return {"check": self.text, **to_json(self)}


def _said(rows: Sequence[DiffRow], compared: int, is_: str, are: str) -> str:
    """How many tensors are something, and the first of them: `2 of 3 differ: worst x, ...`."""
    name, far = escape(rows[0].tensor), ", ".join(rows[0].how_far())
    if compared == 1:
        return f"{name} {is_}: {far}" if far else f"{name} {is_}"
    start = (
        f"{len(rows):,} of {compared:,} tensors {f'{are}: worst' if len(rows) > 1 else f'{is_}:'}"
    )
    return f"{start} {name}, {far}" if far else f"{start} {name}"


_SAME_DB = 0.005
"""Differences of SQNR that two decimals do not show."""


def _allowed(rows: Sequence[DiffRow]) -> list[str]:
    """How quantised tensors compare with what fpx's own rules give; nothing where it has none."""
    short = [(found, row) for row in rows if (found := row.shortfall_db) is not None]
    if not short:
        return []
    most, row = max(short, key=lambda each: each[0])
    if most < _SAME_DB:
        return ["fpx's own rules give no more"]
    assert row.quantised is not None
    assert row.quantised.best is not None
    if most == math.inf:
        return [f"{escape(row.tensor)} loses nothing by fpx's own rule {row.quantised.best.rule}"]
    of = "" if len(rows) == 1 else f" ({escape(row.tensor)})"
    upto = "" if len(rows) == 1 else "up to "
    return [f"fpx's own rules give {upto}{most:.2f} dB more, by {row.quantised.best.rule}{of}"]


_PARTS = {"a": Side, "b": Side, "max_distance_spot": Spot, "first_lost_spot": Spot}


def _whole(entry: dict[str, JsonValue]) -> dict[str, JsonValue]:
    """An entry in which what is not there has all its keys, so that a table has all its columns."""
    for key, kind in _PARTS.items():
        entry[key] = entry[key] or {part.name: None for part in fields(kind)}
    quantised = entry["quantised"]
    best = quantised["best"] if isinstance(quantised, dict) else None
    entry["quantised"] = {
        "layout": quantised["layout"] if isinstance(quantised, dict) else None,
        "best": best or {part.name: None for part in fields(OwnRule)},
    }
    return entry


@dataclass(frozen=True, eq=False, repr=False)
class DiffReport(MeasuredReport):
    """Two checkpoints, tensor by tensor.

    Attributes:
        rows: one per tensor, in A's order; then those of B alone, in B's.
        a, b: how the two are called.
        check: what every tensor must pass.
        details: what produced the numbers.
        errors: one line for each file or tensor that could not be read; the rest was still done.
        notes: one line per tensor that was passed over or is stored in a special way.
        passed_over: how many of them tell of what was not compared.
        partial: whether the work was interrupted: then the tensors that were not compared have no
            row, and of the last one only a part may have been read.
    """

    schema: ClassVar[str] = "fpx.diff/1"

    rows: tuple[DiffRow, ...]
    a: str
    b: str
    check: Unchanged
    details: Environment
    errors: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    passed_over: int = 0
    partial: bool = False

    @once
    def counts(self) -> Mapping[Change, int]:
        """The tensors of each outcome."""
        return Counter(row.outcome for row in self.rows)

    def beside(self) -> dict[str, JsonValue]:
        """The answer, counts of outcomes, errors, notes, the check and its failures."""
        return {
            "equal": self.equal,
            "answer": self.answer,
            "counts": {outcome.value: self.counts[outcome] for outcome in Change},
            "errors": list(self.errors),
            "notes": list(self.notes),
            "passed_over": self.passed_over,
            "partial": self.partial,
            **gate((self.check,), self.failures()),
        }

    def table(self) -> Table:
        """A row for each of `rows`; the columns are always the same."""
        return table_of(_whole(row.to_dict()) for row in self.rows)

    def about(self) -> str:
        """The answer."""
        return self.answer

    @property
    def equal(self) -> bool:
        """Whether every tensor is equal, bit for bit, and nothing was left out."""
        left_out = self.partial or self.errors or self.passed_over
        return self.counts[Change.EQUAL] == len(self.rows) and not left_out

    def worst_first(self) -> list[DiffRow]:
        """The rows, the worst first."""
        return sorted(self.rows, key=DiffRow.badness)

    def failures(self) -> list[Failure[DiffRow]]:
        """The rows that fail, the worst first."""
        return failures(self.worst_first(), (self.check,))

    @property
    def answer(self) -> str:
        """What there is to say, in a sentence."""
        counts = self.counts
        compared = sum(counts[outcome] for outcome in COMPARED)
        if not self.rows:
            return "No tensor was compared."
        rest = ", ".join(
            f"{counts[outcome]:,} {outcome.value}" for outcome in STRUCTURE if counts[outcome]
        )
        if counts[Change.DIFFERS]:
            found = self._different(compared) + (rest and f"; {rest}")
        elif not compared:
            found = f"No two tensors of one name and shape: {rest}"
        else:
            alike = self._alike(compared)
            found = f"{rest}; otherwise {alike[0].lower()}{alike[1:]}" if rest else alike
        if self.passed_over:
            found += f"; {self.passed_over:,} passed over, see the notes"
        if self.partial:
            found += "; interrupted before the others"
        return f"{found}."

    def _different(self, compared: int) -> str:
        """How many tensors differ, the worst of them, and how far off it is."""
        rows = [row for row in self.worst_first() if row.outcome is Change.DIFFERS]
        quantised = [row for row in rows if row.quantised is not None]
        plain = [row for row in rows if row.quantised is None]
        found = [_said(plain, compared, "differs", "differ")] if plain else []
        if quantised:
            verbs = "is quantised in B", "are quantised in B"
            found.append(_said(quantised, compared, *verbs))
            found += _allowed(quantised)
        return "; ".join(found)

    def _alike(self, compared: int) -> str:
        """How many tensors are equal, and in what way."""
        counts, tensors = self.counts, counted(compared, "tensor")
        if counts[Change.EQUAL] == compared:
            return f"Equal: {tensors}, bit for bit"
        furthest = max(
            (row.comparison.max_distance or 0 for row in self.rows if row.comparison), default=0
        )
        conversions = dict.fromkeys(
            f"{row.a.dtype} to {row.b.dtype}"
            for row in self.rows
            if row.outcome is Change.CONVERTED and row.a and row.b
        )
        ways = {
            Change.EQUAL: "bit for bit",
            Change.SAME_VALUES: "but for signs of zeros and bits of NaNs",
            Change.CONVERTED: f"correctly rounded from {' and '.join(conversions)}",
            Change.WITHIN_TOLERANCE: f"up to {counted(furthest, 'code')} apart",
        }
        said = {how: counts[outcome] for outcome, how in ways.items() if counts[outcome]}
        what = [how if count == compared else f"{count:,} {how}" for how, count in said.items()]
        within = f"Within {counted(self.check.tolerance_ulp, 'code')}"
        start = within if counts[Change.WITHIN_TOLERANCE] else "No difference"
        return f"{start}: {tensors}, {', '.join(what)}"
