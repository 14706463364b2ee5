"""Named tensors as streams of blocks: what sources and files have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from math import prod

import torch
from torch import Tensor

Blocks = Callable[[int], Iterator[Tensor]]
"""Longest block -> the tensor's elements, in storage order of the entry, as 1-D CPU tensors.

A block is only valid until the next one is asked for.
"""


@dataclass(frozen=True)
class TensorEntry:
    """One tensor that can be read in blocks.

    Attributes:
        name: its name in the source, as found there (not escaped).
        dtype: torch's dtype of the blocks.
        shape: its shape; () for a scalar.
        blocks: reads it.
        column_major: whether the blocks come in Fortran order.
        only_for: the one target format it was made for, or None.
    """

    name: str
    dtype: torch.dtype
    shape: tuple[int, ...]
    blocks: Blocks = field(repr=False)
    column_major: bool = False
    only_for: str | None = None

    @property
    def count(self) -> int:
        """Number of elements."""
        return prod(self.shape)

    def index(self, position: int) -> tuple[int, ...]:
        """Multi-index of the element at a position in the order of the blocks."""
        axes = self.shape if self.column_major else self.shape[::-1]
        index = []
        for length in axes:
            position, at = divmod(position, length)
            index.append(at)
        return tuple(index if self.column_major else index[::-1])


@dataclass(frozen=True)
class Source:
    """A distribution, a file or a tensor in memory.

    Attributes:
        name: how a report calls it.
        entries: its tensors.
        notes: one line for each tensor that was passed over, and why.
    """

    name: str
    entries: list[TensorEntry]
    notes: list[str] = field(default_factory=list)


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


def entry_of(name: str, tensor: Tensor) -> TensorEntry:
    """An entry that reads a strided tensor in memory."""
    return TensorEntry(
        name,
        tensor.dtype,
        tuple(tensor.shape),
        lambda limit: (block.cpu() for block in row_major_blocks(tensor.detach(), limit)),
    )
