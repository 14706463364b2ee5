"""The report of `fpx cast-compare`: one row per tensor and target, totals, and checks on them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from fpx.report.base import JsonValue, Report, to_json
from fpx.report.checks import Check, Failure, failures, gate
from fpx.report.metrics import LOCATIONS, METRICS


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


@dataclass(frozen=True, repr=False)
class CastReport(Report):
    """What casts did to tensors.

    Attributes:
        rows: one per tensor and target, in the order of the sources.
        totals: one per target, over all tensors.
        details: versions, device, threads and seed that produced the numbers.
        errors: one line per source that could not be read; the rest was still done.
        notes: one line per tensor that was passed over, and why.
        partial: whether the work was interrupted; the last row then tells of a part of its tensor.
        checks: what was asked of every row.
    """

    schema: ClassVar[str] = "fpx.cast-compare/1"

    rows: tuple[CastRow, ...]
    totals: tuple[CastRow, ...]
    details: Mapping[str, JsonValue]
    errors: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    partial: bool = False
    checks: tuple[Check[CastRow], ...] = ()

    def parts(self) -> tuple[CastRow, ...]:
        """The rows."""
        return self.rows

    def results(self) -> list[dict[str, JsonValue]]:
        """One entry per row."""
        return [row.to_dict() for row in self.rows]

    def environment(self) -> dict[str, JsonValue]:
        """Versions, device, threads and seed."""
        return dict(self.details)

    def beside(self) -> dict[str, JsonValue]:
        """Totals, errors, notes, checks and failures."""
        return {
            "totals": [row.to_dict() for row in self.totals],
            "errors": list(self.errors),
            "notes": list(self.notes),
            "partial": self.partial,
            **gate(self.checks, self.failures()),
        }

    def worst_first(self) -> list[CastRow]:
        """The rows, what hurts most first."""
        return sorted(self.rows, key=CastRow.badness)

    def failures(self) -> list[Failure[CastRow]]:
        """The rows that fail one of `checks`, the worst first."""
        return failures(self.worst_first(), self.checks)
