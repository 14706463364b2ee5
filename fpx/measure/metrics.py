"""How each metric is measured: a row of the name that it has in `fpx.report.metrics`.

The measurements are made of torch's operations on a whole block; `measure` is one measurer, and
others stand beside it in MEASURERS.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

import torch
from torch import Tensor

from fpx.casts.rounding import nans
from fpx.core.spec import FormatSpec
from fpx.measure.block import SourceBlock
from fpx.measure.measurement import NOTHING, Known, Maximum, Measurement, Measurer, Sum
from fpx.measure.pair import Pair
from fpx.measure.squares import ScaledSquares
from fpx.measure.stats import CastStats
from fpx.report.cast_compare import Location
from fpx.report.metrics import METRICS, Merge

# -- counts ----------------------------------------------------------------------------------------


def _among_overflows(test: Callable[[Tensor], Tensor]) -> Callable[[Pair], int]:
    def count(pair: Pair) -> int:
        return 0 if pair.overflow is None else pair.source.count(pair.overflow & test(pair.result))

    return count


def _unexpected_nonfinite(pair: Pair) -> int:
    if pair.all_finite:
        return 0
    wrong = ~pair.result.isfinite()
    if pair.source.finite is not None:
        wrong &= pair.source.finite
    return pair.source.count(wrong if pair.overflow is None else wrong & ~pair.overflow)


def _underflows(pair: Pair) -> int:
    return 0 if pair.zero is None else pair.source.count(pair.zero & ~pair.source.zero)


def _subnormals(pair: Pair) -> int:
    limit = pair.thresholds.smallest_normal
    if pair.extremes[0] >= limit:
        return 0
    return pair.source.count(pair.magnitude < limit) - pair.source.count(pair.zero)


def _exact(pair: Pair) -> int:
    source = pair.source
    bits = pair.error.view(source.measure.bits)  # which are counted twice as fast as floats
    exact = source.total - source.count(bits)
    if pair.all_finite:
        return exact
    # the error was set to 0 where a side is not finite: of those only a kept infinity is exact
    kept = source.magnitude.isinf() & (pair.result == source.rounded)
    return exact - (source.total - pair.finite_count) + source.count(kept)


def _nan_inputs(pair: Pair) -> int:
    source = pair.source
    return 0 if source.finite is None else source.count(source.rounded.isnan())


def _infinite_inputs(pair: Pair) -> int:
    source = pair.source
    return 0 if source.finite is None else source.count(source.rounded.isinf())


def _nans_lost(pair: Pair) -> int:
    source = pair.source
    if source.finite is None:
        return 0
    return source.count(source.rounded.isnan() & ~pair.result.isnan())


COUNTS: Mapping[str, Callable[[Pair], int]] = MappingProxyType(
    {
        "count": lambda pair: pair.source.total,
        "overflow_count": lambda pair: pair.source.count(pair.overflow),
        "overflow_to_inf_count": _among_overflows(torch.isinf),
        "overflow_to_nan_count": _among_overflows(torch.isnan),
        "saturated_count": _among_overflows(torch.isfinite),
        "unexpected_nonfinite_count": _unexpected_nonfinite,
        "underflow_count": _underflows,
        "subnormal_count": _subnormals,
        "nan_input_count": _nan_inputs,
        "inf_input_count": _infinite_inputs,
        "nan_lost_count": _nans_lost,
        "exact_count": _exact,
        "finite_count": lambda pair: pair.finite_count,
    }
)
"""Name -> number of elements in a block. The last is no metric: means divide by it."""


FIRSTS: Mapping[str, Callable[[Pair], Tensor | None]] = MappingProxyType(
    {"overflow_count": lambda pair: pair.overflow}
)
"""Name of a count whose first element is kept -> where it has elements; None is nowhere."""


# -- maxima ----------------------------------------------------------------------------------------


class Largest(NamedTuple):
    """Numbers of which the largest is kept, with where it is.

    Attributes:
        elementwise: the number of each element, at least 0.
        largest: the largest of them, where a pair knows it already.
        slack: how far off it may be, relatively, where it is measured in float32.
    """

    elementwise: Callable[[Pair], Tensor]
    largest: Callable[[Pair], float] | None = None
    slack: float = 0.0


MAXIMA: Mapping[str, Largest] = MappingProxyType(
    {
        "max_abs_error": Largest(lambda pair: pair.error, lambda pair: pair.largest_error),
        # one rounding in float32 is 2^-24
        "max_rel_error": Largest(Pair.relative_error, slack=2.0**-22),
        "max_error_ulp": Largest(
            lambda pair: pair.error_in_ulps, lambda pair: pair.largest_error_in_ulps
        ),
    }
)
"""Name -> numbers whose largest it is."""


def _maximum(metric: Largest, pair: Pair, known: float) -> Maximum | None:
    """The largest of a block, if it is above what is known."""
    numbers = metric.elementwise(pair)
    largest = float(numbers.amax()) if metric.largest is None else metric.largest(pair)
    slack = metric.slack if pair.is_narrow else 0.0
    if largest * (1 + slack) <= known:
        return None
    if not slack:
        return Maximum(largest, int(numbers.argmax()))
    if largest == known == 1 and not (pair.error > pair.source.magnitude).any():
        return None  # exactly 1, all of it: whatever underflows has that relative error
    # Which element has it is settled in float64. Rounding keeps the order, so it is one of those
    # that have the largest as measured.
    near = (numbers == largest).nonzero().view(-1)
    exact = metric.elementwise(pair.at(near))
    at = int(exact.argmax())  # the first of equals
    return Maximum(float(exact[at]), int(near[at])) if float(exact[at]) > known else None


# -- sums, and what is worked out from them --------------------------------------------------------


def _signal(pair: Pair) -> ScaledSquares:
    source = pair.source
    if pair.all_finite:
        return source.signal
    finite = pair.result.isfinite() & source.rounded.isfinite()
    values = torch.where(finite, source.rounded, 0.0)
    return source.squares(values, float(values.abs().amax()))


def _noise(pair: Pair) -> ScaledSquares:
    return pair.source.squares(pair.signed_error, pair.largest_error)


SUMS: Mapping[str, Callable[[Pair], Sum]] = MappingProxyType({"signal": _signal, "noise": _noise})
"""Name -> sum over a block: of the squares of x and of q - x, where both are finite."""


def _rms_error(stats: CastStats) -> float:
    count, noise = stats.counts["finite_count"], stats.squares("noise")
    return noise.root(count) if count else math.nan


def _sqnr_db(stats: CastStats) -> float:
    signal, noise = stats.squares("signal"), stats.squares("noise")
    if not stats.counts["finite_count"]:
        return math.nan
    if not noise.total:
        return math.inf
    return signal.ratio_db(noise) if signal.total else -math.inf


FROM_SUMS: Mapping[str, Callable[[CastStats], float]] = MappingProxyType(
    {"rms_error": _rms_error, "sqnr_db": _sqnr_db}
)
"""Name -> what follows from the sums and counts of all blocks."""


def metrics_of(stats: CastStats, on_device: bool) -> dict[str, int | float | None]:
    """The value of each of METRICS; None for those of devices if none was compared with the CPU."""

    def value(name: str, merge: Merge) -> int | float:
        if merge is Merge.SUM:
            return stats.counts[name]
        return stats.maximum(name) if merge is Merge.MAX else FROM_SUMS[name](stats)

    return {
        name: value(name, metric.merge) if on_device or not metric.on_device else None
        for name, metric in METRICS.items()
    }


def locations_of(stats: CastStats) -> dict[str, Location | None]:
    """Each of LOCATIONS; None where there is no such element."""
    return {
        metric.location: stats.locations.get(name)
        for name, metric in METRICS.items()
        if metric.location is not None
    }


# -- measurers -------------------------------------------------------------------------------------


def measure(
    source: SourceBlock, q: Tensor, target: FormatSpec, known: Known = NOTHING
) -> Measurement:
    """What a cast did to a block, by torch's operations; see `Measurer`."""
    pair = Pair.of(source, q, target)
    counts = {name: count(pair) for name, count in COUNTS.items()}
    maxima = {
        name: _maximum(row, pair, known.maxima.get(name, 0.0)) for name, row in MAXIMA.items()
    }
    new = [name for name in FIRSTS if counts[name] and name not in known.firsts]
    masks = {name: FIRSTS[name](pair) for name in new}
    return Measurement(
        counts=counts,
        maxima={name: maximum for name, maximum in maxima.items() if maximum is not None},
        sums={name: sum_of(pair) for name, sum_of in SUMS.items()},
        firsts={
            name: int(mask.to(torch.uint8).argmax())
            for name, mask in masks.items()
            if mask is not None
        },
        exponents=pair.source.exponents,
    )


MEASURERS: Mapping[str, Measurer] = MappingProxyType({"torch": measure})
"""Who measures, by name. All give equal measurements."""


def measure_mismatches(on_device: Tensor, on_cpu: Tensor, target: FormatSpec) -> Measurement:
    """Where a device's cast differs from the CPU's: the metrics that are `on_device`.

    Args:
        on_device, on_cpu: codes of the target of shape (n,), both on the CPU.
        target: their format.
    """
    differs = on_device != on_cpu
    both_nan = nans(on_device, target) & nans(on_cpu, target)
    wrong = differs & ~both_nan
    count = int(wrong.count_nonzero())
    return Measurement(
        counts={
            "device_mismatch_count": count,
            "device_nan_bits_mismatch_count": int((differs & both_nan).count_nonzero()),
        },
        firsts={"device_mismatch_count": int(wrong.to(torch.uint8).argmax())} if count else {},
    )
