"""Sources x targets: every block is read once, cast to every target, and measured."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import ml_dtypes
import numpy as np
import torch
from torch import Tensor

from fpx.casts.backends import BACKENDS, Backend
from fpx.casts.device import Device, find_device
from fpx.casts.values import values
from fpx.core.spec import FormatSpec
from fpx.errors import InputError
from fpx.measure.block import Locate, SourceBlock
from fpx.measure.distinct import DistinctValues, has_few_codes
from fpx.measure.stats import CastStats
from fpx.report.cast_compare import CastReport, CastRow, Location
from fpx.report.checks import Check
from fpx.tensors.distributions import NAMES, named_source
from fpx.tensors.dtypes import cast_dtype, container, dtype_name, origin_of, widened_dtype
from fpx.tensors.entry import Source, TensorEntry, entry_of
from fpx.tensors.opening import as_tensor, open_files
from fpx.tensors.progress import Progress, Silent
from fpx.tensors.select import select
from fpx.words import escape

TOTAL = "(total)"


@dataclass
class DeviceDifferences:
    """Results that differ between a device's cast and the CPU's."""

    count: int = 0
    nan_bits_count: int = 0
    first: Location | None = None

    def add(self, source: SourceBlock, on_device: Tensor, on_cpu: Tensor) -> None:
        """Takes in one block; both results are on the CPU, of one dtype and shape (n,)."""
        bits = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}[on_cpu.itemsize]
        differs = on_device.view(bits) != on_cpu.view(bits)
        if not differs.any():
            return
        nans = on_device.to(torch.float64).isnan() & on_cpu.to(torch.float64).isnan()
        self.nan_bits_count += int((differs & nans).count_nonzero())
        differs &= ~nans
        self.count += int(differs.count_nonzero())
        if self.first is None and differs.any():
            at = int(differs.to(torch.uint8).argmax())
            tensor, index = source.locate(at)
            value = float(on_device[at].to(torch.float64))
            self.first = Location(tensor, index, source.x[at].item(), value)

    def merge(self, other: DeviceDifferences) -> DeviceDifferences:
        """Both together; `self` comes first."""
        return DeviceDifferences(
            self.count + other.count,
            self.nan_bits_count + other.nan_bits_count,
            self.first or other.first,
        )


@dataclass
class _Cast:
    """What is known of one tensor (or of all) cast to one target."""

    stats: CastStats = field(default_factory=CastStats)
    differences: DeviceDifferences = field(default_factory=DeviceDifferences)

    def merge(self, other: _Cast) -> _Cast:
        return _Cast(self.stats.merge(other.stats), self.differences.merge(other.differences))


def cast_compare(
    sources: Sequence[object],
    targets: Iterable[FormatSpec],
    *,
    from_: FormatSpec,
    device: str = "cpu",
    size: int = 1 << 20,
    seed: int = 0,
    backend: Backend | None = None,
    progress: Progress | None = None,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    keep_partial: bool = False,
    checks: Sequence[Check[CastRow]] = (),
) -> CastReport:
    """Casts every tensor of every source to every target and reports what was lost.

    Args:
        sources: names of distributions, paths of files, torch tensors or numpy arrays; none means
            every distribution.
        targets: formats to cast to.
        from_: dtype in which distributions are drawn; files and tensors keep their own.
        device: `cpu`, `cuda`, `cuda:N` or `auto`; the casts run there.
        size: number of values of a random distribution.
        seed: of the random distributions.
        backend: who casts; torch by default.
        progress: hears how far the work is.
        include, exclude: patterns of tensor names, see `fpx.tensors.select`.
        keep_partial: whether a KeyboardInterrupt ends the work with a report on what was done so
            far, marked `partial`.
        checks: what is asked of every row; the report tells which fail.

    Raises:
        InputError: the only source cannot be read, or an argument is off. Of several sources, a bad
            one becomes a line of the report's `errors`.
        UnavailableError: no such device or dtype here.
    """
    backend = backend or BACKENDS["torch"]
    where = find_device(device)
    specs = list(dict.fromkeys(targets))
    for spec in specs:
        cast_dtype(spec)
    if size < 1:
        raise InputError(f"--size must be at least 1, not {size}")
    opened: list[Source] = []
    errors: list[str] = []
    for number, source in enumerate(sources or NAMES):
        try:
            opened += _open(source, number, from_, size, seed, specs, errors)
        except InputError as error:
            if len(sources) == 1:
                raise
            errors.append(str(error))
    if include or exclude:
        opened = select(opened, include, exclude)
    progress = progress or Silent()
    progress.start(sum(entry.count for source in opened for entry in source.entries))
    rows: list[CastRow] = []
    totals = {spec: _Cast() for spec in specs}
    origins: set[str] = set()
    partial = False
    for holder, entry in [(item, entry) for item in opened for entry in item.entries]:
        casts = {spec: _Cast() for spec in specs if entry.only_for in (None, spec.name)}
        try:
            _cast_entry(entry, casts, backend, where, progress)
        except InputError as error:
            if len(sources) == 1 and len(holder.entries) == 1:
                raise
            errors.append(str(error))
            continue
        except KeyboardInterrupt:
            if not keep_partial:
                raise
            partial = True
        origin = dtype_name(entry.dtype)
        origins.add(origin)
        for spec, cast in casts.items():
            rows.append(_row(holder.name, entry.name, origin, spec, backend, where, cast))
            totals[spec] = totals[spec].merge(cast)
        if partial:
            break
    origin = origins.pop() if len(origins) == 1 else "mixed"
    return CastReport(
        rows=tuple(rows),
        totals=tuple(
            _row(TOTAL, TOTAL, origin, spec, backend, where, cast)
            for spec, cast in totals.items()
            if rows
        ),
        details=_environment(where, seed),
        errors=tuple(errors),
        partial=partial,
        checks=tuple(checks),
        notes=tuple(
            f"{escape(source.name)}: {escape(note)}" for source in opened for note in source.notes
        ),
    )


def _open(
    source: object,
    number: int,
    from_: FormatSpec,
    size: int,
    seed: int,
    specs: list[FormatSpec],
    errors: list[str],
) -> list[Source]:
    if isinstance(source, str):
        if source in NAMES:
            return [named_source(source, cast_dtype(from_), size, seed, specs)]
        return open_files(source, errors)
    if hasattr(source, "__fspath__"):
        return open_files(str(source), errors)
    name = f"tensor{number}" if number else "tensor"
    return [Source(name, [entry_of(name, as_tensor(source))])]


def _cast_entry(
    entry: TensorEntry,
    casts: dict[FormatSpec, _Cast],
    backend: Backend,
    device: Device,
    progress: Progress,
) -> None:
    """Reads a tensor once and takes its casts to every target in."""
    if device.is_cpu and has_few_codes(entry):
        seen = DistinctValues(entry)
        try:
            seen.read(progress.advance)
        finally:  # whoever interrupts is told of what was read
            read = seen.block()
            if read is not None:
                for spec, cast in casts.items():
                    cast.stats.add(read, _cast(backend, read.x, spec), spec)
        return
    at = 0
    for block in entry.blocks(device.block):
        source = SourceBlock(block.to(device.torch), _locator(entry, at))
        for spec, cast in casts.items():
            q = _cast(backend, source.x, spec)
            cast.stats.add(source, q, spec)
            if not device.is_cpu:
                cast.differences.add(source, q.cpu(), _cast(BACKENDS["torch"], block, spec))
        at += block.numel()
        progress.advance(block.numel())


def _cast(backend: Backend, x: Tensor, target: FormatSpec) -> Tensor:
    """`x` (1-D) in the target's dtype, or where torch has none, its values in float64."""
    origin = origin_of(x.dtype)
    codes = backend.cast(x.view(container(origin)), origin, target)
    held = widened_dtype(target)
    return codes.view(held) if held is not None else values(codes, target)


def _locator(entry: TensorEntry, start: int) -> Locate:
    return lambda position: (entry.name, entry.index(start + position))


def _row(
    source: str,
    tensor: str,
    origin: str,
    spec: FormatSpec,
    backend: Backend,
    device: Device,
    cast: _Cast,
) -> CastRow:
    stats, differences = cast.stats, cast.differences
    compared = not device.is_cpu
    metrics = {
        **stats.counters,
        **{name: error for name, (error, _) in stats.errors.items()},
        "rms_error": stats.rms_error,
        "sqnr_db": stats.sqnr_db,
        "device_mismatch_count": differences.count if compared else None,
        "device_nan_bits_mismatch_count": differences.nan_bits_count if compared else None,
    }
    locations = {
        **{f"{name}_at": at for name, (_, at) in stats.errors.items()},
        "first_overflow": stats.first_overflow,
        "first_device_mismatch": differences.first,
    }
    return CastRow(
        source=source,
        tensor=tensor,
        from_=origin,
        to=spec.name,
        backend=backend.name,
        device=str(device.torch),
        metrics=metrics,
        locations=locations,
        exponent_histogram=stats.exponent_histogram(),
    )


def _environment(device: Device, seed: int) -> dict[str, Any]:
    return {
        "python": ".".join(map(str, sys.version_info[:3])),
        "torch": str(torch.__version__),
        "numpy": np.__version__,
        "ml_dtypes": ml_dtypes.__version__,
        "device": device.label,
        "cuda": torch.version.cuda,
        "threads": torch.get_num_threads(),
        "seed": seed,
    }
