"""Casts with scales, element by element in fractions; and numbers at which such casts turn."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from itertools import pairwise

import numpy as np
import torch

from fpx.core.elements import Codebook, element_values, floor_log2, largest
from fpx.core.quantise import Datum, global_scale, quantise
from fpx.core.scaling import ScaledFormat

Number = int | float

INTEGERS = {
    torch.int32: (-(2**31), 2**31 - 1),
    torch.int64: (-(2**63), 2**63 - 1),
    torch.uint64: (0, 2**64 - 1),
}
"""The ends of some dtypes."""


@dataclass(frozen=True)
class Exactly:
    """What a cast is, see `exactly`.

    Attributes:
        results: of the elements.
        counts: by the names of metrics.
        error, relative: the largest |q - x|, and |q - x| / |x|.
    """

    results: list[Fraction]
    counts: Counter[str]
    error: Fraction
    relative: Fraction


def exactly(x: Sequence[Number], target: ScaledFormat) -> Exactly:
    """What finite numbers in whole blocks become, and how far that is from them."""
    width = target.reach.columns
    global_ = Fraction(1)
    if target.global_scale is not None:
        global_ = global_scale(max(abs(Fraction(v)) for v in x), target)[1]
    overflow, reached, normal = limits(target)
    counts: Counter[str] = Counter()
    results: list[Fraction] = []
    error = relative = Fraction(0)
    for start in range(0, len(x), width):
        some = [Datum(Fraction(v), math.copysign(1, v) < 0) for v in x[start : start + width]]
        block = quantise(some, target, global_)
        assert block.scale is not None
        step = block.scale * global_
        clips = Fraction(0)
        for each, result in zip(some, block.values, strict=True):
            assert each.value is not None
            assert result is not None
            magnitude, off = abs(each.value), abs(result - each.value)
            results.append(result)
            error = max(error, off)
            relative = max(relative, off / magnitude if magnitude else Fraction(0))
            counts["exact_count"] += not off
            counts["underflow_count"] += magnitude != 0 and not result
            if step:
                ratio = magnitude / step
                clips = max(clips, ratio)
                counts["overflow_count"] += ratio >= overflow if reached else ratio > overflow
                counts["clipped_count"] += ratio > target.clips_beyond
                counts["subnormal_count"] += 0 < abs(result) / step < normal
        counts["clipped_block_count"] += clips > target.clips_beyond
    return Exactly(results, counts, error, relative)


def limits(target: ScaledFormat) -> tuple[Fraction, bool, Fraction]:
    """Steps from 0 where elements overflow, whether that does too, and the smallest normal one."""
    element, top = target.element, largest(target.element)
    if isinstance(element, Codebook):
        even = element.fraction_bits is not None
        return top + (Fraction(1, 2 << (element.fraction_bits or 0)) if even else 0), even, top * 0
    half = Fraction(2) ** (floor_log2(top) - element.fraction_bits) / 2
    return top + half, element.max_finite_magnitude % 2 == 1, element.smallest_normal.fraction


@cache
def turns(target: ScaledFormat) -> tuple[Fraction, ...]:
    """Steps from 0 at which something changes: elements, between them, and at the ends."""
    values = sorted({value for value in element_values(target.element) if value is not None})
    between = [(below + above) / 2 for below, above in pairwise(values)]
    ends = [sign * end for end in (limits(target)[0], target.clips_beyond) for sign in (1, -1)]
    return (*values, *between, *ends)


def beside(value: Fraction, dtype: torch.dtype) -> Iterator[Number]:
    """Numbers of a dtype around one, that itself if it is there."""
    if dtype in INTEGERS:
        low, high = INTEGERS[dtype]
        whole = math.floor(value)
        yield from (v for v in range(whole - 1, whole + 3) if low <= v <= high)
        return
    kind = np.float32 if dtype is torch.float32 else np.float64
    with np.errstate(over="ignore"):
        near = kind(float(value))
        around = (near, *(np.nextafter(near, kind(end)) for end in (math.inf, -math.inf)))
    yield from (float(v) for v in around if math.isfinite(v))


def tensor(x: Sequence[Number], dtype: torch.dtype) -> torch.Tensor:
    """The same as a tensor of one axis, exactly."""
    if dtype is torch.uint64:
        return torch.from_numpy(np.array(x, dtype=np.uint64))
    return torch.tensor(x, dtype=dtype)
