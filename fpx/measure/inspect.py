"""What is in sources: layouts from their headers, and values where those are asked for."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from fpx.core.formats import FORMATS
from fpx.core.numbers import Code
from fpx.core.policy import Overflow, Rounding
from fpx.errors import InputError
from fpx.report.decode import DecodeReport
from fpx.report.inspect import (
    Element,
    ExtremesReport,
    InspectReport,
    LayoutReport,
    TensorInfo,
    TensorStats,
)
from fpx.tensors.dtypes import codes_of, dtype_name, spec_of
from fpx.tensors.entry import Source, TensorEntry
from fpx.tensors.opening import open_all
from fpx.tensors.progress import Progress, Silent
from fpx.words import quoted

_BLOCK = 1 << 16
_WIDE = FORMATS["float64"]


def inspect(
    sources: Sequence[object],
    *,
    tensor: str | None = None,
    index: tuple[int, ...] | None = None,
    top: int | None = None,
    stats: bool = False,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    progress: Progress | None = None,
) -> InspectReport | LayoutReport | ExtremesReport | DecodeReport:
    """What is in sources, or what one tensor of them is.

    Args:
        sources: what `fpx.tensors.opening.open_all` takes, distributions aside.
        tensor: the name of one tensor: how it lies in its storage.
        index: of that tensor, one element down to its bits.
        top: of that tensor, so many of the largest, the smallest and the closest to zero.
        stats: whether to read the values, of all tensors or of that one.
        include, exclude: patterns of tensor names, see `fpx.tensors.select`.
        progress: hears how far the reading of values is.

    Returns:
        An `InspectReport`; with `tensor` a `LayoutReport`, with `index` a `DecodeReport`, with
        `top` an `ExtremesReport`.

    Raises:
        InputError: a source cannot be read and is the only one or asked for one tensor, there is no
            such tensor or element, or arguments exclude each other.
        UnavailableError: a kind of file needs a package that is not installed.
    """
    if tensor is None and (index is not None or top is not None):
        raise InputError("`index` and `top` look into one tensor: name it with `tensor`")
    asked = {"index": index is not None, "top": top is not None, "stats": stats}
    chosen = [f"`{name}`" for name, wanted in asked.items() if wanted]
    if len(chosen) > 1:
        raise InputError(f"{' and '.join(chosen)} exclude each other: choose one")
    if tensor is None:
        return inspect_all(
            sources, include=include, exclude=exclude, stats=stats, progress=progress
        )
    if index is not None:
        return element(sources, tensor, index, include=include, exclude=exclude)
    if top is not None:
        return extremes(sources, tensor, top, include=include, exclude=exclude)
    return layout(sources, tensor, include=include, exclude=exclude, stats=stats, progress=progress)


def inspect_all(
    sources: Sequence[object],
    *,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    stats: bool = False,
    progress: Progress | None = None,
) -> InspectReport:
    """The tensors of sources; their values are read only for `stats`. Arguments as of `inspect`.

    Raises:
        InputError: the only source, or the only tensor's values, cannot be read. Of several, a bad
            one becomes a line of `errors`.
    """
    opened = open_all(sources, include, exclude)
    progress = progress or Silent()
    if stats:
        progress.start(opened.count)
    alone = len(sources) == 1 and sum(len(source.entries) for source in opened.sources) == 1
    errors = list(opened.errors)
    tensors: list[TensorInfo] = []
    for source in opened.sources:
        for entry, info in zip(source.entries, _described(source), strict=True):
            values = None
            if stats:
                try:
                    values = tensor_stats(entry, progress)
                except InputError as error:  # damage that only its values show
                    if alone:
                        raise
                    errors.append(str(error))
            tensors.append(replace(info, stats=values))
    return InspectReport(tuple(tensors), opened.notes, tuple(errors))


def find_tensor(
    sources: Sequence[object],
    tensor: str,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
) -> tuple[Source, TensorEntry]:
    """The tensor of that name in the sources.

    Raises:
        InputError: none has it, several have, or one of the sources cannot be read.
    """
    opened = open_all(sources, include, exclude)
    if opened.errors:  # who knows what is in that one
        raise InputError(opened.errors[0])
    found = [
        (source, entry)
        for source in opened.sources
        for entry in source.entries
        if entry.name == tensor
    ]
    if not found:
        raise InputError(f"no tensor {quoted(tensor)} there: fpx inspect FILE lists the names")
    if len(found) > 1:
        raise InputError(f"{len(found)} files have a tensor {quoted(tensor)}: name one file")
    return found[0]


def element(
    sources: Sequence[object],
    tensor: str,
    index: tuple[int, ...],
    *,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
) -> DecodeReport:
    """One element, down to its bits; negative indexes count from the end.

    Raises:
        InputError: no such tensor or element, or its dtype is no floating-point format.
    """
    _, entry = find_tensor(sources, tensor, include, exclude)
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
            code = int(codes_of(block[position : position + 1]).item()) % (1 << spec.bits)
            text = f"{tensor}[{', '.join(map(str, wrapped))}]"
            literal = Code(code, spec.bits, text)
            return DecodeReport.of(literal, spec, Rounding.TIES_TO_EVEN, Overflow.IEEE)
        position -= len(block)
    raise InputError(f"{quoted(tensor)} ends before {list(index)}")


def layout(
    sources: Sequence[object],
    tensor: str,
    *,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    stats: bool = False,
    progress: Progress | None = None,
) -> LayoutReport:
    """How a tensor lies in its storage; its values are read only for `stats`.

    Raises:
        InputError: no such tensor.
    """
    source, entry = find_tensor(sources, tensor, include, exclude)
    progress = progress or Silent()
    if stats:
        progress.start(entry.count)
    (info,) = (info for info in _described(source) if info.tensor == entry.name)
    return LayoutReport(replace(info, stats=tensor_stats(entry, progress) if stats else None))


def extremes(
    sources: Sequence[object],
    tensor: str,
    count: int,
    *,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    block: int = _BLOCK,
) -> ExtremesReport:
    """The largest, the smallest, and the non-zero elements closest to zero of a tensor.

    Args:
        sources, tensor, include, exclude: as of `inspect`.
        count: elements of each.
        block: elements to read at a time.

    Raises:
        InputError: no such tensor, or `count` is not positive.
    """
    if count < 1:
        raise InputError(f"`top` must be at least 1, not {count}")
    source, entry = find_tensor(sources, tensor, include, exclude)
    largest, smallest, closest = (_Top(count) for _ in range(3))
    start = 0
    for part in entry.blocks(block):
        values = part.to(torch.float64)
        largest.add(values, values, start)
        smallest.add(values, -values, start)
        closest.add(values, torch.where(values == 0, torch.nan, -values.abs()), start)
        start += len(part)

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


def tensor_stats(
    entry: TensorEntry, progress: Progress | None = None, *, block: int = _BLOCK
) -> TensorStats:
    """Counts and extremes of a tensor's values, from one pass over it, `block` elements a time."""
    spec = spec_of(entry.dtype)
    normal = float(spec.smallest_normal.fraction) if spec is not None else 0.0
    lows: list[float] = []
    highs: list[float] = []
    zeros = subnormals = nans = infinities = 0
    exponents = torch.zeros(1 << _WIDE.exponent_bits, dtype=torch.int64)
    for part in entry.blocks(block):
        values = part.to(torch.float64)
        magnitude = values.abs()
        least, most = map(float, torch.aminmax(magnitude))  # NaN both where there is one
        zero = len(part) - int(magnitude.count_nonzero())
        zeros += zero
        if not math.isfinite(most):
            nan = values.isnan()
            nans += int(nan.count_nonzero())
            infinities += int(values.isinf().count_nonzero())
            values = values[~nan]
        if len(values):
            low, high = torch.aminmax(values)
            lows.append(float(low))
            highs.append(float(high))
        if not least >= normal:  # also where there is a NaN
            subnormals += int((magnitude < normal).count_nonzero()) - zero
        fields = magnitude.view(torch.int64) >> _WIDE.fraction_bits
        exponents += torch.bincount(fields, minlength=len(exponents))
        exponents[0] -= zero  # which have the exponent of float64's subnormals
        if progress is not None:
            progress.advance(len(part))
    histogram = {
        biased - _WIDE.bias: count
        for biased, count in enumerate(exponents[:-1].tolist())  # the last: infinities and NaNs
        if count
    }
    return TensorStats(
        min(lows, default=None), max(highs, default=None), zeros, subnormals, nans, infinities,
        histogram,
    )  # fmt: skip


def _described(source: Source) -> list[TensorInfo]:
    """The tensors of a source, with the names of those that share their storage."""
    sharing: dict[int, list[str]] = {}  # in the order of first use, of which names are made
    for entry in source.entries:
        if entry.layout is not None and entry.layout.storage_bytes:
            sharing.setdefault(entry.layout.storage, []).append(entry.name)
    names = {storage: f"#{number}" for number, storage in enumerate(sharing, 1)}
    infos = []
    for entry in source.entries:
        place = entry.layout
        shared = sharing.get(place.storage, []) if place and place.storage_bytes else []
        infos.append(
            TensorInfo(
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
                storage=names[place.storage] if place and shared else entry.name,
                storage_bytes=place.storage_bytes if place else entry.nbytes,
                shares_with=tuple(name for name in shared if name != entry.name),
            )
        )
    return infos


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
