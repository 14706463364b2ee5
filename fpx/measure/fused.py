"""The measurer that goes over a block once, compiled; what it does not take, torch's measures.

It takes blocks of float32, float64 and wide integers on the CPU, cast to formats whose values
float32 has.
numba is imported when `load` is called, and not before.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from types import ModuleType

import numpy as np
import torch
from torch import Tensor

from fpx.core.blocks import BLOCK_FORMATS
from fpx.core.formats import FORMATS
from fpx.core.scaling import ScaledFormat
from fpx.core.spec import FormatSpec
from fpx.core.thresholds import Thresholds
from fpx.measure import narrow, scaled_pass, wide
from fpx.measure.block import SourceBlock
from fpx.measure.measurement import NOTHING, Known, Measurement
from fpx.measure.metrics import measure
from fpx.tensors.dtypes import dtype_name

SOURCES = (torch.float32, torch.float64, torch.int32, torch.int64)
"""The dtypes of what is measured."""

_WHOLE = 1 << 53
"""Integers up to that are float64s."""

_SMALLEST = 2.0**-300
"""Smallest normal value of a target: squares of errors of larger ones do not vanish in float64."""


class FusedMeasurer:
    """A measurer that makes one pass over a block before its casts, and one over each cast.

    Args:
        kernel: `fpx.measure.kernel`.
    """

    def __init__(self, kernel: ModuleType) -> None:
        self._kernel = kernel
        self._latest = _Latest()

    def is_kept(self) -> bool:
        """Whether what was compiled lies on disk, since the functions were last written."""
        folder, file = self._kernel.find.stats.cache_path, self._kernel.__file__
        if folder is None or file is None:
            return False
        written = Path(file).stat().st_mtime
        return all(
            any(kept.stat().st_mtime >= written for kept in Path(folder).glob(f"*.{name}-*.nbc"))
            for name in ("measure_narrow_bfloat16", "measure_segments", "find")
        )

    def prepare(self, dtype: torch.dtype) -> None:
        """Has everything compiled that blocks of that dtype need, or read from disk.

        Raises:
            OSError: it cannot be kept on disk.
        """
        dtype = _held(dtype)
        for held in (torch.float16, torch.bfloat16, torch.float8_e5m2):
            for number in (1e-40, 1e-6, math.nan):  # subnormal here, subnormal there, not finite
                one = torch.full((1,), number, dtype=dtype)
                self(SourceBlock(one), one.to(held), FORMATS[dtype_name(held)])

    def prepare_scaled(self) -> None:
        """The same, of what `scaled` needs."""
        block = SourceBlock(torch.tensor([1e-3, 0.3, 1.0, 7.0] * 8))
        self.scaled(block, BLOCK_FORMATS["mxfp4"], 32, 1, 1.0, NOTHING)

    def prepare_tally(self) -> None:
        """The same, of what `tally` needs."""
        for container in (torch.uint8, torch.int16):
            self.tally(torch.zeros(1, dtype=container), 0, *torch.zeros(2, 1, dtype=torch.int64))

    def tally(self, codes: Tensor, start: int, counts: Tensor, first: Tensor) -> None:
        """As `fpx.measure.distinct.Tally`."""
        unsigned = codes.numpy().view(f"u{codes.itemsize}")
        self._kernel.tally_codes(unsigned, start, counts.numpy(), first.numpy())

    def __call__(
        self, source: SourceBlock, q: Tensor, target: FormatSpec, known: Known = NOTHING
    ) -> Measurement:
        """As `Measurer`."""
        if source.weights is not None or not source.x.is_cpu or not takes(source.x.dtype, target):
            return measure(source, q, target, known)
        found = self._narrow(source, q, target, known) or self._wide(source, q, target, known)
        return found or measure(source, q, target, known)

    def _narrow(
        self, source: SourceBlock, q: Tensor, target: FormatSpec, known: Known
    ) -> Measurement | None:
        """As `Measurer`, in float32; None where that does not do."""
        if source.x.dtype is not torch.float32 or not narrow.measures(target):
            return None
        overflow = Thresholds.of(target).overflow
        if not abs(float(source.x.numpy()[0])) < overflow:  # whatever the others are
            return None
        block = self._scanned(source)
        if not block.most < overflow:  # false of NaN
            return None
        cast = narrow.Pass(self._kernel, block, q, target, known)
        return cast.measurement() if cast.is_exact else None

    def _wide(
        self, source: SourceBlock, q: Tensor, target: FormatSpec, known: Known
    ) -> Measurement | None:
        """As `Measurer`, in float64; None where that does not do."""
        x = _floating(source.x)
        if x is None:
            return None
        numbers = x.contiguous().numpy()
        return wide.Pass(self._kernel, numbers, self._numbers(q), target).measurement(known)

    def apart(
        self, x: Tensor, q: Tensor, ends: Sequence[int], target: FormatSpec
    ) -> list[Measurement]:
        """As `fpx.measure.measurement.SegmentMeasurer`."""
        starts = [0, *ends[:-1]]
        numbers = _floating(x) if takes_apart(x.dtype, target) else None
        found: Iterable[Measurement | None] = [None] * len(ends)
        if numbers is not None:
            over = wide.Pass(self._kernel, numbers.numpy(), self._numbers(q), target)
            found = over.measurements(np.array(ends))
        return [
            measure(SourceBlock(x[start:end]), q[start:end], target) if each is None else each
            for each, start, end in zip(found, starts, ends, strict=True)
        ]

    def scaled(
        self,
        source: SourceBlock,
        target: ScaledFormat,
        width: int,
        groups: int,
        global_: float,
        known: Known,
    ) -> scaled_pass.Found | None:
        """A block of whole groups with scales, cast and measured; None where torch's are needed.

        Args:
            source: n * width numbers.
            target: to what they are cast.
            width: elements of a group.
            groups: of the tensor.
            global_: the tensor's global scale.
            known: what is left out of the measurement.
        """
        x = source.x
        narrow = x.is_cpu and x.is_floating_point() and x.itemsize <= torch.float32.itemsize
        if source.weights is not None or not narrow or not scaled_pass.takes(target, width):
            return None
        block = self._scanned(source)
        if not block.most < math.inf:
            return None
        return scaled_pass.measured(self._kernel, block, target, width, groups, global_, known)

    def _scanned(self, source: SourceBlock) -> narrow.Scanned:
        """What is told of a block before its casts, which come one after the other."""
        latest = self._latest
        if latest.source is not source:
            # torch's methods let go of Python's lock, each time another thread may take it
            x = source.x if source.x.dtype is torch.float32 else source.x.to(torch.float32)
            latest.scanned = narrow.Scanned(self._kernel, x.contiguous().numpy())
            latest.source = source
        return latest.scanned

    def _numbers(self, q: Tensor) -> wide.Array:
        """The numbers after a cast as float32, which has all of them, until the next are told."""
        if q.dtype is torch.float32:
            return q.contiguous().numpy()
        latest = self._latest
        if len(latest.room) < len(q):  # memory that is new each time would have to be cleared
            latest.room = np.empty(len(q), np.float32)
        into = latest.room[: len(q)]
        if q.itemsize == 1:
            codes = q.contiguous().view(torch.uint8).numpy()
            self._kernel.look_up(codes, narrow.table_of(q.dtype), into)
        else:
            torch.from_numpy(into).copy_(q)
        return into


def _floating(x: Tensor) -> Tensor | None:
    """The same numbers as a dtype that the kernel takes, if that has all of them."""
    if x.dtype is torch.int64 and not -_WHOLE <= int(x.min()) <= int(x.max()) <= _WHOLE:
        return None
    return x.to(_held(x.dtype))


def _held(dtype: torch.dtype) -> torch.dtype:
    """The dtype in which the kernel takes numbers of another."""
    narrow = dtype.is_floating_point and dtype.itemsize <= torch.float32.itemsize
    return torch.float32 if narrow else torch.float64


class _Latest(threading.local):
    """The block that a thread measures casts of, and room for what they make of it."""

    def __init__(self) -> None:
        self.source: SourceBlock | None = None
        self.scanned: narrow.Scanned
        self.room = np.empty(0, np.float32)


@lru_cache(maxsize=256)
def takes(dtype: torch.dtype, target: FormatSpec) -> bool:
    """Whether casts from that dtype to that format are measured here."""
    fits = FORMATS["float32"].holds(target)
    return dtype in SOURCES and fits and Thresholds.of(target).smallest_normal >= _SMALLEST


def takes_apart(dtype: torch.dtype, target: FormatSpec) -> bool:
    """The same of small tensors: those of few bits, too."""
    return takes(_held(dtype) if dtype.is_floating_point else dtype, target)


def load() -> tuple[FusedMeasurer, str] | None:
    """The measurer, and what compiled it; None where numba is not installed."""
    try:
        import numba

        from fpx.measure import kernel
    except ImportError:
        return None
    return FusedMeasurer(kernel), f"numba {numba.__version__}"
