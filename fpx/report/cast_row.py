"""One row of casts: what a cast did to a tensor, where, and whether the tensor fits the target."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from fpx.report.base import JsonValue, once, to_json
from fpx.report.metrics import LOCATIONS, METRICS
from fpx.report.verdicts import SEVERITY, Judgement, Outcome, Verdict, outcome
from fpx.words import escape


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

    @property
    def shown(self) -> str:
        """`106343.617 -> inf`."""
        return f"{_number(self.value)} -> {_number(self.result)}"

    def to_dict(self) -> dict[str, JsonValue]:
        """Its JSON entry; `shown` tells what a value is that is null, being infinite or NaN."""
        return {
            "tensor": self.tensor,
            "index": list(self.index),
            "value": to_json(self.value),
            "result": to_json(self.result),
            "shown": self.shown,
        }


def _number(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:.9g}"


_NOWHERE: dict[str, JsonValue] = dict.fromkeys(Location("", (), 0, 0).to_dict())


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
        judgement: whether the tensor fits the target, and what decided that.
        exponent_histogram: the count of finite non-zero inputs by their unbiased exponent.
        scale_histogram: of a scaled target, the count of blocks by the code of their scale (of
            scales of more than 8 bits, by its exponent); empty of others.
    """

    source: str
    tensor: str
    from_: str
    to: str
    backend: str
    device: str
    metrics: Mapping[str, int | float | None]
    locations: Mapping[str, Location | None]
    judgement: Judgement
    exponent_histogram: Mapping[int, int] = field(default_factory=dict)
    scale_histogram: Mapping[int, int] = field(default_factory=dict)

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
    def verdict(self) -> Verdict:
        """Whether the tensor fits the target."""
        return self.judgement.verdict

    @property
    def fits(self) -> bool:
        """Whether that verdict is `fits`."""
        return self.verdict is Verdict.FITS

    @property
    def decided_by(self) -> str | None:
        """The metric that is beyond what is tolerated; None where the tensor fits."""
        return self.judgement.decided_by

    @once
    def outcome(self) -> Outcome:
        """What the cast did, in a word."""
        return outcome(self.metrics)

    @property
    def title(self) -> str:
        """Which row it is, in a line."""
        return escape(f"{self.source} {self.tensor} -> {self.to}")

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
        """Its JSON entry: what it is of, the verdict, metrics, locations and the histograms."""
        return {
            **self._judged(),
            **self._measured(),
            **{name: at and at.to_dict() for name, at in self._located()},
            "exponent_histogram": to_json(self.exponent_histogram),
            "scale_histogram": to_json(self.scale_histogram),
        }

    def _judged(self) -> dict[str, JsonValue]:
        return {
            **self.identity(),
            "verdict": self.verdict.value,
            "decided_by": self.decided_by,
            "outcome": self.outcome.value,
        }

    def _measured(self) -> dict[str, JsonValue]:
        values = {name: self.metrics[name] for name in METRICS}
        # as `to_json` has them, of which there are many
        return {
            name: value if value is None or math.isfinite(value) else None
            for name, value in values.items()
        }

    def _located(self) -> Iterator[tuple[str, Location | None]]:
        return ((name, self.locations[name]) for name in LOCATIONS)

    def to_cells(self) -> dict[str, Any]:
        """Its entry without the histograms, flat: a location has a column for each of its parts."""
        cells = {**self._judged(), **self._measured()}
        for name, at in self._located():
            parts = _NOWHERE if at is None else at.to_dict()
            for part, value in parts.items():
                listed = isinstance(value, list)
                cells[f"{name}.{part}"] = " ".join(map(str, value)) if listed else value
        return cells

    def number(self, metric: str) -> float:
        """A metric; 0 where it was not measured, or has no value."""
        value = self.metrics[metric]
        return 0 if value is None or value != value else value

    def share(self, metric: str) -> float:
        """A count as a share of all elements, 0 to 1; 0 for an empty tensor."""
        count = self.number("count")
        return self.number(metric) / count if count else 0.0

    def badness(self) -> tuple[float, ...]:
        """Sort key: what hurts most first (values lost to overflow, then underflow, then noise)."""
        sqnr = self.metrics["surviving_sqnr_db"]
        return (
            -SEVERITY[self.verdict],
            -self.share("overflow_count"),
            -self.share("destroyed_count"),
            -self.number("device_mismatch_count"),
            -self.share("underflow_count"),
            math.inf if sqnr is None or sqnr != sqnr else sqnr,
        )
