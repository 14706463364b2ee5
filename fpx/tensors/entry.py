"""Named tensors as streams of blocks: what sources and files have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from math import prod

import torch
from torch import Tensor

Blocks = Callable[[int], Iterator[Tensor]]
"""Longest block -> the tensor's elements, in storage order of the entry, as 1-D CPU tensors.

A block is only valid until the next one is asked for.
"""


COMPLEX_NOTE = "complex: the last index is 0 for real parts, 1 for imaginary ones"


@dataclass(frozen=True)
class Layout:
    """How a tensor lies in its storage.

    Attributes:
        stride: elements of the storage between neighbours along each axis.
        offset: the storage's element that index 0, … is.
        storage: which storage, unique in the source; tensors that share one have the same.
        storage_bytes: size of the whole storage.
    """

    stride: tuple[int, ...]
    offset: int
    storage: str
    storage_bytes: int


@dataclass(frozen=True)
class TensorEntry:
    """One tensor that can be read in blocks.

    Attributes:
        name: its name in the source, as found there (not escaped).
        dtype: torch's dtype of the blocks.
        shape: its shape; () for a scalar.
        blocks: reads it.
        order: the axes in the order of the blocks, the slowest first; None is row-major.
        only_for: the one target format it was made for, or None.
        layout: how it lies in a storage that it may share or be a view of; None where it has one of
            its own, without gaps.
    """

    name: str
    dtype: torch.dtype
    shape: tuple[int, ...]
    blocks: Blocks = field(repr=False)
    order: tuple[int, ...] | None = None
    only_for: str | None = None
    layout: Layout | None = None

    @property
    def count(self) -> int:
        """Number of elements."""
        return prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes of all its elements."""
        return self.count * self.dtype.itemsize

    @property
    def stride(self) -> tuple[int, ...]:
        """Elements between neighbours along each axis."""
        if self.layout is not None:
            return self.layout.stride
        strides = [0] * len(self.shape)
        step = 1
        for axis in reversed(self._axes):
            strides[axis] = step
            step *= max(self.shape[axis], 1)
        return tuple(strides)

    @property
    def _axes(self) -> Sequence[int]:
        return range(len(self.shape)) if self.order is None else self.order

    def index(self, position: int) -> tuple[int, ...]:
        """Multi-index of the element at a position in the order of the blocks."""
        index = [0] * len(self.shape)
        for axis in reversed(self._axes):
            position, index[axis] = divmod(position, self.shape[axis])
        return tuple(index)

    def position(self, index: tuple[int, ...]) -> int:
        """The inverse of `index`."""
        position = 0
        for axis in self._axes:
            position = position * self.shape[axis] + index[axis]
        return position


@dataclass(frozen=True)
class Source:
    """A distribution, a file or a tensor in memory.

    Attributes:
        name: how a report calls it.
        entries: its tensors.
        notes: one line for each tensor that was passed over, or read in part, and why.
        kind: what it is, such as `safetensors`.
    """

    name: str
    entries: list[TensorEntry]
    notes: list[str] = field(default_factory=list)
    kind: str = "tensor"


def row_major_blocks(tensor: Tensor, limit: int) -> Iterator[Tensor]:
    """A strided tensor in row-major order, in 1-D blocks of at most `limit` elements.

    Copies a block at a time at most, whatever the strides.
    """
    if tensor.numel() == 0:
        return
    if tensor.is_contiguous():
        flat = tensor.view(-1)
        for start in range(0, flat.numel(), limit):
            yield flat[start : start + limit]
    elif tensor.numel() <= limit:
        yield tensor.reshape(-1)
    else:
        rows = limit // (tensor.numel() // tensor.shape[0])
        if rows:
            for start in range(0, tensor.shape[0], rows):
                yield tensor[start : start + rows].reshape(-1)
        else:
            for row in tensor:
                yield from row_major_blocks(row, limit)


def layout_of(tensor: Tensor) -> Layout:
    """How a strided tensor lies in its storage."""
    storage = tensor.untyped_storage()
    return Layout(
        tuple(tensor.stride()),
        int(tensor.storage_offset()),
        f"{storage.data_ptr():#x}",
        storage.nbytes(),
    )


def entry_of(name: str, tensor: Tensor) -> TensorEntry:
    """An entry that reads a strided tensor in memory."""
    return TensorEntry(
        name,
        tensor.dtype,
        tuple(tensor.shape),
        lambda limit: (block.cpu() for block in row_major_blocks(tensor.detach(), limit)),
        layout=layout_of(tensor),
    )
