"""What of a cast's metrics the screen shows: columns of numbers, and places."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from fpx.report.answers import is_scaled
from fpx.report.cast_row import CastRow, Location
from fpx.report.metrics import METRICS, rate_of


class Severity(Enum):
    """How bad it is that a number is not 0."""

    NONE = "none"
    WARNING = "warning"
    BAD = "bad"


@dataclass(frozen=True)
class Column:
    """A column of numbers on the screen.

    Attributes:
        heading: in lines.
        metrics: the names of those whose sum it shows, all of one unit.
        severity: of a number in it.
        share: whether the share that a count is stands beside it.
        above: it is shown only where a number is above this.
        plain: whether it is of plain targets alone: scaled ones clip and flush some of any tensor,
            which other columns tell.
    """

    heading: str
    metrics: tuple[str, ...]
    severity: Severity = Severity.NONE
    share: bool = False
    above: float | None = None
    plain: bool = False

    @property
    def unit(self) -> str:
        """The unit of its numbers."""
        return METRICS[self.metrics[0]].unit

    @property
    def is_count(self) -> bool:
        """Whether its numbers are counts."""
        return METRICS[self.metrics[0]].is_count

    def value(self, row: CastRow) -> float:
        """Its number of a row."""
        return sum(row.number(name) for name in self.metrics)

    def rate(self, row: CastRow) -> float:
        """The share that a count is, 0 to 1."""
        return sum(row.number(rate_of(name)) for name in self.metrics)

    def earns_its_place(self, rows: Iterable[CastRow]) -> bool:
        """Whether it was measured in some row, and says something."""
        measured = [
            row
            for row in rows
            if row.metrics[self.metrics[0]] is not None and not (self.plain and is_scaled(row))
        ]
        if self.above is None:
            return bool(measured)
        return any(self.value(row) > self.above for row in measured)


_USUAL_ULP = 0.5  # which no cast that rounds correctly exceeds


COLUMNS = (
    Column("values", ("count",)),
    Column("max |x|", ("max_abs",)),
    Column(
        "overflow",
        ("overflow_count", "unexpected_nonfinite_count"),
        Severity.BAD,
        share=True,
        plain=True,
    ),
    Column("clipped", ("clipped_count",), share=True),
    Column("clipped\nblocks", ("clipped_block_count",), share=True),
    Column("underflow", ("underflow_count",), Severity.WARNING, share=True),
    Column("subnormal", ("subnormal_count",), Severity.WARNING, share=True, plain=True),
    Column("scales\nNaN", ("nan_scale_count",), Severity.BAD, share=True, above=0),
    Column("scales\n0", ("zero_scale_count",), Severity.BAD, share=True, above=0),
    Column("scales\nsubnormal", ("subnormal_scale_count",), Severity.WARNING, share=True, above=0),
    Column("NaN, inf\nbefore", ("nan_input_count", "inf_input_count"), Severity.WARNING, above=0),
    Column("max\nulp", ("surviving_max_error_ulp",), Severity.WARNING, above=_USUAL_ULP),
    Column("differs\nfrom CPU", ("device_mismatch_count",), Severity.BAD),
    Column("SQNR\ndB", ("sqnr_db",)),
)
"""The columns of the screen's table. One whose metrics were not measured is left out."""


class Place(NamedTuple):
    """Something that a user may want to look at.

    Attributes:
        what: it in words.
        size: how large it is, where it has a size.
        location: where it is.
    """

    what: str
    size: float | None
    location: Location


_PLACES = {
    "first_overflow": "first overflow",
    "first_destroyed": "first destroyed",
    "max_abs_location": "largest value",
    "max_abs_error_location": "max error",
    "max_rel_error_location": "max relative error",
    "max_error_ulp_location": "max error in ulps",
    "first_device_mismatch": "first difference from CPU",
}


def places(total: CastRow) -> list[Place]:
    """Where it hurts most of what a total is of; what two of them say is said once."""
    found: dict[tuple[object, ...], Place] = {}
    for name, what in _PLACES.items():
        at, size = total.locations[name], total.metrics.get(name.removesuffix("_location"))
        usual = (name == "max_error_ulp_location" and (size or 0) <= _USUAL_ULP) or (
            name == "max_abs_location" and not total.number("overflow_count")
        )
        if at is not None and not usual:
            told = (at.tensor, at.index, at.shown)  # a NaN is as one shows it, and equals none
            found.setdefault(told, Place(what, size, at))
    return list(found.values())
