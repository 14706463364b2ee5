"""Blocks of float32 and float64 that are measured in float64, compiled: what is told of a cast.

This imports no numba: whoever needs a kernel is given it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import islice
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from fpx.core.formats import FORMATS
from fpx.core.spec import FormatSpec
from fpx.core.thresholds import Thresholds
from fpx.measure.measurement import NOTHING, Known, Maximum, Measurement, Sum
from fpx.measure.squares import ScaledSquares, is_safe

Array = np.ndarray[Any, Any]

_SPEC = FORMATS["float64"]


class _Limits(NamedTuple):
    """What the kernel has to know of a target; see `fpx.measure.kernel.measure_block`."""

    overflow: Any
    smallest_normal: Any
    low: int
    high: int
    unit: float


class Pass:
    """A cast of a block that the kernel can go over.

    Args:
        kernel: `fpx.measure.kernel`.
        x: before: float32 or float64 of shape (n,).
        q: after, float32.
        target: its format.
    """

    def __init__(self, kernel: ModuleType, x: Array, q: Array, target: FormatSpec) -> None:
        self._kernel = kernel
        self._x, self._q = x, q
        self._limits = _limits_of(kernel, target, x.dtype)

    def measurement(self, known: Known) -> Measurement | None:
        """All of it, but for what is known; None where a square over- or underflowed."""
        (found,) = self.measurements(np.array([len(self._x)]), known)
        return found

    def measurements(self, ends: Array, known: Known = NOTHING) -> Iterator[Measurement | None]:
        """The same of each segment by itself; positions are those in the segment.

        Args:
            ends: int64 of shape (n,): where each ends, and the next begins.
            known: as of `Measurer`.
        """
        kernel, segments = self._kernel, len(ends)
        lengths = np.diff(ends, prepend=0)
        numbers = np.zeros((segments, len(kernel.COUNTS)), np.int64)
        maxima = np.zeros((segments, len(kernel.MAXIMA)), np.int64)
        totals = np.zeros((segments, len(kernel.SUMS)), np.float64)
        least, stops = np.zeros((2, segments), np.int64)
        places = np.full((segments, kernel.KNOWN), -1)
        fields, elements = np.empty((2, np.minimum(lengths, kernel.EXPONENTS).sum()), np.int64)
        kernel.measure_segments(
            self._x, self._q, ends, *self._limits, _known(kernel, known), numbers, maxima, totals,
            least, places, fields, elements, stops,
        )  # fmt: skip
        present = slice(stops[-1])
        exponents = (fields[present] - _SPEC.bias).tolist()
        histogram = zip(exponents, elements[present].tolist(), strict=True)
        different = np.diff(stops, prepend=0)
        for length, counted, largest, sums, smallest, found, wide in zip(
            lengths.tolist(), numbers.tolist(), maxima.view(np.float64).tolist(), totals.tolist(),
            least.view(np.float64).tolist(), places.tolist(), different.tolist(), strict=True,
        ):  # fmt: skip
            own = dict(islice(histogram, wide))
            if self._is_exact(largest, sums):
                counts = dict(zip(kernel.COUNTS, counted, strict=True))
                yield _told(kernel, length, counts, largest, sums, smallest, found, own)
            else:
                yield None

    def _is_exact(self, largest: Sequence[float], sums: Sequence[float]) -> bool:
        most, error, signal = largest[0], largest[1], sums[0]
        if self._x.dtype == np.float32 or not most:
            return True
        # the signal is told by itself: the largest may be destroyed, and no part of it
        return is_safe(error) and is_safe(most) and signal > 0 and is_safe(math.sqrt(signal))


def _known(kernel: ModuleType, known: Known) -> Array:
    """What is known, as `fpx.measure.kernel.measure_segments` takes it."""
    bits = np.array([known.maxima.get(name, 0.0) for name in kernel.MAXIMA]).view(np.int64)
    every = np.iinfo(np.int64).max
    return np.append(bits, [every if name in known.firsts else 0 for name in kernel.WHICH])


def _told(
    kernel: ModuleType, length: int, counts: dict[str, int], largest: Sequence[float],
    sums: Sequence[float], smallest: float, places: Sequence[int], exponents: Mapping[int, int],
) -> Measurement:  # fmt: skip
    """What the kernel found of a segment of that length."""
    nonfinite = counts["overflow_to_inf_count"] + counts["overflow_to_nan_count"]
    counts["count"] = length
    counts["saturated_count"] = counts["overflow_count"] - nonfinite
    counts["unexpected_nonfinite_count"] = counts["destroyed_count"] - nonfinite
    maxima = zip(kernel.MAXIMA, largest, places, strict=False)
    firsts = zip(kernel.WHICH, places[len(kernel.MAXIMA) :], strict=True)
    return Measurement(
        counts=counts,
        maxima={name: Maximum(value, at) for name, value, at in maxima if at >= 0},
        minima={"min_abs": smallest} if smallest < math.inf else {},
        sums={name: _SUMS[name](total) for name, total in zip(kernel.SUMS, sums, strict=True)},
        firsts={name: at for name, at in firsts if at >= 0},
        exponents=exponents,
    )


_SUMS: Mapping[str, Callable[[float], Sum]] = {
    "signal": ScaledSquares, "noise": ScaledSquares, "normal_noise": ScaledSquares,
    "error_ulp": float,
}  # fmt: skip


@lru_cache(maxsize=256)
def _limits_of(kernel: ModuleType, target: FormatSpec, dtype: np.dtype[Any]) -> _Limits:
    thresholds = Thresholds.of(target)
    kind = dtype.type
    with np.errstate(over="ignore"):
        overflow = kind(thresholds.overflow)
        passed = float(overflow) == thresholds.overflow and thresholds.tie_stays
        if float(overflow) < thresholds.overflow or passed:
            overflow = np.nextafter(overflow, kind(math.inf))
    return _Limits(
        overflow,
        np.float32(thresholds.smallest_normal),
        (target.emin + _SPEC.bias) << kernel.FIELD,
        (target.emax + _SPEC.bias) << kernel.FIELD,
        2.0 ** (target.fraction_bits - 1),
    )
