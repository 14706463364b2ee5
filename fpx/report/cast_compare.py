"""The report of `fpx cast-compare`: one row per tensor and target, totals, and checks on them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import Enum
from typing import Any, ClassVar, NamedTuple

from fpx.report.base import JsonValue, Report, to_json
from fpx.report.checks import Check, Failure, failures, gate
from fpx.report.columns import Table
from fpx.report.environment import Environment
from fpx.report.metrics import LOCATIONS, METRICS

TARGETS = ("float16", "bfloat16")
"""The formats that are cast to where nobody chose."""


EXACT = "exact"
"""The backend of casts by fpx itself, which round correctly."""


MIXED = "mixed"
"""In a total: the format of tensors of several, and the backend of casts by several."""


@dataclass(frozen=True)
class Location:
    """Where something happened.

    Attributes:
        tensor: the tensor's name.
        index: its multi-index there; empty for a scalar.
        value: the source's value.
        result: what the cast made of it.
    """

    tensor: str
    index: tuple[int, ...]
    value: float
    result: float


@dataclass(frozen=True)
class CastRow:
    """What one cast did to one tensor (or, in a total, to all of them).

    Every metric and every location is also an attribute of its name: `row.overflow_count` is
    `row.metrics["overflow_count"]`, `row.first_overflow` is `row.locations["first_overflow"]`.

    Attributes:
        source: the file or distribution.
        tensor: the tensor's name in it.
        from_, to: the format it was in, and the one it was cast to.
        backend, device: who cast, and where.
        metrics: the value of each of METRICS by its name; None where it was not measured, which
            those that compare a device with the CPU are not on the CPU.
        locations: each of LOCATIONS by its name; None where there is no such element.
        exponent_histogram: the count of finite non-zero inputs by their unbiased exponent.
    """

    source: str
    tensor: str
    from_: str
    to: str
    backend: str
    device: str
    metrics: Mapping[str, int | float | None]
    locations: Mapping[str, Location | None]
    exponent_histogram: Mapping[int, int] = field(default_factory=dict)

    def __getattr__(self, name: str) -> Any:
        """A metric or a location."""
        for table in ("metrics", "locations"):  # not there yet in a copy that is being made
            found: Mapping[str, Any] = self.__dict__.get(table, {})
            if name in found:
                return found[name]
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self.metrics, *self.locations]

    @property
    def title(self) -> str:
        """Which row it is, in a line."""
        return f"{self.source} {self.tensor} -> {self.to}"

    def identity(self) -> dict[str, JsonValue]:
        """The keys of its JSON entry that tell which row it is."""
        return {
            "source": self.source,
            "tensor": self.tensor,
            "from": self.from_,
            "to": self.to,
            "backend": self.backend,
            "device": self.device,
        }

    def to_dict(self) -> dict[str, JsonValue]:
        """Its JSON entry: what it is of, the metrics, the locations and the histogram."""
        return {
            **self.identity(),
            **{name: to_json(self.metrics[name]) for name in METRICS},
            **{name: to_json(self.locations[name]) for name in LOCATIONS},
            "exponent_histogram": to_json(self.exponent_histogram),
        }

    def number(self, metric: str) -> float:
        """A metric; 0 where it was not measured."""
        return self.metrics[metric] or 0

    def share(self, metric: str) -> float:
        """A count as a share of all elements, 0 to 1; 0 for an empty tensor."""
        count = self.number("count")
        return self.number(metric) / count if count else 0.0

    def badness(self) -> tuple[float, ...]:
        """Sort key: what hurts most first (values lost to overflow, then underflow, then noise)."""
        sqnr = self.number("sqnr_db")
        return (
            -self.share("overflow_count"),
            -self.share("unexpected_nonfinite_count"),
            -self.number("device_mismatch_count"),
            -self.share("underflow_count"),
            sqnr if sqnr == sqnr else float("inf"),
        )


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
    """

    heading: str
    metrics: tuple[str, ...]
    severity: Severity = Severity.NONE

    @property
    def unit(self) -> str:
        """The unit of its numbers."""
        return METRICS[self.metrics[0]].unit

    def value(self, row: CastRow) -> float:
        """Its number of a row."""
        return sum(row.number(name) for name in self.metrics)


COLUMNS = (
    Column("count", ("count",)),
    Column("overflow", ("overflow_count", "unexpected_nonfinite_count"), Severity.BAD),
    Column("under-\nflow", ("underflow_count",), Severity.WARNING),
    Column("sub-\nnormal", ("subnormal_count",), Severity.WARNING),
    Column("max\nulp", ("max_error_ulp",)),
    Column("SQNR\ndB", ("sqnr_db",)),
    Column("differs\nfrom CPU", ("device_mismatch_count",), Severity.BAD),
)
"""The columns of the screen's table. One whose metrics were not measured is left out."""


class Place(NamedTuple):
    """Something that a user may want to look at.

    Attributes:
        to: the target.
        what: it in words.
        size: how large it is, where it has a size.
        location: where it is.
    """

    to: str
    what: str
    size: float | None
    location: Location


_PLACES = {
    "first_overflow": "first overflow",
    "max_abs_error_at": "max error",
    "max_rel_error_at": "max relative error",
    "max_error_ulp_at": "max error in ulps",
    "first_device_mismatch": "first difference from CPU",
}


@dataclass(frozen=True, repr=False)
class CastReport(Report):
    """What casts did to tensors.

    Attributes:
        rows: one per tensor and target, in the order of the sources.
        totals: one per target, over all tensors.
        details: what produced the numbers.
        errors: one line per source that could not be read; the rest was still done.
        notes: one line per tensor that was passed over, and why.
        partial: whether the work was interrupted; the last row then tells of a part of its tensor.
        checks: what was asked of every row.
        versions: the version of each backend that cast, by its name.
    """

    schema: ClassVar[str] = "fpx.cast-compare/1"

    rows: tuple[CastRow, ...]
    totals: tuple[CastRow, ...]
    details: Environment
    errors: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    partial: bool = False
    checks: tuple[Check[CastRow], ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)

    def parts(self) -> tuple[CastRow, ...]:
        """The rows."""
        return self.rows

    def results(self) -> list[dict[str, JsonValue]]:
        """One entry per row."""
        return [row.to_dict() for row in self.rows]

    def environment(self) -> dict[str, JsonValue]:
        """What produced the numbers."""
        return self.details.to_dict()

    def beside(self) -> dict[str, JsonValue]:
        """Totals, errors, notes, checks and failures."""
        return {
            "totals": [row.to_dict() for row in self.totals],
            "errors": list(self.errors),
            "notes": list(self.notes),
            "partial": self.partial,
            **gate(self.checks, self.failures()),
        }

    def table(self) -> Table:
        """A row for each of `rows`; the columns are always the same: all but the histogram."""
        parts = [part.name for part in fields(Location)]
        names = [*METRICS, *(f"{name}.{part}" for name in LOCATIONS for part in parts)]
        of = [*self.rows[0].identity()] if self.rows else []
        return Table(
            (*of, *names), tuple((*row.identity().values(), *_cells(row)) for row in self.rows)
        )

    def about(self) -> str:
        """The targets."""
        return ", ".join(total.to for total in self.totals)

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

    def columns(self) -> list[Column]:
        """Those of COLUMNS that were measured in some row."""
        return [
            column
            for column in COLUMNS
            if any(row.metrics[column.metrics[0]] is not None for row in self.rows)
        ]

    def shown(self, limit: int) -> list[CastRow]:
        """The rows, or if there are more than `limit`, the worst of them, the worst first."""
        return list(self.rows) if len(self.rows) <= limit else self.worst_first()[:limit]

    def places(self) -> list[Place]:
        """Where it hurts most, by target."""
        return [
            Place(total.to, what, total.metrics.get(name.removesuffix("_at")), at)
            for total in self.totals
            for name, what in _PLACES.items()
            if (at := total.locations[name]) is not None
        ]

    def worst_first(self) -> list[CastRow]:
        """The rows, what hurts most first."""
        return sorted(self.rows, key=CastRow.badness)

    def failures(self) -> list[Failure[CastRow]]:
        """The rows that fail one of `checks`, the worst first."""
        return failures(self.worst_first(), self.checks)


def _cells(row: CastRow) -> list[Any]:
    """The metrics and the locations of a row as the cells of a table."""
    cells = [to_json(row.metrics[name]) for name in METRICS]
    for name in LOCATIONS:
        at = row.locations[name]
        if at is None:
            cells += [None] * len(fields(Location))
        else:
            cells += [
                at.tensor,
                " ".join(map(str, at.index)),
                to_json(at.value),
                to_json(at.result),
            ]
    return cells
