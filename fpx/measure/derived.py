"""Metrics that are worked out last, from the counts, maxima and sums of all blocks."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from fractions import Fraction
from functools import cache, lru_cache
from types import MappingProxyType

from fpx.core.blocks import Target, largest_of
from fpx.core.scaling import ScaledFormat
from fpx.measure.metrics import MAXIMA
from fpx.measure.reference import Reference, reference_of
from fpx.measure.squares import ScaledSquares
from fpx.measure.stats import CastStats
from fpx.report.cast_row import Location
from fpx.report.metrics import BLOCKS, METRICS, Merge, Metric, rate_of

Derivation = Callable[[CastStats, Target], float]
"""The statistics of a cast, and to what it was -> a metric."""


def _finite_inputs(stats: CastStats) -> int:
    counts = stats.counts
    return counts["count"] - counts["nan_input_count"] - counts["inf_input_count"]


def _rate(name: str) -> Derivation:
    if "underflow_count" in name:
        return _underflow_rate(name)
    whole = "block_count" if METRICS[name].unit == BLOCKS else "count"

    def rate(stats: CastStats, target: Target) -> float:
        of = stats.counts[whole]
        return _total(stats, name) / of if of else math.nan

    return rate


def _underflow_rate(name: str) -> Derivation:
    def rate(stats: CastStats, target: Target) -> float:
        of = sum(stats.exponents.values())  # which are of the finite non-zero elements
        return _total(stats, name) / of if of else math.nan

    return rate


def _total(stats: CastStats, name: str) -> int | float:
    """A count, or, of what is expected, a sum of probabilities."""
    found: int | float = stats.sums[name] if name in stats.sums else stats.counts.get(name, 0)
    return found


def _mean_of_steady(name: str) -> Derivation:
    """The mean over what no draw takes beyond the largest value."""

    def mean(stats: CastStats, target: Target) -> float:
        count = stats.counts["steady_count"]
        total: float = stats.sums.get(name, 0.0)
        return total / count if count else math.nan

    return mean


def _headroom(stats: CastStats, target: Target) -> float:
    most = stats.maximum("max_abs")
    if not most:
        return math.inf if _finite_inputs(stats) else math.nan
    top = _largest(target) / Fraction(most)
    return math.log2(top.numerator) - math.log2(top.denominator)


_largest = lru_cache(maxsize=256)(largest_of)


def _with_destroyed(surviving: Derivation, destroyed: float) -> Derivation:
    """A metric that is `destroyed` where an element is; without finite elements it has no value."""

    def value(stats: CastStats, target: Target) -> float:
        if not _finite_inputs(stats):
            return math.nan
        return destroyed if stats.counts["destroyed_count"] else surviving(stats, target)

    return value


def _surviving_maximum(name: str) -> Derivation:
    surviving = f"surviving_{name}"
    return lambda stats, target: stats.maximum(surviving)


def _mean_error_ulp(stats: CastStats, target: Target) -> float:
    total: float = stats.sums.get("error_ulp", 0.0)
    return total / stats.counts["finite_count"]


def _rms_error(stats: CastStats, target: Target) -> float:
    count, noise = stats.counts["finite_count"], stats.squares("noise")
    return noise.root(count) if count else math.nan


def _sqnr_db(stats: CastStats, target: Target) -> float:
    signal, noise = stats.squares("signal"), stats.squares("noise")
    if not stats.counts["finite_count"]:
        return math.nan
    if not noise.total:
        return math.inf
    return signal.ratio_db(noise) if signal.total else -math.inf


def _small_value_loss_db(stats: CastStats, target: Target) -> float:
    noise = stats.squares("noise")
    if not stats.counts["finite_count"]:
        return math.nan
    if not noise.total:
        return 0.0
    if isinstance(target, ScaledFormat):
        return _below_reference_db(stats, reference_of(target))
    # What rounding to a format without a smallest exponent would leave: errors are uniform within
    # half an ulp, whose mean square is ulp^2 / 12 (Widrow and Kollar, Quantization Noise, 2008).
    # Rounded stochastically, at distance d it is d (1 - d), on average 1/6.
    usual_square = 1 / 6 if "expected_error_ulp" in stats.sums else 1 / 12
    usual, usual_of_small = ScaledSquares(), ScaledSquares()
    emin, emax, fraction_bits = target.emin, target.emax, target.fraction_bits
    for exponent, count in stats.exponents.items():
        if exponent > emax:  # what is beyond has another error, or none that is a number
            continue
        expected = ScaledSquares(count * usual_square, exponent - fraction_bits)
        usual += expected
        if exponent < emin:
            usual_of_small += expected
    in_range = stats.squares("normal_noise") + usual_of_small
    # neither is there where only zeros, which some formats lack, make noise
    return max(0.0, min(noise.ratio_db(of) if of.total else math.inf for of in (usual, in_range)))


def _below_reference_db(stats: CastStats, reference: Reference) -> float:
    """By how much the SQNR, without what clipping costs, is below that of normal numbers."""
    signal, noise = stats.squares("signal"), stats.squares("unclipped_noise")
    if not noise.total:
        return 0.0
    found = signal.ratio_db(noise) if signal.total else -math.inf
    return max(0.0, reference.sqnr_db - found)


def _clipping_loss_db(stats: CastStats, target: Target) -> float:
    noise, rest = stats.squares("noise"), stats.squares("unclipped_noise")
    if not stats.counts["finite_count"]:
        return math.nan
    if not noise.total:
        return 0.0
    return noise.ratio_db(rest) if rest.total else math.inf


def _excess_underflow(stats: CastStats, target: Target) -> float:
    assert isinstance(target, ScaledFormat)
    rate = _underflow_rate("underflow_count")(stats, target)
    return max(0.0, rate - 2 * reference_of(target).underflow_rate)


def _reference_sqnr_db(stats: CastStats, target: Target) -> float:
    assert isinstance(target, ScaledFormat)
    return reference_of(target).sqnr_db


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


def metrics_of(
    stats: CastStats, target: Target, on_device: bool, drawn: bool = False
) -> dict[str, int | float | None]:
    """The value of each of METRICS; NaN where it has none.

    Those of devices are None if no device was compared with the CPU, those of scales where the
    target has none, those of draws where nothing was `drawn`.
    """
    found: dict[str, int | float | None] = dict.fromkeys(METRICS)
    for name, value in _measured(isinstance(target, ScaledFormat), on_device, drawn):
        found[name] = value(stats, target)
    return found


@cache  # a checkpoint of many tensors asks the same of each
def _measured(scaled: bool, on_device: bool, drawn: bool) -> tuple[tuple[str, Derivation], ...]:
    """The metrics that a cast has, by name, each with what gives its value."""
    return tuple(
        (name, _value_of(metric))
        for name, metric in METRICS.items()
        if metric.on_device <= on_device and metric.of_scales <= scaled and metric.of_draws <= drawn
    )


def _value_of(metric: Metric) -> Derivation:
    name = metric.name
    if metric.merge is Merge.SUM:
        return lambda stats, target: _total(stats, name)
    if metric.merge is Merge.MAX:
        return lambda stats, target: stats.maximum(name) if _finite_inputs(stats) else math.nan
    if metric.merge is Merge.MIN:
        return lambda stats, target: stats.minima.get(name, math.nan)
    return DERIVED[name]


def locations_of(stats: CastStats) -> dict[str, Location | None]:
    """Each of LOCATIONS; None where there is no such element."""
    found = stats.locations
    return {
        location: next((found[name] for name in names if name in found), None)
        for location, names in _LOCATED.items()
    }


def _located(name: str) -> tuple[str, ...]:
    """Under which names statistics have the location of a metric: the first that is there."""
    surviving = f"surviving_{name}"
    # an infinite error is where the first element was destroyed
    return ("destroyed_count", surviving) if surviving in MAXIMA else (name,)


_LOCATED: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {row.location: _located(name) for name, row in METRICS.items() if row.location is not None}
)
"""Each of LOCATIONS -> its names in `CastStats.locations`."""
