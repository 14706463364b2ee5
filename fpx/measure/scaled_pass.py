"""Blocks of float32 that get elements and scales and are measured, compiled, in one pass.

This imports no numba: whoever needs a kernel is given it. Scales are `fpx.casts.scaling`'s.
"""

from __future__ import annotations

import math
from functools import lru_cache
from types import ModuleType
from typing import NamedTuple

import numpy as np
import torch

from fpx.casts.scaling import scales_of
from fpx.core.choices import ScaleRule, Ties
from fpx.core.elements import Codebook, largest
from fpx.core.formats import FORMATS
from fpx.core.scaling import ScaledFormat
from fpx.measure import scale_table
from fpx.measure.measurement import Known, Maximum, Measurement
from fpx.measure.narrow import Array, Scanned
from fpx.measure.scaled import bounds_of, measure_scales
from fpx.measure.squares import ScaledSquares

_SPEC = FORMATS["float64"]
_LONGEST = 1 << 10
"""Elements of a group, at most: several go into a stretch of the kernel."""

_TABLED = 1 << 18
"""Groups of a tensor for which a table of scales is worth its making."""


class Found(NamedTuple):
    """What became of a block.

    Attributes:
        steps: scale x global scale of each group, float64 of shape (n,); none is 0 or NaN.
        scales: what the scales are like, as `fpx.measure.scaled.measure_scales` has it.
        measurement: of its elements, as `fpx.measure.scaled.measure_scaled` has it.
    """

    steps: Array
    scales: Measurement
    measurement: Measurement


class _Limits(NamedTuple):
    """What the kernel has to know of elements, see `fpx.measure.kernel.measure_scaled`."""

    top: float
    low: int
    high: int
    shift: int


def takes(target: ScaledFormat, width: int) -> bool:
    """Whether groups of so many elements are measured here."""
    element, encoding = target.element, target.encoding
    return (
        not (isinstance(element, Codebook) and element.fraction_bits is None)
        and encoding.ties is Ties.EVEN
        and encoding.rule is not ScaleRule.FOUR_OVER_SIX
        and width <= _LONGEST
    )


def measured(
    kernel: ModuleType,
    block: Scanned,
    target: ScaledFormat,
    width: int,
    groups: int,
    global_: float,
    known: Known,
) -> Found | None:
    """What a scaled cast makes of a block; None where this does not tell.

    Args:
        kernel: `fpx.measure.kernel`.
        block: of n * width finite numbers.
        target: which this `takes`.
        width: elements of a group.
        groups: of the tensor.
        global_: the tensor's global scale.
        known: what is left out.
    """
    amax = np.empty(len(block.x) // width, np.int32)
    kernel.largest_of_groups(block.bits, width, amax)
    if scale_table.fits(target) and (groups >= _TABLED or target.global_scale is None):
        steps, scales = _looked_up(kernel, amax, target, global_)
    else:
        found_scales = scales_of(
            torch.from_numpy(amax.view(np.float32)).to(torch.float64), None, target, global_
        )
        steps, scales = found_scales.steps.numpy(), measure_scales(found_scales, None, target)
    if not float(steps.min()) > 0:  # a scale is 0, or NaN
        return None
    limits = _limits_of(kernel, target)
    overflow, tie_stays, smallest_normal = bounds_of(target)
    if tie_stays:
        overflow = math.nextafter(overflow, math.inf)
    numbers = np.zeros(len(kernel.SCALED_COUNTS), np.int64)
    bits = np.zeros(len(kernel.SCALED_MAXIMA), np.int64)
    near = np.zeros(len(kernel.SCALED_MAXIMA), np.int64)
    totals = np.zeros(len(kernel.SCALED_SUMS), np.float64)
    kernel.measure_scaled(
        block.x, steps, *limits, overflow, float(target.clips_beyond), smallest_normal,
        _bound(known), numbers, bits, near, totals,
    )  # fmt: skip
    found = dict(zip(kernel.SCALED_COUNTS, numbers.tolist(), strict=True))
    zeros, not_normal = found.pop("zero_count"), found.pop("not_normal_count")
    found["underflow_count"] = zeros - block.zeros
    found["subnormal_count"] = max(not_normal - zeros, 0)  # where none is below, there are none
    sums = dict(zip(kernel.SCALED_SUMS, totals.tolist(), strict=True))
    total = sums.pop("error_ulp")

    def find(which: int, value: float, group: int = 0) -> int:
        return int(kernel.find_scaled(block.x, steps, *limits, which, value, group))

    maxima = {}
    for which, name in enumerate(kernel.SCALED_MAXIMA):
        value = float(bits[which].view(np.float64))
        if value > known.maxima.get(name, 0.0):
            maxima[name] = Maximum(value, find(which, value, int(near[which])))
    if found.pop("beyond_count"):
        error = Maximum(*kernel.largest_scaled_error(block.x, steps, *limits))
        if error.value > known.maxima.get("surviving_max_rel_error", 0.0):
            maxima["surviving_max_rel_error"] = error
    if block.most > known.maxima.get("max_abs", 0.0):
        maxima["max_abs"] = Maximum(block.most, _place(block, amax, width))
    first = found["overflow_count"] and "overflow_count" not in known.firsts
    return Found(
        steps,
        scales,
        Measurement(
            counts={
                **dict.fromkeys(_NONE, 0),
                **found,
                "count": len(block.x),
                "saturated_count": found["overflow_count"],
                "finite_count": len(block.x),
            },
            maxima=maxima,
            minima={"min_abs": block.least} if block.least <= block.most else {},
            sums={
                "signal": ScaledSquares(block.signal),
                **{name: ScaledSquares(each) for name, each in sums.items()},
                "error_ulp": total,
            },
            firsts={"overflow_count": find(kernel.OVERFLOW, overflow)} if first else {},
            exponents=block.exponents,
        ),
    )


_NONE = (
    "overflow_to_inf_count", "overflow_to_nan_count", "unexpected_nonfinite_count",
    "destroyed_count", "nan_input_count", "inf_input_count", "nan_lost_count",
)  # fmt: skip
"""Counts of what such blocks have none of."""


def _looked_up(
    kernel: ModuleType, amax: Array, target: ScaledFormat, global_: float
) -> tuple[Array, Measurement]:
    """The steps of groups, and what their scales are like."""
    table = scale_table.scale_table(target, global_)
    steps = np.empty(len(amax))
    codes = np.zeros(1 << 8, np.int64)
    numbers = np.zeros(len(kernel.SCALE_COUNTS), np.int64)
    clips = float(target.clips_beyond)
    kernel.look_up_scales(amax, *table, scale_table.BEGINNING, clips, steps, codes, numbers)
    present = np.flatnonzero(codes)
    scales = dict(zip(present.tolist(), codes[present].tolist(), strict=True))
    counts = dict(zip(kernel.SCALE_COUNTS, numbers.tolist(), strict=True))
    subnormal = range(1, 1 << target.scale.fraction_bits) if target.scale.zero else range(0)
    subnormals = int(codes[subnormal.start : subnormal.stop].sum())
    if table.zero in subnormal:
        subnormals -= counts["zero_block_count"]
    return steps, Measurement(
        counts={
            **counts,
            "block_count": len(amax),
            "zero_scale_count": 0,
            "subnormal_scale_count": subnormals,
            "nan_scale_count": 0,
        },
        scales=scales,
    )


def _place(block: Scanned, amax: Array, width: int) -> int:
    """Where the largest magnitude is."""
    start = int(amax.argmax()) * width  # the first of equals
    return start + int(np.abs(block.x[start : start + width]).argmax())


def _bound(known: Known) -> float:
    """A relative error that none is beyond whose quotient is not above what is known.

    Products with it are rounded, if not with 1.
    """
    error = known.maxima.get("surviving_max_rel_error", 0.0)
    return error if error == 1 else error * (1 - 2.0**-50)


@lru_cache(maxsize=256)
def _limits_of(kernel: ModuleType, target: ScaledFormat) -> _Limits:
    element = target.element
    if isinstance(element, Codebook):  # whose values are as far from each other everywhere
        assert element.fraction_bits is not None
        emin = emax = 0
        fraction_bits = element.fraction_bits
    else:
        emin, emax, fraction_bits = element.emin, element.emax, element.fraction_bits
    return _Limits(
        float(largest(element)),
        (emin + _SPEC.bias) << kernel.FIELD,
        (emax + _SPEC.bias) << kernel.FIELD,
        fraction_bits << kernel.FIELD,
    )
