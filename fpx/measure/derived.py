"""Metrics that are worked out last, from the counts, maxima and sums of all blocks."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import cache, lru_cache
from types import MappingProxyType
from typing import NamedTuple

from fpx.core.scaling import ScaledFormat
from fpx.core.targets import Target, largest_of
from fpx.measure.metrics import MAXIMA
from fpx.measure.reference import Reference, reference_of
from fpx.measure.squares import ScaledSquares
from fpx.measure.stats import CastStats
from fpx.report.cast_row import Location
from fpx.report.metrics import BLOCKS, METRICS, Merge, Metric, rate_of


class _Cast(NamedTuple):
    """The statistics of a cast, and what more than one metric is worked out from.

    Attributes:
        stats: its statistics.
        target: to what it was.
        finite_inputs: elements that were finite before it.
        signal, noise: the sums of squares of those names.
        rms_error, sqnr_db: of the elements that are finite before and after; NaN without any.
    """

    stats: CastStats
    target: Target
    finite_inputs: int
    signal: ScaledSquares
    noise: ScaledSquares
    rms_error: float
    sqnr_db: float

    @classmethod
    def of(cls, stats: CastStats, target: Target) -> _Cast:
        counts, signal, noise = stats.counts, stats.squares("signal"), stats.squares("noise")
        inputs = counts["count"] - counts["nan_input_count"] - counts["inf_input_count"]
        rms_error = sqnr_db = math.nan
        if counts["finite_count"]:
            rms_error = noise.root(counts["finite_count"])
            sqnr_db = _ratio_db(signal, noise) if noise.total else math.inf
        return cls(stats, target, inputs, signal, noise, rms_error, sqnr_db)

    @property
    def is_drawn(self) -> bool:
        """Whether it was rounded stochastically."""
        return "expected_error_ulp" in self.stats.sums

    @property
    def reference(self) -> Reference:
        """What its scaled target gives on normal numbers, rounded in the same way."""
        assert isinstance(self.target, ScaledFormat)
        return reference_of(self.target, self.is_drawn)

    def total(self, name: str) -> int | float:
        """A count, or, of what is expected, a sum of probabilities."""
        sums = self.stats.sums
        found: int | float = sums[name] if name in sums else self.stats.counts.get(name, 0)
        return found


def _ratio_db(signal: ScaledSquares, noise: ScaledSquares) -> float:
    return signal.ratio_db(noise) if signal.total else -math.inf


Derivation = Callable[[_Cast], float]
"""A cast -> a metric."""


def _rate(name: str) -> Derivation:
    if "underflow_count" in name:
        return _underflow_rate(name)
    whole = "block_count" if METRICS[name].unit == BLOCKS else "count"

    def rate(cast: _Cast) -> float:
        of = cast.stats.counts[whole]
        return cast.total(name) / of if of else math.nan

    return rate


def _underflow_rate(name: str) -> Derivation:
    def rate(cast: _Cast) -> float:
        of = sum(cast.stats.exponents.values())  # which are of the finite non-zero elements
        return cast.total(name) / of if of else math.nan

    return rate


def _mean_of_steady(name: str) -> Derivation:
    """The mean over what no draw takes beyond the largest value."""

    def mean(cast: _Cast) -> float:
        count = cast.stats.counts["steady_count"]
        total: float = cast.stats.sums.get(name, 0.0)
        return total / count if count else math.nan

    return mean


def _headroom(cast: _Cast) -> float:
    most = cast.stats.maximum("max_abs")
    if not most:
        return math.inf if cast.finite_inputs else math.nan
    # of a fraction in lowest terms; Fraction itself takes most of a row's time
    (above, below), (over, under) = _largest(cast.target), most.as_integer_ratio()
    above, below = above * under, below * over
    common = math.gcd(above, below)
    return math.log2(above // common) - math.log2(below // common)


@lru_cache(maxsize=256)
def _largest(target: Target) -> tuple[int, int]:
    return largest_of(target).as_integer_ratio()


def _with_destroyed(surviving: Derivation, destroyed: float) -> Derivation:
    """A metric that is `destroyed` where an element is; without finite elements it has no value."""

    def value(cast: _Cast) -> float:
        if not cast.finite_inputs:
            return math.nan
        return destroyed if cast.stats.counts["destroyed_count"] else surviving(cast)

    return value


def _surviving_maximum(name: str) -> Derivation:
    surviving = f"surviving_{name}"
    return lambda cast: cast.stats.maximum(surviving)


def _mean_error_ulp(cast: _Cast) -> float:
    total: float = cast.stats.sums.get("error_ulp", 0.0)
    return total / cast.stats.counts["finite_count"]


def _rms_error(cast: _Cast) -> float:
    return cast.rms_error


def _sqnr_db(cast: _Cast) -> float:
    return cast.sqnr_db


def _small_value_loss_db(cast: _Cast) -> float:
    stats, target, noise = cast.stats, cast.target, cast.noise
    if not stats.counts["finite_count"]:
        return math.nan
    if not noise.total:
        return 0.0
    if isinstance(target, ScaledFormat):
        return _below_reference_db(cast)
    square = _DRAWN_SQUARE if cast.is_drawn else _NEAREST_SQUARE
    # what is beyond the largest exponent has another error, or none that is a number
    usual = _usual_noise(stats.exponents, target.emax, target.fraction_bits, square)
    usual_of_small = _usual_noise(stats.exponents, target.emin - 1, target.fraction_bits, square)
    in_range = stats.squares("normal_noise") + usual_of_small
    # neither is there where only zeros, which some formats lack, make noise
    return max(0.0, min(noise.ratio_db(of) if of.total else math.inf for of in (usual, in_range)))


_NEAREST_SQUARE = 1 / 12
"""The mean square of errors uniform within half an ulp, in ulps (Widrow and Kollar, Quantization
Noise, 2008)."""

_DRAWN_SQUARE = 1 / 6
"""That of stochastic rounding: at distance d it is d (1 - d), and distances are uniform."""


def _usual_noise(
    exponents: Mapping[int, int], most: int, fraction_bits: int, square: float
) -> ScaledSquares:
    """What rounding to a format without a smallest exponent would leave of some numbers.

    Args:
        exponents: exponent -> elements.
        most: the largest exponent to count.
        fraction_bits: of the format.
        square: the mean square of an error, in ulps.
    """
    counted = {exponent: count for exponent, count in exponents.items() if exponent <= most}
    top, total = max(counted, default=0), 0.0
    for exponent, count in counted.items():
        total += math.ldexp(count * square, 2 * (exponent - top))
    return ScaledSquares(total, top - fraction_bits)


def _below_reference_db(cast: _Cast) -> float:
    """By how much the SQNR, without what clipping costs, is below that of normal numbers."""
    noise = cast.stats.squares("unclipped_noise")
    return max(0.0, cast.reference.sqnr_db - _ratio_db(cast.signal, noise)) if noise.total else 0.0


def _clipping_loss_db(cast: _Cast) -> float:
    noise, rest = cast.noise, cast.stats.squares("unclipped_noise")
    if not cast.stats.counts["finite_count"]:
        return math.nan
    if not noise.total:
        return 0.0
    return noise.ratio_db(rest) if rest.total else math.inf


def _excess_underflow(cast: _Cast) -> float:
    rate = _underflow_rate("underflow_count")(cast)
    return max(0.0, rate - 2 * cast.reference.underflow_rate)


def _reference_sqnr_db(cast: _Cast) -> float:
    return cast.reference.sqnr_db


DERIVED: Mapping[str, Derivation] = MappingProxyType(
    {
        **{
            rate_of(name): _rate(name)
            for name, row in METRICS.items()
            if row.is_count and rate_of(name) in METRICS
        },
        "expected_mean_error_ulp": _mean_of_steady("expected_error_ulp"),
        "nearest_mean_error_ulp": _mean_of_steady("nearest_error_ulp"),
        "headroom_binades": _headroom,
        **{
            name: _with_destroyed(_surviving_maximum(name), math.inf)
            for name in ("max_abs_error", "max_rel_error", "max_error_ulp")
        },
        "mean_error_ulp": _with_destroyed(_mean_error_ulp, math.nan),
        "rms_error": _with_destroyed(_rms_error, math.inf),
        "sqnr_db": _with_destroyed(_sqnr_db, -math.inf),
        "surviving_rms_error": _rms_error,
        "surviving_sqnr_db": _sqnr_db,
        "small_value_loss_db": _small_value_loss_db,
        "clipping_loss_db": _clipping_loss_db,
        "underflow_excess": _excess_underflow,
        "reference_sqnr_db": _reference_sqnr_db,
    }
)
"""Name -> what follows from the counts, maxima and sums of all blocks."""


_UNMEASURED: dict[str, int | float | None] = dict.fromkeys(METRICS)


def metrics_of(
    stats: CastStats, target: Target, on_device: bool, drawn: bool = False
) -> dict[str, int | float | None]:
    """The value of each of METRICS; NaN where it has none.

    Those of devices are None if no device was compared with the CPU, those of scales where the
    target has none, those of draws where nothing was `drawn`.
    """
    found = _UNMEASURED.copy()
    totals, others = _measured(isinstance(target, ScaledFormat), on_device, drawn)
    cast = _Cast.of(stats, target)
    for name in totals:
        found[name] = cast.total(name)
    for name, value in others:
        found[name] = value(cast)
    return found


@cache  # a checkpoint of many tensors asks the same of each
def _measured(
    scaled: bool, on_device: bool, drawn: bool
) -> tuple[tuple[str, ...], tuple[tuple[str, Derivation], ...]]:
    """The metrics that a cast has: names of totals; of the others, what gives their value too."""
    has = [
        row
        for row in METRICS.values()
        if row.on_device <= on_device and row.of_scales <= scaled and row.of_draws <= drawn
    ]
    return (
        tuple(row.name for row in has if row.merge is Merge.SUM),
        tuple((row.name, _value_of(row)) for row in has if row.merge is not Merge.SUM),
    )


def _value_of(metric: Metric) -> Derivation:
    name = metric.name
    if metric.merge is Merge.MAX:
        return lambda cast: cast.stats.maximum(name) if cast.finite_inputs else math.nan
    if metric.merge is Merge.MIN:
        return lambda cast: cast.stats.minima.get(name, math.nan)
    return DERIVED[name]


def locations_of(stats: CastStats) -> dict[str, Location | None]:
    """Each of LOCATIONS; None where there is no such element."""
    found: dict[str, Location | None] = dict.fromkeys(_LOCATED)
    for location, names in _LOCATED.items():
        for name in names:
            if name in stats.locations:
                found[location] = stats.locations[name]
                break
    return found


def _located(name: str) -> tuple[str, ...]:
    """Under which names statistics have the location of a metric: the first that is there."""
    surviving = f"surviving_{name}"
    # an infinite error is where the first element was destroyed
    return ("destroyed_count", surviving) if surviving in MAXIMA else (name,)


_LOCATED: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {row.location: _located(name) for name, row in METRICS.items() if row.location is not None}
)
"""Each of LOCATIONS -> its names in `CastStats.locations`."""
