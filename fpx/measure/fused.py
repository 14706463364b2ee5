"""The measurer that goes over a block once, compiled; what it does not take, torch's measures.

It takes blocks of float32 and float64 on the CPU, cast to formats whose values float32 has.
numba is imported when `load` is called, and not before.
"""

from __future__ import annotations

import math
from functools import lru_cache
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from fpx.core.formats import FORMATS
from fpx.core.spec import FormatSpec
from fpx.core.thresholds import Thresholds
from fpx.measure.block import SourceBlock
from fpx.measure.measurement import NOTHING, Known, Maximum, Measurement, Sum
from fpx.measure.metrics import FIRSTS, measure
from fpx.measure.squares import ScaledSquares, is_safe

SOURCES = (torch.float32, torch.float64)
"""The dtypes of what is measured."""

_SMALLEST = 2.0**-300
"""Smallest normal value of a target: squares of errors of larger ones do not vanish in float64."""


class _Limits(NamedTuple):
    """What the kernel has to know of a target; see `fpx.measure.kernel.measure_block`."""

    overflow: Any
    smallest_normal: Any
    low: int
    high: int
    unit: float


class FusedMeasurer:
    """A measurer that makes one pass over a block.

    Args:
        kernel: `fpx.measure.kernel`.
    """

    def __init__(self, kernel: ModuleType) -> None:
        self._kernel = kernel

    def prepare(self, dtype: torch.dtype) -> None:
        """Has everything compiled that blocks of that dtype need, or read from disk.

        Raises:
            OSError: it cannot be kept on disk.
        """
        one = torch.ones(1, dtype=dtype)
        self(SourceBlock(one), one.to(torch.float16), FORMATS["float16"])
        _numbers(self._kernel, one.to(torch.float8_e5m2))

    def __call__(
        self, source: SourceBlock, q: Tensor, target: FormatSpec, known: Known = NOTHING
    ) -> Measurement:
        """As `Measurer`."""
        if source.weights is not None or not source.x.is_cpu or not takes(source.x.dtype, target):
            return measure(source, q, target, known)
        found = _Found(self._kernel, source.x, q, target)
        return found.measurement(known) if found.is_exact else measure(source, q, target, known)


class _Found:
    """What the kernel found in a block."""

    def __init__(self, kernel: ModuleType, source: Tensor, q: Tensor, target: FormatSpec) -> None:
        self._kernel = kernel
        self._x = source.contiguous().numpy()
        self._q = _numbers(kernel, q)
        self._limits = _limits_of(kernel, target, source.dtype)
        self._counts = np.zeros(len(kernel.COUNTS), np.int64)
        self._maxima = np.zeros(len(kernel.MAXIMA), np.int64)
        self._sums = np.zeros(len(kernel.SUMS), np.float64)
        self._exponents = np.zeros((2, kernel.EXPONENTS), np.int32)
        self._least = kernel.measure_block(
            self._x, self._q, *self._limits, self._counts, self._maxima, self._sums, self._exponents
        )

    @property
    def is_exact(self) -> bool:
        """Whether no square of what is added up overflowed or vanished."""
        largest, error = (float(each) for each in self._maxima.view(np.float64)[:2])
        if self._x.dtype == np.float32 or not largest:
            return True
        # the signal is told by itself: the largest may be destroyed, and no part of it
        signal = math.sqrt(self._sums[self._kernel.SUMS.index("signal")])
        return is_safe(error) and is_safe(largest) and signal > 0 and is_safe(signal)

    def measurement(self, known: Known) -> Measurement:
        """All of it, but for what is known."""
        counts = dict(zip(self._kernel.COUNTS, self._counts.tolist(), strict=True))
        nonfinite = counts["overflow_to_inf_count"] + counts["overflow_to_nan_count"]
        counts["count"] = len(self._x)
        counts["saturated_count"] = counts["overflow_count"] - nonfinite
        counts["unexpected_nonfinite_count"] = counts["destroyed_count"] - nonfinite
        sums = dict(zip(self._kernel.SUMS, self._sums.tolist(), strict=True))
        return Measurement(
            counts=counts,
            maxima=self._new_maxima(known),
            minima=self._minima(),
            sums={name: _as_sum(name, total) for name, total in sums.items()},
            firsts={
                name: self._find(self._kernel.WHICH[name])
                for name in FIRSTS
                if counts[name] and name not in known.firsts
            },
            exponents=self._histogram(),
        )

    def _new_maxima(self, known: Known) -> dict[str, Maximum]:
        values = self._maxima.view(np.float64).tolist()
        return {
            name: Maximum(value, self._find(which, int(self._maxima[which])))
            for which, (name, value) in enumerate(zip(self._kernel.MAXIMA, values, strict=True))
            if value > known.maxima.get(name, 0.0)
        }

    def _minima(self) -> dict[str, float]:
        least = float(np.int64(self._least).view(np.float64))
        return {"min_abs": least} if math.isfinite(least) else {}

    def _find(self, which: int, bits: int = 0) -> int:
        overflow, _, *others = self._limits
        return int(self._kernel.find(self._x, self._q, which, bits, overflow, *others))

    def _histogram(self) -> dict[int, int]:
        counts = self._exponents.sum(0)[:-1]  # the last are infinities and NaNs
        if counts[0]:
            counts[0] -= np.count_nonzero(self._x == 0)
        present = np.flatnonzero(counts)
        bias = FORMATS["float64"].bias
        return dict(zip((present - bias).tolist(), counts[present].tolist(), strict=True))


def _as_sum(name: str, total: float) -> Sum:
    return total if name == "error_ulp" else ScaledSquares(total)


@lru_cache(maxsize=256)
def takes(dtype: torch.dtype, target: FormatSpec) -> bool:
    """Whether the kernel measures casts from that dtype to that format."""
    fits = FORMATS["float32"].holds(target)
    return dtype in SOURCES and fits and Thresholds.of(target).smallest_normal >= _SMALLEST


@lru_cache(maxsize=256)
def _limits_of(kernel: ModuleType, target: FormatSpec, dtype: torch.dtype) -> _Limits:
    thresholds = Thresholds.of(target)
    kind = np.float32 if dtype is torch.float32 else np.float64
    with np.errstate(over="ignore"):
        overflow = kind(thresholds.overflow)
        passed = float(overflow) == thresholds.overflow and thresholds.tie_stays
        if float(overflow) < thresholds.overflow or passed:
            overflow = np.nextafter(overflow, kind(math.inf))
    bias = FORMATS["float64"].bias
    return _Limits(
        overflow,
        np.float32(thresholds.smallest_normal),
        (target.emin + bias) << kernel.FIELD,
        (target.emax + bias) << kernel.FIELD,
        2.0 ** (target.fraction_bits - 1),
    )


def _numbers(kernel: ModuleType, q: Tensor) -> np.ndarray[Any, Any]:
    """The numbers after a cast as float32, which has all of them."""
    if q.dtype.itemsize > 1:
        return q.to(torch.float32).contiguous().numpy()
    codes = q.contiguous().view(torch.uint8).numpy()
    into = np.empty(len(codes), np.float32)
    kernel.look_up(codes, _table(q.dtype), into)
    return into


@lru_cache(maxsize=16)
def _table(dtype: torch.dtype) -> np.ndarray[Any, Any]:
    """What the codes of a dtype of 8 bits stand for."""
    return torch.arange(1 << 8, dtype=torch.uint8).view(dtype).to(torch.float32).numpy()


def load() -> tuple[FusedMeasurer, str] | None:
    """The measurer, and what compiled it; None where numba is not installed."""
    try:
        import numba

        from fpx.measure import kernel
    except ImportError:
        return None
    return FusedMeasurer(kernel), f"numba {numba.__version__}"
