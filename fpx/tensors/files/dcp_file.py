"""torch's distributed checkpoints: a directory of .distcp files, and .metadata that describes them.

What `torch.distributed.checkpoint` writes (metadata.py, filesystem.py there). `.metadata` is a
pickle, which is walked and never run. It says of each tensor which parts of it there are, and of
each part in which file and where: there lies what `torch.save` writes of one tensor.
"""

from __future__ import annotations

import io
import os
import stat
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from itertools import product
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fpx.errors import InputError
from fpx.tensors.blocks import Box
from fpx.tensors.entry import (
    COMPLEX_NOTE,
    Scalar,
    Scalars,
    Source,
    TensorEntry,
    Unread,
    row_major,
)
from fpx.tensors.files.kinds import DAMAGE, no_metadata
from fpx.tensors.files.pickles import Made, Named, PickleError, Table, walk
from fpx.tensors.files.plain import plain_entry
from fpx.tensors.files.torch_archive import Archive, archive_of
from fpx.tensors.files.torch_objects import View, scalars_in, tensor_of
from fpx.tensors.types import Origin, itemsize, type_named
from fpx.words import escape, listed, quoted, quoted_path, reason

if TYPE_CHECKING:
    from torch import Tensor

_LARGEST_METADATA = 64 << 20  # bytes
_SLAB = 16 << 20  # bytes of a tensor that are put together at a time
_MOST_AXES = 6  # along which a tensor is cut
_LONG = 40  # characters of a dtype's name
_LARGEST = 1 << 62  # elements, bytes
_SETTINGS = "param_groups"  # in the names of numbers that are worth reading
_COMPLEX = {"complex32": "float16", "complex64": "float32", "complex128": "float64"}

_CALLS = {Named("torch", "Size"): lambda given: given[0] if given else ()}


def open_distributed(path: Path) -> Source:
    """The tensors of a distributed checkpoint, named as in its state dict.

    Args:
        path: its `.metadata`; the other files are beside it.

    Raises:
        InputError: no such metadata.
    """
    reader, described = _read(path)
    version = described.get("version")
    return Source(
        str(path.parent), tuple(reader.entries), reader.told(),
        metadata={"version": version} if isinstance(version, str) else {},
        unread=tuple(reader.unread), damaged=tuple(reader.damaged),
        stored=reader.files.size() + path.stat().st_size, scalars=partial(_scalars, path),
    )  # fmt: skip


def _scalars(path: Path) -> Scalars:
    """The numbers and texts of optimizers' groups in a distributed checkpoint.

    Raises:
        InputError: one is damaged, or lies where it cannot.
    """
    return _read(path)[0].scalars()


def _read(path: Path) -> tuple[_Reader, dict[str, object]]:
    """What there is in a checkpoint, and what its `.metadata` says of all of it.

    Raises:
        InputError: no such metadata.
    """
    shown = quoted_path(path)
    size = path.stat().st_size
    if size > _LARGEST_METADATA:
        raise InputError(f"{shown} has {size:,} bytes: {_LARGEST_METADATA:,} are read")
    try:
        root = walk(path.read_bytes(), calls=_CALLS).root
    except PickleError as error:
        raise no_metadata(shown, str(error)) from None
    described = _attributes(root, "Metadata")
    tensors = described.get("state_dict_metadata")
    if not isinstance(tensors, Table):
        raise no_metadata(shown, "it has no state_dict_metadata")
    stored = described.get("storage_data")
    if not isinstance(stored, Table):
        raise InputError(
            f"{shown} describes no files: fpx reads what torch's FileSystemWriter wrote"
        )
    reader = _Reader(_Files(path.parent), _places(stored))
    for key, item in tensors.pairs():
        reader.take(key, item)
    return reader, described


def _attributes(item: object, name: str) -> dict[str, object]:
    """The attributes of an object of one of torch's classes; none of another's.

    Only the name counts: the modules that the classes are in have changed.
    """
    match item:
        case Made(kind=Named(module, own), state=Table() as state) if (
            own == name and module.startswith("torch.distributed")
        ):
            return state.texts()
    return {}


_Places = Mapping[tuple[str, tuple[int, ...] | None], dict[str, object]]
"""Name and offsets of a part -> where it lies, as `_StorageInfo` says it."""


def _places(stored: Table) -> _Places:
    found: dict[tuple[str, tuple[int, ...] | None], dict[str, object]] = {}
    for key, place in stored.pairs():
        index = _attributes(key, "MetadataIndex")
        name, offset = index.get("fqn"), index.get("offset")
        if isinstance(name, str) and (offset is None or _are_numbers(offset)):
            found[name, offset] = _attributes(place, "_StorageInfo")  # type: ignore[index]
    return found


def _are_numbers(item: object) -> bool:
    return isinstance(item, tuple) and all(
        type(number) is int and 0 <= number < _LARGEST for number in item
    )


class _DamagedError(Exception):
    """What is wrong with a tensor."""


class _Files:
    """The files of a checkpoint that its metadata may name: those in its directory."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._sizes: dict[str, int] = {}

    def size(self) -> int:
        """Bytes of those that were looked at."""
        return sum(self._sizes.values())

    def path(self, name: object, end: int) -> Path:
        """One that has so many bytes.

        Raises:
            _DamagedError: it has not, or is no file of the directory.
        """
        if not isinstance(name, str) or name in ("", ".", "..") or {"/", "\\", "\0"} & set(name):
            raise _DamagedError(f"lies in {quoted(str(name))}, which is no file beside it")
        if name not in self._sizes:
            self._sizes[name] = self._look(name)
        if end > self._sizes[name]:
            raise _DamagedError(
                f"lies beyond the end of {quoted(name)}: it is damaged or still being written"
            )
        return self.folder / name

    def _look(self, name: str) -> int:
        path = self.folder / name
        try:
            found = path.stat()
            real, home = os.path.realpath(path), os.path.realpath(self.folder)
        except (OSError, ValueError):
            raise _DamagedError(f"lies in {quoted(name)}, which is not there") from None
        if os.path.dirname(real) != home:  # noqa: PTH120 - of text that may be no path
            raise _DamagedError(f"lies in {quoted(name)}, which is a link out of the directory")
        if not stat.S_ISREG(found.st_mode):
            raise _DamagedError(f"lies in {quoted(name)}, which is not a regular file")
        return found.st_size


@dataclass(frozen=True)
class _Part:
    """A part of a tensor.

    Attributes:
        start, shape: where in the tensor it begins, and its elements along each axis.
        path, at, size: the file that it lies in, and which bytes of that.
    """

    start: tuple[int, ...]
    shape: tuple[int, ...]
    path: Path
    at: int
    size: int

    def __str__(self) -> str:
        spans = (
            f"{start}:{start + length}"
            for start, length in zip(self.start, self.shape, strict=True)
        )
        return f"part [{', '.join(spans)}] in {quoted(self.path.name)}"


class _Reader:
    """Goes through the tensors that the metadata describes.

    Attributes:
        entries: those that can be read.
        unread: those of types that cannot.
        damaged: what is wrong with others, a line each.
    """

    def __init__(self, files: _Files, places: _Places) -> None:
        self.files, self.places = files, places
        self.entries: list[TensorEntry] = []
        self.unread: list[Unread] = []
        self.damaged: list[str] = []
        self.others: list[str] = []
        self._names: set[str] = set()
        self.notes: list[str] = []

    def told(self) -> tuple[str, ...]:
        """What is to be said of the checkpoint."""
        settings = [name for name in self.others if _is_setting(name)]
        rest = [name for name in self.others if not _is_setting(name)]
        said = (
            ("settings of an optimizer, for step-compare", settings),
            ("passed over, because they are no tensors", rest),
        )
        lines = (f"{what}: {listed(map(quoted, names), 3)}" for what, names in said if names)
        return (*lines, *self.notes)

    def scalars(self) -> Scalars:
        """The numbers and texts of optimizers' groups, each of which is a pickle of its own.

        Raises:
            InputError: one is damaged, or lies where it cannot.
        """
        found: dict[str, Scalar] = {}
        for name in self.others:
            place = self.places.get((name, None))
            if not place or not _is_setting(name):
                continue
            told = f"{quoted_path(self.files.folder)}: {quoted(name)}"
            try:
                part = _Part((), (), *self._lies(place, "for its numbers"))
                root = _archive(part, told).walked["data.pkl"].root
            except (_DamagedError, *DAMAGE) as error:
                raise InputError(f"{told} cannot be read: {reason(error)}") from None
            found.update(scalars_in(root, name))
        return found

    def take(self, key: object, item: object) -> None:
        """One entry of the state dict."""
        name = key if isinstance(key, str) else escape(type(key).__name__)
        described = _attributes(item, "TensorStorageMetadata")
        if not described:
            self.others.append(name)
            return
        try:
            if name in self._names:
                raise _DamagedError("comes twice in the metadata")
            self._names.add(name)
            self._tensor(name, described)
        except _DamagedError as error:
            self.damaged.append(f"{quoted(name)} {error}")

    def _tensor(self, name: str, described: dict[str, object]) -> None:
        shape: Any = described.get("size")
        dtype = _dtype(described.get("properties"))
        if not _are_numbers(shape) or dtype is None or prod(shape) >= _LARGEST:
            raise _DamagedError("has no shape and dtype in the metadata")
        chunks = [
            _attributes(chunk, "ChunkStorageMetadata") for chunk in _items(described.get("chunks"))
        ]
        spans = _spans(shape, chunks)
        type_ = type_named("torch", _COMPLEX.get(dtype, dtype))
        packed = self._packing(name, spans)
        if type_ is None or itemsize(type_) is None or packed:
            called = dtype if dtype.isidentifier() and len(dtype) < _LONG else quoted(dtype)
            self.unread.append(Unread(name, f"{called}{packed}", shape, None))
            return
        parts = [self._part(name, start, lengths) for start, lengths in spans]
        tensor = _Tensor(name, dtype, type_, shape, tuple(parts))
        self.entries.append(tensor.entry())
        if dtype in _COMPLEX:
            self.notes.append(f"{name}: {COMPLEX_NOTE}")

    def _place(self, name: str, start: tuple[int, ...]) -> dict[str, object]:
        place = self.places.get((name, start))
        if not place:
            raise _DamagedError(f"has no place for its part at {_index(start)}")
        return place

    def _packing(self, name: str, spans: list[_Span]) -> str:
        """What packed the parts, for the name of a type that is not read."""
        for start, _ in spans:
            by = self._place(name, start).get("transform_descriptors")
            if by:
                names = [quoted(item) for item in _items(by) if isinstance(item, str)]
                return f", packed by {listed(names, 3)}"
        return ""

    def _part(self, name: str, start: tuple[int, ...], shape: tuple[int, ...]) -> _Part:
        place = self._place(name, start)
        return _Part(start, shape, *self._lies(place, f"for its part at {_index(start)}"))

    def _lies(self, place: dict[str, object], of: str) -> tuple[Path, int, int]:
        """The file that something lies in, and which bytes of that: their first, their number."""
        at, size = place.get("offset"), place.get("length")
        if not _are_numbers((at, size)):
            raise _DamagedError(f"has no place {of}")
        assert isinstance(at, int)
        assert isinstance(size, int)
        return self.files.path(place.get("relative_path"), at + size), at, size


def _is_setting(name: str) -> bool:
    return _SETTINGS in name


def _items(item: object) -> Sequence[object]:
    return item if isinstance(item, (list, tuple)) else ()


def _index(at: tuple[int, ...]) -> str:
    return f"[{', '.join(map(str, at))}]"


def _dtype(properties: object) -> str | None:
    """torch's name of a dtype, of `TensorProperties`."""
    match properties:
        case Made(kind=Named(name="TensorProperties"), state=(Named("torch", name), *_)):
            return name
    found = _attributes(properties, "TensorProperties").get("dtype")
    return found.name if isinstance(found, Named) and found.module == "torch" else None


_Span = tuple[tuple[int, ...], tuple[int, ...]]  # where a part begins, and its lengths


def _spans(shape: tuple[int, ...], chunks: list[dict[str, object]]) -> list[_Span]:
    """The parts of a tensor that have elements: they are all of it, and no two have one in common.

    Raises:
        _DamagedError: they are not.
    """
    spans: list[_Span] = []
    for chunk in chunks:
        start: Any = chunk.get("offsets")
        lengths: Any = chunk.get("sizes")
        if not (_are_numbers(start) and _are_numbers(lengths)):
            raise _DamagedError("has a part without offsets and sizes")
        if not len(start) == len(lengths) == len(shape):
            raise _DamagedError(f"has {len(shape)} axes, and a part at {_index(start)} has others")
        if 0 in lengths:
            continue
        ends = [at + length for at, length in zip(start, lengths, strict=True)]
        if any(end > length for end, length in zip(ends, shape, strict=True)):
            raise _DamagedError(f"has a part at {_index(start)} that reaches beyond its shape")
        spans.append((start, lengths))
    volume, wanted = sum(prod(lengths) for _, lengths in spans), prod(shape)
    if volume < wanted:
        raise _DamagedError(
            f"lacks {wanted - volume:,} of its {wanted:,} elements: parts are missing"
        )
    if not _is_tiling(shape, spans):
        raise _DamagedError("has parts that overlap")
    return spans


def _is_tiling(shape: tuple[int, ...], spans: list[_Span]) -> bool:
    """Whether parts with as many elements as the tensor (or more) have each element once.

    Of boxes, those corners that come an odd number of times are the corners of where an odd number
    of boxes lie over each other. If those are the tensor's own corners, each element is in an odd
    number of parts, and so in one, since there are no more elements in all parts than in it.
    """
    if sum(prod(lengths) for _, lengths in spans) != prod(shape):
        return False
    cut = [
        axis for axis in range(len(shape)) if any(span[1][axis] != shape[axis] for span in spans)
    ]
    if len(cut) > _MOST_AXES:
        raise _DamagedError(f"is cut along {len(cut)} axes: {_MOST_AXES} are read")
    odd: set[tuple[int, ...]] = set()
    for start, lengths in [*spans, ((0,) * len(shape), shape)] if cut else []:
        for corner in product(*((start[axis], start[axis] + lengths[axis]) for axis in cut)):
            odd ^= {corner}
    return not odd


# -- values ----------------------------------------------------------------------------------------


_Stored = tuple[TensorEntry, tuple[int, ...]]
"""A part as it lies in its file, and which axes of the tensor its axes are."""


@dataclass(frozen=True)
class _Tensor:
    """A tensor in parts.

    Attributes:
        name: its name.
        dtype: torch's name of its elements.
        type: of the numbers, of complex ones of both.
        shape: its shape.
        parts: all of it, each element once.
    """

    name: str
    dtype: str
    type: Origin
    shape: tuple[int, ...]
    parts: tuple[_Part, ...]

    def entry(self) -> TensorEntry:
        """It, to be read."""
        shape = (*self.shape, 2) if self.dtype in _COMPLEX else self.shape
        stored = cache(self._stored)  # what is found of a part is kept as long as the entry

        def read_box(limit: int, box: Box) -> Iterator[Tensor]:
            from fpx.tensors.rows import boxes, row_major_blocks

            most = max(_SLAB // (itemsize(self.type) or 1), limit)
            for inner in boxes([len(along) for along in box], most):
                moved = tuple(
                    range(outer.start + along.start, outer.start + along.stop)
                    for outer, along in zip(box, inner, strict=True)
                )
                yield from row_major_blocks(self._assembled(stored, moved, limit), limit)

        def read(limit: int) -> Iterator[Tensor]:
            if 0 not in shape:
                yield from read_box(limit, tuple(map(range, shape)))

        return TensorEntry(self.name, self.type, shape, read, read_box=read_box)

    def _assembled(self, stored: Callable[[_Part], _Stored], box: Box, limit: int) -> Tensor:
        """A box of it, row-major, of all parts that have some of it.

        Args:
            stored: as `_stored`.
            box: the indexes along each axis; not empty along any.
            limit: elements to read at a time, at most.
        """
        import torch

        from fpx.tensors.dtypes import codes_of, torch_dtype

        held = torch.empty([len(along) for along in box], dtype=torch_dtype(self.type))
        codes = codes_of(held)  # torch cannot copy every dtype into a part
        for part in self.parts:
            inner = _common(box, part)
            if inner is None:
                continue
            entry, order = stored(part)
            begins = (*part.start, 0)  # of a complex tensor, an axis more
            local = [
                range(along.start - start, along.stop - start)
                for along, start in zip(inner, begins, strict=False)
            ]
            read = entry.part(tuple(local[axis] for axis in order), limit)
            there = tuple(
                slice(along.start - around.start, along.stop - around.start)
                for along, around in zip(inner, box, strict=True)
            )
            axes = [order.index(axis) for axis in range(len(order))]
            codes[there] = codes_of(read.permute(axes))
        return held

    def _stored(self, part: _Part) -> _Stored:
        """A part as it lies in its file, and its axes there, the slowest first.

        Raises:
            InputError: another tensor lies there, or none.
        """
        told = f"{quoted_path(part.path.parent)}: {quoted(self.name)}, {part}"
        try:
            view, start, swapped = _view(part, told)
        except DAMAGE as error:
            raise InputError(f"{told} cannot be read: {reason(error)}") from None
        if view.dtype != self.dtype:
            raise InputError(f"{told} is of {quoted(view.dtype)}, not of {self.dtype}")
        if view.shape != part.shape:
            raise InputError(f"{told} has the shape {list(view.shape)} there")
        # where an axis has one index, its stride says nothing
        order = tuple(
            sorted(
                range(len(view.shape)), key=lambda axis: (view.shape[axis] > 1, -view.stride[axis])
            )
        )
        plain = row_major(view.shape, order)
        same = (
            length == 1 or own == dense
            for length, own, dense in zip(view.shape, view.stride, plain, strict=True)
        )
        if swapped or view.conjugated or view.negated or not all(same):
            raise InputError(f"{told} is not stored as plain numbers")
        shape = view.shape
        if self.dtype in _COMPLEX:
            shape, order = (*shape, 2), (*order, len(order))
        lying = tuple(shape[axis] for axis in order)
        return plain_entry(part.path, start, self.name, self.type, lying), order


def _common(box: Box, part: _Part) -> Box | None:
    """What a box has in common with a part; None if that is nothing.

    Args:
        box: of a complex tensor, with an axis more.
        part: a part of the tensor.
    """
    inner = []
    for along, start, length in zip(box, part.start, part.shape, strict=False):
        first, last = max(along.start, start), min(along.stop, start + length)
        if first >= last:
            return None
        inner.append(range(first, last))
    return (*inner, *box[len(inner) :])


def _view(part: _Part, told: str) -> tuple[View, int, bool]:
    """The tensor at the place of a part, the byte of the file where its numbers begin, and whether
    those are of the other byte order.

    Raises:
        InputError: no tensor, or a damaged one.
    """
    archive = _archive(part, told)
    view = tensor_of(archive.walked["data.pkl"].root)
    if not isinstance(view, View) or view.note:
        raise InputError(f"{told} is no plain tensor")
    record = archive.storages("data").get(view.storage)
    bytes_of = itemsize_of(view.dtype)
    if record is None or view.end * bytes_of > record.size:
        raise InputError(f"{told} is larger than its record: it is damaged")
    return view, part.at + record.start + view.offset * bytes_of, archive.swapped


def _archive(part: _Part, told: str) -> Archive:
    """What `torch.save` wrote at the place of a part.

    Raises:
        InputError: nothing, or something damaged.
    """
    with part.path.open("rb", buffering=0) as file:
        section = io.BufferedReader(_Section(file, part.at, part.size))
        if not zipfile.is_zipfile(section):
            raise InputError(f"{told} is not what torch.save writes")
        return archive_of(section, told)


def itemsize_of(dtype: str) -> int:
    """Bytes of an element of one of torch's dtypes; 1 of what is no plain number."""
    type_ = type_named("torch", _COMPLEX.get(dtype, dtype))
    return (1 + (dtype in _COMPLEX)) * (1 if type_ is None else itemsize(type_) or 1)


class _Section(io.RawIOBase):
    """Some bytes of a file, as a file."""

    def __init__(self, file: io.FileIO, start: int, size: int) -> None:
        self._file, self._start, self._size, self._at = file, start, size, 0

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """As of any file."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        if base + offset < 0:
            raise OSError("a place before the beginning")
        self._at = base + offset
        return self._at

    def readinto(self, buffer: Any) -> int:
        """As of any file."""
        left = max(self._size - self._at, 0)
        target = memoryview(buffer).cast("B")[:left]
        self._file.seek(self._start + self._at)
        count = self._file.readinto(target) or 0
        self._at += count
        return count
