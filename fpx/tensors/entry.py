"""Named tensors as streams of blocks: what sources and files have in common.

What is known of a tensor from its header is here without torch, which is imported when values are
read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import TYPE_CHECKING

from fpx.errors import InputError
from fpx.tensors.blocks import SLAB, Box, Read, ReadBox, ReadPart
from fpx.tensors.types import Origin, itemsize
from fpx.words import quoted

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from fpx.tensors.quantised.model import Quantised

COMPLEX_NOTE = "complex: the last index is 0 for real parts, 1 for imaginary ones"
NO_TENSORS = "no tensors, passed over"
"""How a note on numbers and texts ends, of which other kinds of files say nothing."""


@dataclass(frozen=True)
class Layout:
    """How a tensor lies in its storage.

    Attributes:
        stride: elements of the storage between neighbours along each axis.
        offset: the storage's element that index 0, … is.
        storage: which storage; in one source, tensors have the same if they share one, and no
            others do. It means nothing beyond that: an address, which changes from run to run.
        storage_bytes: size of the whole storage.
    """

    stride: tuple[int, ...]
    offset: int
    storage: int
    storage_bytes: int


def row_major(shape: tuple[int, ...], order: Sequence[int] | None = None) -> tuple[int, ...]:
    """The strides of a tensor without gaps, in elements.

    Args:
        shape: elements along each axis.
        order: the axes, the slowest first; None is row-major.
    """
    strides = [0] * len(shape)
    step = 1
    for axis in reversed(range(len(shape)) if order is None else order):
        strides[axis] = step
        step *= max(shape[axis], 1)
    return tuple(strides)


@dataclass(frozen=True)
class TensorEntry:
    """One tensor that can be read in blocks.

    Attributes:
        name: its name in the source, as found there (not escaped).
        type: the format or integer type of its elements; its blocks are of torch's dtype of that.
        shape: its shape; () for a scalar.
        read: reads it in storage order.
        order: the axes in storage order, the slowest first; None is row-major.
        only_for: the one target format it was made for, or None.
        layout: how it lies in a storage that it may share or be a view of; None where it has one of
            its own, without gaps.
        read_box: reads a part of it in storage order, without the rest; None where only all of it
            can be read.
        quantised: how it is stored, if its numbers are made of codes and scales; `type` and `shape`
            are then those of the numbers.
        lasting: whether a block in storage order stays as it is when the next is asked for.
        read_part: reads a stretch of it in storage order, in any thread; None where none can.
    """

    name: str
    type: Origin
    shape: tuple[int, ...]
    read: Read = field(repr=False)
    order: tuple[int, ...] | None = None
    only_for: str | None = None
    layout: Layout | None = None
    read_box: ReadBox | None = field(default=None, repr=False)
    quantised: Quantised | None = field(default=None, repr=False)
    lasting: bool = field(default=False, repr=False)
    read_part: ReadPart | None = field(default=None, repr=False)

    def blocks(
        self, limit: int, *, row_major: bool = False, multiple_of: int = 1, slab: int = SLAB
    ) -> Iterator[Tensor]:
        """Its elements, as 1-D CPU tensors of `dtype`.

        Each is only valid until the next is asked for, if not `lasting`.

        Args:
            limit: elements of a block, at most.
            row_major: whether in row-major order; else in storage order, in which every part of a
                file is read once.
            multiple_of: elements of a group: a block holds whole groups, which are cut along the
                last axis, from the beginning of each row on; the last group of a row has what is
                left (of 10 elements in groups of 4: 4, 4, 2). Row-major, if more than 1.
            slab: bytes to hold where the storage is not row-major; of a kind of file that can only
                be read from its beginning to its end, all of it is read once per slab.

        Raises:
            InputError: damage that shows only here, or a group has no room in a block.
        """
        if multiple_of < 1:
            raise InputError(f"`multiple_of` must be at least 1, not {multiple_of}")
        if self.order is None or not (row_major or multiple_of > 1):
            blocks = self.read(limit)
        else:
            from fpx.tensors.rows import reordered

            blocks = reordered(
                self.read, self.read_box, self.shape, self.order, self.dtype, limit, slab
            )
        if multiple_of == 1:
            return blocks
        from fpx.tensors.rows import in_groups

        return in_groups(blocks, self.shape[-1] if self.shape else 1, multiple_of, limit)

    def part(self, box: Box, limit: int) -> Tensor:
        """A part of it: a CPU tensor of the lengths of the box, whose strides are the storage's.

        Args:
            box: the indexes along each axis; not empty along any.
            limit: elements to read at a time, at most.

        Raises:
            InputError: damage that shows only here.
        """
        from fpx.tensors.rows import part

        return part(self.read, self.read_box, self.shape, self._axes, self.dtype, limit, box)

    @property
    def dtype(self) -> torch.dtype:
        """torch's dtype of the blocks.

        Raises:
            UnavailableError: this torch has none.
        """
        from fpx.tensors.dtypes import torch_dtype

        return torch_dtype(self.type)

    @property
    def count(self) -> int:
        """Number of elements."""
        return prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes of all its elements."""
        return self.count * (itemsize(self.type) or 1)

    @property
    def start(self) -> int:
        """Position of its first element in the tensor that it is a part of, in storage order."""
        return 0

    @property
    def stride(self) -> tuple[int, ...]:
        """Elements between neighbours along each axis."""
        if self.layout is not None:
            return self.layout.stride
        return row_major(self.shape, self.order)

    @property
    def _axes(self) -> Sequence[int]:
        return range(len(self.shape)) if self.order is None else self.order

    def step(self, axis: int) -> int:
        """Elements between neighbours along an axis, in the order of the blocks."""
        axes = self._axes
        return prod(self.shape[faster] for faster in axes[axes.index(axis) + 1 :])

    def index(self, position: int, *, row_major: bool = False) -> tuple[int, ...]:
        """Multi-index of the element at a position in the order of the blocks."""
        index = [0] * len(self.shape)
        for axis in reversed(range(len(self.shape)) if row_major else self._axes):
            position, index[axis] = divmod(position, self.shape[axis])
        return tuple(index)

    def within(self, index: tuple[int, ...]) -> tuple[int, ...]:
        """An index, of which what is negative counts from the end, as one from the beginning.

        Raises:
            InputError: there is no such element.
        """
        if len(index) != len(self.shape):
            raise InputError(
                f"{quoted(self.name)} has shape {list(self.shape)}: give {len(self.shape)} "
                f"indexes, not {len(index)}"
            )
        wrapped = tuple(at + n if at < 0 else at for at, n in zip(index, self.shape, strict=True))
        if not all(0 <= at < n for at, n in zip(wrapped, self.shape, strict=True)):
            raise InputError(f"{list(index)} is outside of {quoted(self.name)}: {list(self.shape)}")
        return wrapped

    def position(self, index: tuple[int, ...], *, row_major: bool = False) -> int:
        """The inverse of `index`."""
        position = 0
        for axis in range(len(self.shape)) if row_major else self._axes:
            position = position * self.shape[axis] + index[axis]
        return position


@dataclass(frozen=True)
class Unread:
    """A tensor whose elements fpx cannot read: quantised in blocks, or several in a byte.

    Attributes:
        name: its name in the source.
        type: what the file calls its type, such as `Q4_K`.
        shape: its shape.
        nbytes: bytes that it takes in the file; None where that is not known.
        raw: its bytes, as uint8, where its numbers could be made of them (`tensors.quantised`).
        why: why not, where there is more to say than its type, in a few words.
    """

    name: str
    type: str
    shape: tuple[int, ...]
    nbytes: int | None
    raw: TensorEntry | None = field(default=None, repr=False, compare=False)
    why: str = ""

    @property
    def note(self) -> str:
        """The line that is said of it."""
        return f"{self.name}: {self.type} is not read{': ' if self.why else ''}{self.why}"


@dataclass(frozen=True)
class Long:
    """A list in a file's metadata that is too long to keep.

    Attributes:
        items: how many there are.
        first: the first of them.
    """

    items: int
    first: tuple[Scalar, ...]


Scalar = str | int | float | bool | None
Metadata = Mapping[str, Scalar | Long | tuple[Scalar, ...]]
"""What a file says of itself beside its tensors."""


Scalars = Mapping[str, Scalar]
"""Numbers and texts that stand among the tensors of a collection, named by their path in it."""


@dataclass(frozen=True)
class Source:
    """A distribution, a file or a tensor in memory.

    Attributes:
        name: how a report calls it.
        entries: its tensors.
        notes: one line for each tensor that was passed over, or read in part, and why.
        kind: what it is, such as `safetensors`.
        metadata: what it says of itself.
        unread: tensors that are in it and cannot be read; `open_all` makes notes of them.
        damaged: what is wrong with tensors that are in none of these, a line each, its name first;
            `open_all` makes errors of them.
        stored: bytes of all its files; None where it is one file, the one that was opened.
        scalars: reads the numbers and texts among its tensors, of kinds of files that have such.
    """

    name: str
    entries: tuple[TensorEntry, ...]
    notes: tuple[str, ...] = ()
    kind: str = "tensor"
    metadata: Metadata = field(default_factory=dict, hash=False)
    unread: tuple[Unread, ...] = ()
    damaged: tuple[str, ...] = ()
    stored: int | None = None
    scalars: Callable[[], Scalars] = field(default=dict, repr=False, compare=False)
