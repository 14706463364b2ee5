"""Blocks of float32 that are measured in float32, compiled: what is told of a block, and of a cast.

This imports no numba: whoever needs a kernel is given it.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from functools import cached_property, lru_cache
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from fpx.core.formats import FORMATS
from fpx.core.spec import FormatSpec
from fpx.core.thresholds import Thresholds
from fpx.measure.measurement import Known, Maximum, Measurement
from fpx.measure.squares import ScaledSquares

Array = np.ndarray[Any, Any]

_SPEC, _WIDE = FORMATS["float32"], FORMATS["float64"]
_SMALLEST_NORMAL = 2.0**_SPEC.emin


class Scanned:
    """A block of float32 with what is told of it before any cast.

    Args:
        kernel: `fpx.measure.kernel`.
        x: float32 of shape (n,).

    Attributes:
        x, bits: the numbers and their codes.
        least: the smallest magnitude that is not 0; NaN where there is none.
        most: the largest; infinite, or NaN, where one is.
        signal: the sum of their squares, of which all are finite.
    """

    def __init__(self, kernel: ModuleType, x: Array) -> None:
        self._kernel = kernel
        self.x = x
        self.bits = self.x.view(np.int32)
        self._fields = np.zeros((4, kernel.NARROW_EXPONENTS), np.int32)
        least, most, self.signal = kernel.scan(self.x, self.bits, self._fields)
        self.least, self.most = _numbers(least, most)

    @cached_property
    def counts(self) -> Array:
        """Exponent field -> how many have it."""
        one, two, three, four = self._fields  # added so in half the time of `sum`
        found: Array = one + two + three + four
        return found

    @cached_property
    def exponents(self) -> dict[int, int]:
        """Unbiased exponent -> count of x that are not 0."""
        counts = self.counts.copy()
        counts[0] = 0
        found: dict[int, int] = {}
        if self.least < _SMALLEST_NORMAL:  # float32's subnormals have exponents of their own
            fields = np.zeros((4, self._kernel.EXPONENTS), np.int32)
            self._kernel.tally_subnormals(self.bits, fields)
            wide = fields.sum(0)
            wide[0] = 0
            found = _histogram(wide, _WIDE.bias)
        return found | _histogram(counts, _SPEC.bias)

    @property
    def zeros(self) -> int:
        """How many x are 0."""
        if self.least < _SMALLEST_NORMAL:
            return len(self.x) - int(np.count_nonzero(self.x))
        return int(self.counts[0])


class _Limits(NamedTuple):
    """What the kernel has to know of a target, see `fpx.measure.kernel.measure_narrow`."""

    low: Any
    high: Any
    unit: Any


class Pass:
    """What the kernel found of a cast of a scanned block, whose values do not overflow.

    Args:
        kernel: `fpx.measure.kernel`.
        block: before.
        q: after, of any float dtype that float32 has all values of.
        target: its format, of which `measures`.
        known: what is known.

    Attributes:
        is_exact: whether the results are close enough to be measured so; nothing else is of use
            where they are not.
    """

    def __init__(
        self, kernel: ModuleType, block: Scanned, q: Tensor, target: FormatSpec, known: Known
    ) -> None:
        self._kernel = kernel
        self._block = block
        self._known = known
        found = np.zeros(len(kernel.NARROW_FOUND), np.int64)
        totals = np.zeros(len(kernel.NARROW_SUMS), np.float64)
        measure, codes = _measurer(kernel, q)
        normal = np.float32(Thresholds.of(target).smallest_normal)
        limits = _limits_of(kernel, target)
        measure(block.x, block.bits, *codes, *limits, self._bound, normal, found, totals)
        *bits, self._exact, self._beyond, self._under, self._small = found.tolist()
        error, ulps = _numbers(*bits)
        self._errors = {"surviving_max_abs_error": error, "surviving_max_error_ulp": ulps}
        self._noise, self._normal_noise, self._error_ulp = totals.tolist()
        self.is_exact = error < math.inf and ulps <= 1

    @property
    def _bound(self) -> Any:
        """A relative error that none is beyond whose quotient is not above what is known.

        Products with it are rounded in float32, if not with 1; -1 is below everything.
        """
        known = self._known.maxima.get("surviving_max_rel_error", 0.0)
        if known == 1:
            return np.float32(1)
        bound = known * (1 - 2.0**-22)
        normal = self._block.least * bound >= _SMALLEST_NORMAL  # false of NaN
        return np.float32(bound if known < 1 and normal else -1)

    def maxima(self, numbers: Callable[[], Array]) -> dict[str, float]:
        """Name -> the largest, those alone that may be above what is known.

        Args:
            numbers: tells what is after the cast as float32.
        """
        found = {"max_abs": self._block.most, **self._errors}
        if self._beyond:
            found["surviving_max_rel_error"] = self._kernel.largest_relative_error(
                self._block.x, numbers()
            )
        known = self._known.maxima
        return {name: value for name, value in found.items() if value > known.get(name, 0.0)}

    def measurement(self, maxima: dict[str, Maximum]) -> Measurement:
        """All of it, given where the maxima are."""
        block, count = self._block, len(self._block.x)
        none = dict.fromkeys(_NONE, 0)
        return Measurement(
            counts={
                **none,
                "count": count,
                "underflow_count": self._under,
                "subnormal_count": self._small,
                "exact_count": self._exact,
                "finite_count": count,
            },
            maxima=maxima,
            minima={"min_abs": block.least} if block.least <= block.most else {},
            sums={
                "signal": ScaledSquares(block.signal),
                "noise": ScaledSquares(self._noise),
                "normal_noise": ScaledSquares(self._normal_noise),
                "error_ulp": self._error_ulp,
            },
            exponents=block.exponents,
        )


_NONE = (
    "overflow_count", "overflow_to_inf_count", "overflow_to_nan_count", "saturated_count",
    "unexpected_nonfinite_count", "destroyed_count", "nan_input_count", "inf_input_count",
    "nan_lost_count",
)  # fmt: skip
"""Counts of what such blocks have none of."""


def _measurer(kernel: ModuleType, q: Tensor) -> tuple[Callable[..., None], tuple[Array, ...]]:
    """Which function of the kernel measures a cast, and what it takes of the results."""
    q = q.contiguous()
    if q.itemsize == 2:
        half = q.dtype is torch.float16
        measure = kernel.measure_narrow_float16 if half else kernel.measure_narrow_bfloat16
        return measure, (q.view(torch.int16).numpy().view(np.uint16),)
    if q.itemsize == 1:
        codes = q.view(torch.uint8).numpy()
        return kernel.measure_narrow_by_table, (codes, table_of(q.dtype).view(np.int32))
    return kernel.measure_narrow, (q.to(torch.float32).numpy().view(np.int32),)


@lru_cache(maxsize=16)
def table_of(dtype: torch.dtype) -> Array:
    """What the codes of a dtype of 8 bits stand for, as float32."""
    found: Array = torch.arange(1 << 8, dtype=torch.uint8).view(dtype).to(torch.float32).numpy()
    return found


@lru_cache(maxsize=256)
def measures(target: FormatSpec) -> bool:
    """Whether errors of casts to that format may be measured in float32, see `fpx.measure.pair`."""
    return target.zero and target.signed and _SPEC.holds(target)


@lru_cache(maxsize=256)
def _limits_of(kernel: ModuleType, target: FormatSpec) -> _Limits:
    low, high = ((each + _SPEC.bias) << kernel.NARROW_FIELD for each in (target.emin, target.emax))
    return _Limits(np.int32(low), np.int32(high), np.float32(2.0 ** (target.fraction_bits - 1)))


def _numbers(*bits: int) -> tuple[float, ...]:
    """What codes of float32 stand for."""
    return struct.unpack(f"{len(bits)}f", struct.pack(f"{len(bits)}i", *bits))


def _histogram(counts: Array, bias: int) -> dict[int, int]:
    present = counts.nonzero()[0]
    return dict(zip((present - bias).tolist(), counts[present].tolist(), strict=True))
