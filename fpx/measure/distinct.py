"""Tensors of 8 and 16 bits by their distinct codes: at most 65,536, however many elements."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from fpx.measure.block import SourceBlock
from fpx.tensors.dtypes import codes_of, container, origin_of
from fpx.tensors.entry import TensorEntry

WORTHWHILE = 1 << 17
"""Elements below which a histogram costs more than it saves."""


_BLOCK = 1 << 19  # elements; much longer than the histogram is wide
_FEW = 2  # bytes of a dtype that has at most 65,536 codes


def has_few_codes(entry: TensorEntry, worthwhile: int = WORTHWHILE) -> bool:
    """Whether a tensor is of 8 or 16 bits, and has so many elements that codes recur."""
    return entry.dtype.itemsize <= _FEW and entry.count >= worthwhile


class Distinct(NamedTuple):
    """The distinct values of a tensor, in the order of their first occurrence.

    Attributes:
        block: the values, weighted by how often each occurs.
        first: where each occurs first: position in the order of the tensor's blocks.
    """

    block: SourceBlock
    first: list[int]


class DistinctValues:
    """Reads a tensor and keeps its distinct values, with their counts.

    Every elementwise statistic of a cast follows from these. Equal codes are cast once, where the
    tensor's own elements would be cast each on its own.

    Args:
        entry: a tensor for which `has_few_codes`.
        block: elements to read at a time.
    """

    def __init__(self, entry: TensorEntry, block: int = _BLOCK) -> None:
        self._entry = entry
        self._block = block
        self._size = 1 << 8 * entry.dtype.itemsize
        self._counts = torch.zeros(self._size, dtype=torch.int64)
        self._first = torch.full((self._size,), entry.count, dtype=torch.int64)

    def read(self, advance: Callable[[int], None]) -> None:
        """Reads the tensor; `advance` hears how many more elements were read."""
        start = 0
        for block in self._entry.blocks(self._block):
            codes = codes_of(block).to(torch.int32) & (self._size - 1)
            here = torch.bincount(codes, minlength=self._size)
            new = (here > 0) & (self._counts == 0)
            if new.any():
                _note_first(self._first, codes, new, start)
            self._counts += here
            start += len(codes)
            advance(len(codes))

    def distinct(self) -> Distinct | None:
        """What was read; None if nothing was."""
        present = self._counts.nonzero().view(-1)
        if not len(present):
            return None
        present = present[self._first[present].argsort()]
        block = SourceBlock(
            present.to(container(origin_of(self._entry.dtype))).view(self._entry.dtype),
            weights=self._counts[present].to(torch.float64),
        )
        return Distinct(block, self._first[present].tolist())


def _note_first(first: Tensor, codes: Tensor, new: Tensor, start: int) -> None:
    """Writes down where each of the new codes occurs first in a block that begins at `start`."""
    positions = new[codes].nonzero().view(-1)
    first.scatter_reduce_(0, codes[positions].long(), positions + start, "amin")
