"""What is in sources: their headers, and values where those are asked for.

What needs no values loads no library of tensors; `fpx.measure.values` is imported when one does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import prod
from typing import TYPE_CHECKING

from fpx.errors import InputError
from fpx.measure.quantised import described, dtype_of, examined, followed, size_of
from fpx.report.base import JsonValue
from fpx.report.decode import DecodeReport
from fpx.report.followed import ElementReport
from fpx.report.inspect import ExtremesReport, InspectReport, LayoutReport, TensorReport
from fpx.report.inspect_row import TensorInfo, TensorStats
from fpx.tensors.entry import Long, Metadata, Source, TensorEntry, row_major
from fpx.tensors.opening import list_all
from fpx.tensors.progress import Progress, Silent
from fpx.words import did_you_mean, quoted

if TYPE_CHECKING:
    from fpx.measure.values import Corners


def inspect(
    sources: Sequence[object],
    *,
    tensor: str | None = None,
    index: tuple[int, ...] | None = None,
    top: int | None = None,
    layout: bool = False,
    stats: bool = False,
    axis: int | None = None,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    stored: bool = False,
    as_: Sequence[str] = (),
    progress: Progress | None = None,
) -> InspectReport | TensorReport | LayoutReport | ExtremesReport | DecodeReport | ElementReport:
    """What is in sources, or what one tensor of them is.

    Args:
        sources: what `fpx.tensors.opening.open_all` takes, distributions aside.
        tensor: the name of one tensor: its values, or the corners of a large one.
        index: of that tensor, one element down to its bits; of a quantised weight, from its code
            and scales to its value.
        top: of that tensor, so many of the largest, the smallest and the closest to zero.
        layout: how that tensor lies in its storage.
        stats: whether to read the values, of all tensors or of that one.
        axis: with `stats`, the channel along this axis that sticks out; negative ones count from
            the last.
        include, exclude: patterns of tensor names, see `fpx.tensors.select`.
        stored: whether quantised weights stay as they are stored, codes and scales.
        as_: how quantised weights are stored, see `fpx.tensors.quantised.told`.
        progress: hears how far the reading of values is.

    Returns:
        An `InspectReport`; with `tensor` a `TensorReport`, with `layout` a `LayoutReport`, with
        `index` a `DecodeReport` (of a quantised weight an `ElementReport`), with `top` an
        `ExtremesReport`.

    Raises:
        InputError: a source cannot be read and is the only one or asked for one tensor, there is no
            such tensor, element or axis, or arguments exclude each other.
        UnavailableError: a kind of file needs a package that is not installed.
    """
    if tensor is None and (index is not None or top is not None or layout):
        raise InputError("`index`, `top` and `layout` look into one tensor: name it with `tensor`")
    if axis is not None and not stats:
        raise InputError("`axis` is of the values: ask for `stats=True` too")
    ways = {"index": index is not None, "top": top is not None, "layout": layout}
    if not layout:
        ways["stats"] = stats
    chosen = [f"`{name}`" for name, wanted in ways.items() if wanted]
    if len(chosen) > 1:
        raise InputError(f"{' and '.join(chosen)} exclude each other: choose one")
    progress = progress or Silent()
    if tensor is None:
        return inspect_all(
            sources,
            include=include,
            exclude=exclude,
            stats=stats,
            axis=axis,
            progress=progress,
            stored=stored,
            as_=as_,
        )
    source, entry = find_tensor(sources, tensor, include, exclude, stored, as_)
    if index is not None:
        if entry.quantised is not None and entry.quantised.follow is not None:
            return followed(source, entry, index)
        from fpx.measure.values import element

        return element(entry, index)
    if top is not None:
        from fpx.measure.values import extremes

        largest, smallest, closest = extremes(entry, top)
        dtype = _dtype(entry)
        return ExtremesReport(source.name, tensor, dtype, largest, smallest, closest)
    (info,) = (info for info in _described(source) if info.tensor == tensor)
    info = _examined(entry, info)
    if layout:
        if stats:
            progress.start(entry.count)
            info = replace(info, stats=_stats(entry, axis, progress, alone=True))
        return LayoutReport(info)
    return _values(entry, info, stats, axis, progress)


def inspect_all(
    sources: Sequence[object],
    *,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    stored: bool = False,
    as_: Sequence[str] = (),
    stats: bool = False,
    axis: int | None = None,
    progress: Progress | None = None,
) -> InspectReport:
    """The tensors of sources; their values are read only for `stats`. Arguments as of `inspect`.

    Raises:
        InputError: the only source, or the only tensor's values, cannot be read. Of several, a bad
            one becomes a line of `errors`.
    """
    opened = list_all(sources, include, exclude, stored=stored, as_=as_)
    progress = progress or Silent()
    entries = [entry for source in opened.sources for entry in source.entries]
    if stats:
        if axis is not None and not any(_has_axis(entry, axis) for entry in entries):
            raise InputError(f"none of the {len(entries):,} tensors has an axis {axis}")
        progress.start(opened.count)
    alone = len(sources) == 1 and len(entries) == 1
    errors = list(opened.errors)
    tensors: list[TensorInfo] = []
    for source in opened.sources:
        described = _described(source)
        if not stats:
            tensors += described
            continue
        for info, entry in zip(described, source.entries, strict=False):  # the rest is unread
            try:
                info = _examined(entry, info)
                found = _stats(entry, axis, progress)
            except InputError as error:  # damage that only its values show
                if alone:
                    raise
                errors.append(str(error))
                found = None
            tensors.append(replace(info, stats=found))
        tensors += described[len(source.entries) :]
    metadata = {
        source.name: _plain(source.metadata) for source in opened.sources if source.metadata
    }
    return InspectReport(tuple(tensors), metadata, opened.notes, tuple(errors))


def find_tensor(
    sources: Sequence[object],
    tensor: str,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    stored: bool = False,
    as_: Sequence[str] = (),
) -> tuple[Source, TensorEntry]:
    """The tensor of that name in the sources.

    Raises:
        InputError: none has it, several have, it cannot be read, or one of the sources cannot.
    """
    opened = list_all(sources, include, exclude, stored=stored, as_=as_)
    if opened.errors:  # who knows what is in that one
        raise InputError(opened.errors[0])
    found = [
        (source, entry)
        for source in opened.sources
        for entry in source.entries
        if entry.name == tensor
    ]
    if not found:
        unread = (item for source in opened.sources for item in source.unread)
        for item in unread:
            if item.name == tensor:
                why = f": {item.why}" if item.why else ""
                raise InputError(f"{quoted(tensor)} is {item.type}, whose values are not read{why}")
        names = [entry.name for source in opened.sources for entry in source.entries]
        hint = did_you_mean(tensor, names) or ": fpx inspect FILE lists the names"
        raise InputError(f"no tensor {quoted(tensor)} there{hint}")
    files = len({id(source) for source, _ in found})
    if files > 1:
        raise InputError(f"{files} files have a tensor {quoted(tensor)}: name one file")
    if len(found) > 1:
        raise InputError(f"{len(found)} tensors are called {quoted(tensor)} there: none is chosen")
    return found[0]


def _values(
    entry: TensorEntry, info: TensorInfo, stats: bool, axis: int | None, progress: Progress
) -> TensorReport:
    from fpx.measure.values import Corners

    corners = Corners(entry)
    if not stats:
        corners.read()
    else:  # in one pass: stdin is read once
        progress.start(entry.count)
        found = _stats(entry, axis, progress, alone=True, corners=corners)
        info = replace(info, stats=found)
    return TensorReport(info, corners.indexes, corners.elements)


def _stats(
    entry: TensorEntry,
    axis: int | None,
    progress: Progress,
    *,
    alone: bool = False,
    corners: Corners | None = None,
) -> TensorStats:
    """The statistics of a tensor; of one that lacks the axis without its channels.

    Raises:
        InputError: it is the only one and lacks the axis, or its values cannot be read.
    """
    from fpx.measure.values import tensor_stats

    if axis is not None and not _has_axis(entry, axis):
        if alone:
            raise InputError(
                f"{quoted(entry.name)} has no axis {axis}: its shape is {list(entry.shape)}"
            )
        axis = None
    if axis is not None and axis < 0:
        axis += len(entry.shape)
    watch = None if corners is None else corners.watch
    return tensor_stats(entry, progress, axis=axis, watch=watch)


def _dtype(entry: TensorEntry) -> str:
    return entry.type.name if entry.quantised is None else dtype_of(entry.quantised)


def _examined(entry: TensorEntry, info: TensorInfo) -> TensorInfo:
    """A tensor with what the scales of a quantised weight show."""
    if info.quantised is None:
        return info
    return replace(info, quantised=examined(entry, info.quantised))


def _has_axis(entry: TensorEntry, axis: int) -> bool:
    return -len(entry.shape) <= axis < len(entry.shape)


def _described(source: Source) -> list[TensorInfo]:
    """The tensors of a source, with the names of those that share their storage, then the unread.

    In the order of `source.entries` and `source.unread`.
    """
    sharing: dict[int, list[str]] = {}  # in the order of first use, of which names are made
    for entry in source.entries:
        if entry.layout is not None and entry.layout.storage_bytes:
            sharing.setdefault(entry.layout.storage, []).append(entry.name)
    names = {storage: f"#{number}" for number, storage in enumerate(sharing, 1)}
    infos = []
    for entry in source.entries:
        place = entry.layout
        stride = entry.stride
        shared = sharing.get(place.storage, []) if place and place.storage_bytes else []
        stored = described(entry)
        size = entry.nbytes if stored is None else size_of(stored)
        infos.append(
            TensorInfo(
                source=source.name,
                kind=source.kind,
                tensor=entry.name,
                dtype=_dtype(entry),
                shape=entry.shape,
                stride=stride,
                storage_offset=place.offset if place else 0,
                contiguous=_is_contiguous(entry.shape, stride),
                count=entry.count,
                bytes=size,
                storage=names[place.storage] if place and shared else entry.name,
                storage_bytes=place.storage_bytes if place else size,
                shares_with=tuple(name for name in shared if name != entry.name),
                quantised=stored,
            )
        )
    infos += [
        TensorInfo(
            source=source.name,
            kind=source.kind,
            tensor=item.name,
            dtype=item.type,
            shape=item.shape,
            stride=row_major(item.shape),
            storage_offset=0,
            contiguous=True,
            count=prod(item.shape),
            bytes=item.nbytes,
            storage=item.name,
            storage_bytes=item.nbytes,
            readable=False,
        )
        for item in source.unread
    ]
    return infos


def _plain(metadata: Metadata) -> dict[str, JsonValue]:
    """Metadata as JSON values."""
    return {
        key: {"items": value.items, "first": list(value.first)}
        if isinstance(value, Long)
        else list(value)
        if isinstance(value, tuple)
        else value
        for key, value in metadata.items()
    }


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
