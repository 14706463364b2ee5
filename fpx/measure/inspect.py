"""What is in tensor files: layouts from their headers, and values where those are asked for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import torch
from torch import Tensor

from fpx.core.codec import Overflow, Rounding
from fpx.core.numbers import Code
from fpx.errors import InputError
from fpx.measure.block import WIDE, SourceBlock
from fpx.report.decode import DecodeReport
from fpx.report.inspect import (
    Element,
    ExtremesReport,
    InspectReport,
    LayoutReport,
    TensorInfo,
    TensorStats,
)
from fpx.tensors.dtypes import dtype_name, spec_of
from fpx.tensors.entry import Source, TensorEntry
from fpx.tensors.opening import open_files
from fpx.tensors.progress import Progress
from fpx.tensors.select import select
from fpx.words import escape, quoted

_BLOCK = 1 << 16
_BITS = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


def inspect_files(
    names: Sequence[str],
    *,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    stats: bool = False,
    progress: Progress | None = None,
) -> InspectReport:
    """The tensors of files; their data is read only for `stats`.

    Raises:
        InputError: the only file cannot be read. Of several, a bad one becomes a line of `errors`.
    """
    opened: list[Source] = []
    errors: list[str] = []
    for name in names:
        try:
            opened += open_files(name, errors)
        except InputError as error:
            if len(names) == 1:
                raise
            errors.append(str(error))
    if include or exclude:
        opened = select(opened, include, exclude)
    if progress is not None and stats:
        progress.start(sum(entry.count for source in opened for entry in source.entries))
    tensors = []
    for source in opened:
        sharing: dict[str, list[str]] = {}
        for entry in source.entries:
            if entry.layout is not None:
                sharing.setdefault(entry.layout.storage, []).append(entry.name)
        for entry in source.entries:
            shared = sharing.get(entry.layout.storage, []) if entry.layout else []
            others = tuple(other for other in shared if other != entry.name)
            values = tensor_stats(entry, progress) if stats else None
            tensors.append(_info(source, entry, others, values))
    notes = tuple(
        f"{escape(source.name)}: {escape(note)}" for source in opened for note in source.notes
    )
    return InspectReport(tuple(tensors), notes, tuple(errors))


def find_tensor(names: Sequence[str], tensor: str) -> tuple[Source, TensorEntry]:
    """The tensor of that name in the files.

    Raises:
        InputError: none has it, or several have.
    """
    found = [
        (source, entry)
        for name in names
        for source in open_files(name)
        for entry in source.entries
        if entry.name == tensor
    ]
    if not found:
        raise InputError(f"no tensor {quoted(tensor)} there: fpx inspect FILE lists the names")
    if len(found) > 1:
        raise InputError(f"{len(found)} files have a tensor {quoted(tensor)}: name one file")
    return found[0]


def element(names: Sequence[str], tensor: str, index: tuple[int, ...]) -> DecodeReport:
    """One element, down to its bits.

    Raises:
        InputError: no such tensor or element, or its dtype is no floating-point format.
    """
    _, entry = find_tensor(names, tensor)
    spec = spec_of(entry.dtype)
    if spec is None:
        raise InputError(f"{quoted(tensor)} is {dtype_name(entry.dtype)}, no floating-point format")
    if len(index) != len(entry.shape):
        raise InputError(
            f"{quoted(tensor)} has shape {list(entry.shape)}: give {len(entry.shape)} indexes, "
            f"not {len(index)}"
        )
    wrapped = tuple(at + n if at < 0 else at for at, n in zip(index, entry.shape, strict=True))
    if not all(0 <= at < n for at, n in zip(wrapped, entry.shape, strict=True)):
        raise InputError(f"{list(index)} is outside of {quoted(tensor)}: {list(entry.shape)}")
    position = entry.position(wrapped)
    for block in entry.blocks(_BLOCK):
        if position < len(block):
            bits = block[position : position + 1].view(_BITS[entry.dtype.itemsize])
            code = int(bits.item()) % (1 << 8 * entry.dtype.itemsize)
            text = f"{tensor}[{', '.join(map(str, wrapped))}]"
            literal = Code(code, spec.bits, text)
            return DecodeReport.of(literal, spec, Rounding.TIES_TO_EVEN, Overflow.IEEE)
        position -= len(block)
    raise InputError(f"{quoted(tensor)} ends before {list(index)}")


def layout(names: Sequence[str], tensor: str) -> LayoutReport:
    """How a tensor lies in its storage.

    Raises:
        InputError: no such tensor.
    """
    source, entry = find_tensor(names, tensor)
    return LayoutReport(_info(source, entry, (), None))


def extremes(names: Sequence[str], tensor: str, count: int) -> ExtremesReport:
    """The largest, the smallest, and the non-zero elements closest to zero of a tensor.

    Raises:
        InputError: no such tensor.
    """
    if count < 1:
        raise InputError(f"--top must be at least 1, not {count}")
    source, entry = find_tensor(names, tensor)
    largest, smallest, closest = (_Top(count) for _ in range(3))
    start = 0
    for block in entry.blocks(_BLOCK):
        values = SourceBlock(block, measure=WIDE).rounded
        largest.add(values, values, start)
        smallest.add(values, -values, start)
        closest.add(values, torch.where(values == 0, torch.nan, -values.abs()), start)
        start += len(block)

    def elements(top: _Top) -> tuple[Element, ...]:
        return tuple(Element(entry.index(at), value) for _, at, value in top.items)

    return ExtremesReport(
        source.name,
        tensor,
        dtype_name(entry.dtype),
        elements(largest),
        elements(smallest),
        elements(closest),
    )


class _Top:
    """The values of the largest keys seen, with where they were; the earlier of equals first."""

    def __init__(self, count: int) -> None:
        self._count = count
        self.items: list[tuple[float, int, float]] = []  # key, position, value

    def add(self, values: Tensor, keys: Tensor, start: int) -> None:
        """Takes in the values at positions from `start` on; NaN keys do not count."""
        usable = (~keys.isnan()).nonzero().view(-1)
        if len(self.items) == self._count:
            usable = usable[keys[usable] > self.items[-1][0]]
        order = keys[usable].argsort(descending=True, stable=True)[: self._count]
        found = [(float(keys[at]), start + int(at), float(values[at])) for at in usable[order]]
        merged = sorted([*self.items, *found], key=lambda item: (-item[0], item[1]))
        self.items = merged[: self._count]


def tensor_stats(entry: TensorEntry, progress: Progress | None = None) -> TensorStats:
    """Counts and extremes of a tensor's values, from one pass over it."""
    spec = spec_of(entry.dtype)
    normal = float(spec.smallest_normal.fraction) if spec is not None else 0.0
    lows: list[float] = []
    highs: list[float] = []
    zeros = subnormals = nans = infinities = 0
    exponents: Counter[int] = Counter()
    for block in entry.blocks(_BLOCK):
        values = SourceBlock(block, measure=WIDE)
        rounded, magnitude = values.rounded, values.magnitude
        zeros += int(values.zero.count_nonzero())
        if values.finite is not None:
            nans += int(rounded.isnan().count_nonzero())
            infinities += int(rounded.isinf().count_nonzero())
            rounded = rounded[~rounded.isnan()]
        if len(rounded):
            lows.append(float(rounded.amin()))
            highs.append(float(rounded.amax()))
        if values.extremes[0] < normal or values.finite is not None:
            below = (magnitude < normal) & (magnitude > 0)
            subnormals += int(below.count_nonzero())
        exponents.update(values.exponents)
        if progress is not None:
            progress.advance(len(block))
    histogram = {exponent: exponents[exponent] for exponent in sorted(exponents)}
    return TensorStats(
        min(lows, default=None), max(highs, default=None), zeros, subnormals, nans, infinities,
        histogram,
    )  # fmt: skip


def _info(
    source: Source, entry: TensorEntry, others: tuple[str, ...], stats: TensorStats | None
) -> TensorInfo:
    place = entry.layout
    return TensorInfo(
        source=source.name,
        kind=source.kind,
        tensor=entry.name,
        dtype=dtype_name(entry.dtype),
        shape=entry.shape,
        stride=entry.stride,
        storage_offset=place.offset if place else 0,
        contiguous=_is_contiguous(entry.shape, entry.stride),
        count=entry.count,
        bytes=entry.nbytes,
        storage=place.storage if place else entry.name,
        storage_bytes=place.storage_bytes if place else entry.nbytes,
        shares_with=others,
        stats=stats,
    )


def _is_contiguous(shape: tuple[int, ...], stride: tuple[int, ...]) -> bool:
    """Whether strides are those of row-major order; axes of one element may have any."""
    if 0 in shape:
        return True
    step = 1
    for length, actual in zip(shape[::-1], stride[::-1], strict=True):
        if length != 1 and actual != step:
            return False
        step *= length
    return True
