"""The rows of casts: of one tensor, and of all of a source or of every source."""

from __future__ import annotations

from dataclasses import dataclass, field

from fpx.casts.device import Device
from fpx.core.targets import Target
from fpx.measure.casting import Casting
from fpx.measure.derived import locations_of, metrics_of
from fpx.measure.scaled_casting import ScaledCasting
from fpx.measure.stats import CastStats
from fpx.report.cast_row import CastRow
from fpx.report.totals import common
from fpx.report.verdicts import Judgement, Tolerance, Verdict, judge


@dataclass
class Total:
    """What is known of all casts to one target."""

    stats: CastStats = field(default_factory=CastStats)
    origins: set[str] = field(default_factory=set)
    backends: set[str] = field(default_factory=set)
    judgement: Judgement = Judgement(Verdict.FITS)  # noqa: RUF009 - it is frozen

    def add(self, cast: Casting | ScaledCasting) -> None:
        """Takes in the cast of one more tensor."""
        self.stats.add(cast.stats)
        self.origins.add(cast.origin.name)
        self.backends.add(cast.backend.name)


def row_of(
    source: str,
    tensor: str,
    target: Target,
    total: Total,
    device: Device,
    drawn: bool,
    tolerance: Tolerance | None = None,
) -> CastRow:
    """A row, judged by what is tolerated, or without that as the total is."""
    metrics = metrics_of(total.stats, target, on_device=not device.is_cpu, drawn=drawn)
    return CastRow(
        source=source,
        tensor=tensor,
        from_=common(total.origins),
        to=target.name,
        backend=common(total.backends),
        device=str(device.torch),
        metrics=metrics,
        locations=locations_of(total.stats),
        judgement=total.judgement if tolerance is None else judge(metrics, tolerance),
        exponent_histogram=total.stats.exponent_histogram(),
        scale_histogram=total.stats.scale_histogram(),
    )
