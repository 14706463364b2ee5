"""Blocks of float32 that are measured in float32, compiled: what is told of a block, and of a cast.

This imports no numba: whoever needs a kernel is given it.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from functools import lru_cache
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
        exponents: unbiased exponent -> count of x that are not 0; of what is finite alone.
        zeros: how many x are 0.
    """

    def __init__(self, kernel: ModuleType, x: Array) -> None:
        self.x = x
        self.bits = x.view(np.int32)
        self._stretch = kernel.STRETCH
        fields = np.empty(kernel.NARROW_EXPONENTS, np.int32)
        least, most, self._near, self.signal = kernel.scan(x, self.bits, fields)
        self.least, self.most = _numbers(least, most)
        self.zeros = int(fields[0])
        fields[0] = 0
        self.exponents = _histogram(fields, _SPEC.bias)
        if self.least < _SMALLEST_NORMAL:  # float32's subnormals have exponents of their own
            wide = np.zeros((4, kernel.EXPONENTS), np.int32)
            self.zeros = kernel.tally_subnormals(self.bits, wide)
            subnormals = wide.sum(0)
            subnormals[0] = 0
            self.exponents = _histogram(subnormals, _WIDE.bias) | self.exponents

    @property
    def where_most(self) -> int:
        """The position of the first that is as large as `most`, of which all are finite."""
        near = int(self._near)
        return near + int(np.abs(self.x[near : near + self._stretch]).argmax())


class _Limits(NamedTuple):
    """What the kernel has to know of a target, see `fpx.measure.kernel.measure_narrow`."""

    low: Any
    unit: Any
    smallest_normal: Any


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
        self._block = block
        self._names = kernel.NARROW_MAXIMA
        self._known = known.maxima
        found = np.zeros(len(kernel.NARROW_FOUND), np.int64)
        totals = np.zeros(len(kernel.NARROW_SUMS), np.float64)
        largest = np.array([self._known.get(name, 0.0) for name in self._names])
        places = np.full(len(self._names), -1)
        measure, codes = _measurer(kernel, q)
        limits = _limits_of(kernel, target)
        measure(block.x, block.bits, *codes, *limits, block.least, found, totals, largest, places)
        *bits, self._exact, self._under, self._small = found.tolist()
        error, ulps = _numbers(*bits)
        self._values = error, ulps, float(largest[-1])
        self._places = places.tolist()
        self._noise, self._normal_noise, self._error_ulp = totals.tolist()
        self.is_exact = ulps <= 1 and largest[-1] <= 1  # see `fpx.measure.pair`; false of NaN

    def _maxima(self) -> dict[str, Maximum]:
        """Name -> the largest, of those that are above what is known."""
        block, found = self._block, zip(self._names, self._values, self._places, strict=True)
        maxima = {name: Maximum(value, at) for name, value, at in found if at >= 0}
        if block.most > self._known.get("max_abs", 0.0):
            maxima["max_abs"] = Maximum(block.most, block.where_most)
        return maxima

    def measurement(self) -> Measurement:
        """All of it."""
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
            maxima=self._maxima(),
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
    return _Limits(
        np.int32((target.emin + _SPEC.bias) << kernel.NARROW_FIELD),
        np.float32(2.0 ** (target.fraction_bits - 1)),
        np.float32(Thresholds.of(target).smallest_normal),
    )


def _numbers(*bits: int) -> tuple[float, ...]:
    """What codes of float32 stand for."""
    return struct.unpack(f"{len(bits)}f", struct.pack(f"{len(bits)}i", *bits))


def _histogram(counts: Array, bias: int) -> dict[int, int]:
    present = counts.nonzero()[0]
    return dict(zip((present - bias).tolist(), counts[present].tolist(), strict=True))
