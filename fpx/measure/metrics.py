"""How each metric is measured: a row of the name that it has in `fpx.report.metrics`.

The measurements are made of torch's operations on a whole block; `measure` is one measurer, and
`fpx.measure.measurers` chooses between it and others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

import torch
from torch import Tensor

from fpx.casts.unpacked import nans
from fpx.core.spec import FormatSpec
from fpx.measure.block import SourceBlock
from fpx.measure.measurement import NOTHING, Known, Maximum, Measurement, Sum
from fpx.measure.pair import Pair
from fpx.measure.squares import ScaledSquares

# -- counts ----------------------------------------------------------------------------------------


def _among_overflows(test: Callable[[Tensor], Tensor]) -> Callable[[Pair], int]:
    def count(pair: Pair) -> int:
        return 0 if pair.overflow is None else pair.source.count(pair.overflow & test(pair.result))

    return count


def _unexpected_nonfinite(pair: Pair) -> int:
    destroyed = pair.destroyed
    if destroyed is None or pair.overflow is None:
        return pair.source.count(destroyed)
    return pair.source.count(destroyed & ~pair.overflow)


def _underflows(pair: Pair) -> int:
    if pair.zero is None:
        return 0
    return pair.source.count(pair.zero & (pair.source.finite_magnitude > 0))


def _exact(pair: Pair) -> int:
    source = pair.source
    bits = pair.error.view(source.measure.bits)  # which are counted twice as fast as floats
    exact = source.total - source.count(bits)
    if pair.all_finite:
        return exact
    # the error was set to 0 where a side is not finite: of those only a kept infinity is exact
    kept = source.magnitude.isinf() & (pair.result == source.value)
    return exact - (source.total - pair.finite_count) + source.count(kept)


def _nan_inputs(pair: Pair) -> int:
    source = pair.source
    return 0 if source.finite is None else source.count(source.value.isnan())


def _infinite_inputs(pair: Pair) -> int:
    source = pair.source
    return 0 if source.finite is None else source.count(source.value.isinf())


def _nans_lost(pair: Pair) -> int:
    source = pair.source
    if source.finite is None:
        return 0
    return source.count(source.value.isnan() & ~pair.result.isnan())


COUNTS: Mapping[str, Callable[[Pair], int]] = MappingProxyType(
    {
        "count": lambda pair: pair.source.total,
        "overflow_count": lambda pair: pair.source.count(pair.overflow),
        "overflow_to_inf_count": _among_overflows(torch.isinf),
        "overflow_to_nan_count": _among_overflows(torch.isnan),
        "saturated_count": _among_overflows(torch.isfinite),
        "unexpected_nonfinite_count": _unexpected_nonfinite,
        "destroyed_count": lambda pair: pair.source.count(pair.destroyed),
        "underflow_count": _underflows,
        "subnormal_count": lambda pair: pair.subnormals,
        "nan_input_count": _nan_inputs,
        "inf_input_count": _infinite_inputs,
        "nan_lost_count": _nans_lost,
        "exact_count": _exact,
        "finite_count": lambda pair: pair.finite_count,
    }
)
"""Name -> number of elements in a block. The last is no metric: means divide by it."""


FIRSTS: Mapping[str, Callable[[Pair], Tensor | None]] = MappingProxyType(
    {
        "overflow_count": lambda pair: pair.overflow,
        "destroyed_count": lambda pair: pair.destroyed,
    }
)
"""Name of a count whose first element is kept -> where it has elements; None is nowhere."""


# -- maxima and minima -----------------------------------------------------------------------------


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
        "max_abs": Largest(
            lambda pair: pair.source.finite_magnitude, lambda pair: pair.source.largest
        ),
        "surviving_max_abs_error": Largest(
            lambda pair: pair.error, lambda pair: pair.largest_error
        ),
        # one rounding in float32 is 2^-24
        "surviving_max_rel_error": Largest(Pair.relative_error, slack=2.0**-22),
        "surviving_max_error_ulp": Largest(
            lambda pair: pair.error_in_ulps, lambda pair: pair.largest_error_in_ulps
        ),
    }
)
"""Name -> numbers whose largest it is."""


MINIMA: Mapping[str, Callable[[Pair], float | None]] = MappingProxyType(
    {"min_abs": lambda pair: pair.source.smallest}
)
"""Name -> the smallest of some numbers; None where there are none."""


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


# -- sums ------------------------------------------------------------------------------------------


def _signal(pair: Pair) -> ScaledSquares:
    source = pair.source
    if pair.all_finite:
        return source.signal
    finite = pair.result.isfinite() & source.value.isfinite()
    values = torch.where(finite, source.value, 0.0)
    return source.squares(values, float(values.abs().amax()))


def _normal_noise(pair: Pair) -> ScaledSquares:
    if pair.small is None:
        return pair.noise
    error = torch.where(pair.small, 0.0, pair.signed_error)
    return pair.source.squares(error, float(error.abs().amax()))


def _error_ulp(pair: Pair) -> float:
    error, weights = pair.signed_error_in_ulps, pair.source.weights
    if weights is None:
        return float(error.sum(dtype=torch.float64))
    return float(torch.dot(error.to(torch.float64), weights))


SUMS: Mapping[str, Callable[[Pair], Sum]] = MappingProxyType(
    {
        "signal": _signal,
        "noise": lambda pair: pair.noise,
        "normal_noise": _normal_noise,
        "error_ulp": _error_ulp,
    }
)
"""Name -> sum over the elements of a block that are finite before and after the cast.

`signal` is of x^2, `noise` of (q - x)^2, `normal_noise` of that where |x| is not below the target's
smallest normal value, `error_ulp` of q - x in ulps of the target at x.
"""


# -- measurers -------------------------------------------------------------------------------------


def measure(
    source: SourceBlock, q: Tensor, target: FormatSpec, known: Known = NOTHING
) -> Measurement:
    """What a cast did to a block, by torch's operations; see `Measurer`."""
    return measure_pair(Pair.of(source, q, target), known)


def measure_pair(pair: Pair, known: Known = NOTHING) -> Measurement:
    """The measurement of a block before and after."""
    counts = {name: count(pair) for name, count in COUNTS.items()}
    maxima = {
        name: _maximum(row, pair, known.maxima.get(name, 0.0)) for name, row in MAXIMA.items()
    }
    minima = {name: smallest(pair) for name, smallest in MINIMA.items()}
    new = [name for name in FIRSTS if counts[name] and name not in known.firsts]
    masks = {name: FIRSTS[name](pair) for name in new}
    return Measurement(
        counts=counts,
        maxima={name: maximum for name, maximum in maxima.items() if maximum is not None},
        minima={name: least for name, least in minima.items() if least is not None},
        sums={name: sum_of(pair) for name, sum_of in SUMS.items()},
        firsts={
            name: int(mask.to(torch.uint8).argmax())
            for name, mask in masks.items()
            if mask is not None
        },
        exponents=pair.source.exponents,
    )


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
