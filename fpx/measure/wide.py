"""Blocks of float32 and float64 that are measured in float64, compiled: what is told of a cast.

This imports no numba: whoever needs a kernel is given it.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from functools import lru_cache
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from fpx.core.formats import FORMATS
from fpx.core.spec import FormatSpec
from fpx.core.thresholds import Thresholds
from fpx.measure.measurement import Known, Maximum, Measurement, Sum
from fpx.measure.metrics import FIRSTS
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

    def maxima(self, values: Mapping[str, float]) -> dict[str, Maximum]:
        """Largest values with their positions, given the values."""
        return {
            name: Maximum(value, self._find(self._kernel.MAXIMA.index(name), value))
            for name, value in values.items()
        }

    def measurement(self, known: Known) -> Measurement | None:
        """All of it, but for what is known; None where a square over- or underflowed."""
        kernel = self._kernel
        numbers = np.zeros(len(kernel.COUNTS), np.int64)
        maxima = np.zeros(len(kernel.MAXIMA), np.int64)
        totals = np.zeros(len(kernel.SUMS), np.float64)
        fields = np.zeros((4, kernel.EXPONENTS), np.int32)
        least = kernel.measure_block(
            self._x, self._q, *self._limits, numbers, maxima, totals, fields
        )
        largest = dict(zip(kernel.MAXIMA, maxima.view(np.float64).tolist(), strict=True))
        sums = dict(zip(kernel.SUMS, totals.tolist(), strict=True))
        if not self._is_exact(largest, sums["signal"]):
            return None
        counts = dict(zip(kernel.COUNTS, numbers.tolist(), strict=True))
        nonfinite = counts["overflow_to_inf_count"] + counts["overflow_to_nan_count"]
        counts["count"] = len(self._x)
        counts["saturated_count"] = counts["overflow_count"] - nonfinite
        counts["unexpected_nonfinite_count"] = counts["destroyed_count"] - nonfinite
        smallest = float(np.int64(least).view(np.float64))
        return Measurement(
            counts=counts,
            maxima=self.maxima(
                {name: v for name, v in largest.items() if v > known.maxima.get(name, 0.0)}
            ),
            minima={"min_abs": smallest} if math.isfinite(smallest) else {},
            sums={name: _as_sum(name, total) for name, total in sums.items()},
            firsts={
                name: self._find(kernel.WHICH[name])
                for name in FIRSTS
                if counts[name] and name not in known.firsts
            },
            exponents=self._histogram(fields.sum(0)[:-1]),  # the last are infinities and NaNs
        )

    def _is_exact(self, largest: Mapping[str, float], signal: float) -> bool:
        most, error = largest["max_abs"], largest["surviving_max_abs_error"]
        if self._x.dtype == np.float32 or not most:
            return True
        # the signal is told by itself: the largest may be destroyed, and no part of it
        return is_safe(error) and is_safe(most) and signal > 0 and is_safe(math.sqrt(signal))

    def _find(self, which: int, value: float = 0.0) -> int:
        overflow, _, *others = self._limits
        (bits,) = struct.unpack("q", struct.pack("d", value))
        return int(self._kernel.find(self._x, self._q, which, bits, overflow, *others))

    def _histogram(self, counts: Array) -> dict[int, int]:
        if counts[0]:
            counts[0] -= np.count_nonzero(self._x == 0)
        present = np.flatnonzero(counts)
        return dict(zip((present - _SPEC.bias).tolist(), counts[present].tolist(), strict=True))


def _as_sum(name: str, total: float) -> Sum:
    return total if name == "error_ulp" else ScaledSquares(total)


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
