"""The numbers of a tensor in a distributed checkpoint, put together of its parts."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from fpx.errors import InputError
from fpx.tensors.blocks import Box
from fpx.tensors.entry import TensorEntry, row_major
from fpx.tensors.files.dcp_parts import Part
from fpx.tensors.files.kinds import DAMAGE
from fpx.tensors.files.plain import plain_entry
from fpx.tensors.files.torch_archive import Archive, archive_of
from fpx.tensors.files.torch_objects import View, tensor_of
from fpx.tensors.types import Origin, itemsize, type_named
from fpx.words import quoted, quoted_path, reason

if TYPE_CHECKING:
    from torch import Tensor

_SLAB = 16 << 20  # bytes of a tensor that are put together at a time

COMPLEX = {"complex32": "float16", "complex64": "float32", "complex128": "float64"}
"""torch's name of complex numbers -> the type of both their parts."""

_Stored = tuple[TensorEntry, tuple[int, ...]]
"""A part as it lies in its file, and which axes of the tensor its axes are."""


@dataclass(frozen=True)
class PartedTensor:
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
    parts: tuple[Part, ...]

    def entry(self) -> TensorEntry:
        """It, to be read."""
        shape = (*self.shape, 2) if self.dtype in COMPLEX else self.shape
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

    def _assembled(self, stored: Callable[[Part], _Stored], box: Box, limit: int) -> Tensor:
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

    def _stored(self, part: Part) -> _Stored:
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
        if self.dtype in COMPLEX:
            shape, order = (*shape, 2), (*order, len(order))
        lying = tuple(shape[axis] for axis in order)
        return plain_entry(part.path, start, self.name, self.type, lying), order


def _common(box: Box, part: Part) -> Box | None:
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


def _view(part: Part, told: str) -> tuple[View, int, bool]:
    """The tensor at the place of a part, the byte of the file where its numbers begin, and whether
    those are of the other byte order.

    Raises:
        InputError: no tensor, or a damaged one.
    """
    archive = archive_at(part, told)
    view = tensor_of(archive.walked["data.pkl"].root)
    if not isinstance(view, View) or view.note:
        raise InputError(f"{told} is no plain tensor")
    record = archive.storages("data").get(view.storage)
    bytes_of = _itemsize_of(view.dtype)
    if record is None or view.end * bytes_of > record.size:
        raise InputError(f"{told} is larger than its record: it is damaged")
    return view, part.at + record.start + view.offset * bytes_of, archive.swapped


def archive_at(part: Part, told: str) -> Archive:
    """What `torch.save` wrote at the place of a part.

    Raises:
        InputError: nothing, or something damaged.
    """
    with part.path.open("rb", buffering=0) as file:
        section = io.BufferedReader(_Section(file, part.at, part.size))
        if not zipfile.is_zipfile(section):
            raise InputError(f"{told} is not what torch.save writes")
        return archive_of(section, told)


def _itemsize_of(dtype: str) -> int:
    """Bytes of an element of one of torch's dtypes; 1 of what is no plain number."""
    type_ = type_named("torch", COMPLEX.get(dtype, dtype))
    return (1 + (dtype in COMPLEX)) * (1 if type_ is None else itemsize(type_) or 1)


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
