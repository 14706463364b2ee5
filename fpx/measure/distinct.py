"""Tensors of 8 and 16 bits by their distinct codes: at most 65,536, however many elements."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from fpx.casts.sweep import pieces, sweep
from fpx.measure.block import SourceBlock
from fpx.tensors.dtypes import codes_of, container, origin_of
from fpx.tensors.entry import TensorEntry

WORTHWHILE = 1 << 17
"""Elements below which a histogram costs more than it saves."""


_BLOCK = 1 << 19  # elements; much longer than the histogram is wide
_FEW = 2  # bytes of a dtype that has at most 65,536 codes


def has_few_codes(entry: TensorEntry, worthwhile: int = WORTHWHILE) -> bool:
    """Whether a tensor is of 8 or 16 bits, and has so many elements that codes recur."""
    return entry.count >= worthwhile and entry.dtype.itemsize <= _FEW


class Distinct(NamedTuple):
    """The distinct values of a tensor, in the order of their first occurrence.

    Attributes:
        block: the values, weighted by how often each occurs.
        first: where each occurs first: position in the order of the tensor's blocks.
    """

    block: SourceBlock
    first: list[int]


class Tally(Protocol):
    """Who counts codes."""

    def __call__(self, codes: Tensor, start: int, counts: Tensor, first: Tensor) -> None:
        """Counts codes, and writes down where each occurs first.

        Args:
            codes: in the `container` of a dtype of 8 or 16 bits, on the CPU.
            start: position of the first of them, beyond those of earlier calls.
            counts: int64, by code: to be added to.
            first: int64, by code: written where the count was 0.
        """


def tally_codes(codes: Tensor, start: int, counts: Tensor, first: Tensor) -> None:
    """Counts codes by torch's operations; see `Tally`."""
    whole = codes.to(torch.int32) & (len(counts) - 1)
    here = torch.bincount(whole, minlength=len(counts))
    new = (here > 0) & (counts == 0)
    if new.any():
        positions = new[whole].nonzero().view(-1)
        first.scatter_reduce_(
            0, whole[positions].long(), positions + start, "amin", include_self=False
        )
    counts += here


class DistinctValues:
    """Reads a tensor and keeps its distinct values, with their counts.

    Every elementwise statistic of a cast follows from these. Equal codes are cast once, where the
    tensor's own elements would be cast each on its own.

    Args:
        entry: a tensor for which `has_few_codes`.
        tally: who counts.
        threads: how many blocks are counted at a time.
        block: elements to read at a time.
    """

    def __init__(
        self,
        entry: TensorEntry,
        tally: Tally = tally_codes,
        threads: int = 1,
        block: int = _BLOCK,
    ) -> None:
        self._entry = entry
        self._tally = tally
        self._threads = min(threads, -(-entry.count // block))
        self._block = block
        self._tables: list[_Table] = []

    def read(self, advance: Callable[[int], None]) -> None:
        """Reads the tensor; `advance` hears how many more elements were read."""
        if self._threads > 1:
            self._read_in_threads(advance)
            return
        table, start = self._table(), 0
        for block in self._entry.blocks(self._block):
            self._tally(codes_of(block), start, *table)
            start += len(block)
            advance(len(block))

    def _read_in_threads(self, advance: Callable[[int], None]) -> None:
        own = threading.local()  # a thread takes blocks in their order

        def work(piece: tuple[int, Tensor]) -> int:
            start, block = piece
            if not hasattr(own, "table"):
                own.table = self._table()
            self._tally(codes_of(block), start, *own.table)
            return len(block)

        entry = self._entry
        blocks = pieces(entry.blocks(self._block), entry.lasting)
        sweep(work, blocks, self._threads, advance)

    def _table(self) -> _Table:
        size = 1 << 8 * self._entry.dtype.itemsize
        self._tables.append(
            _Table(
                torch.zeros(size, dtype=torch.int64),
                torch.full((size,), self._entry.count, dtype=torch.int64),
            )
        )
        return self._tables[-1]

    def distinct(self) -> Distinct | None:
        """What was read; None if nothing was."""
        if not self._tables:
            return None
        counts = torch.stack([table.counts for table in self._tables]).sum(0)
        first = torch.stack([table.first for table in self._tables]).amin(0)
        present = counts.nonzero().view(-1)
        if not len(present):
            return None
        present = present[first[present].argsort()]
        block = SourceBlock(
            present.to(container(origin_of(self._entry.dtype))).view(self._entry.dtype),
            weights=counts[present].to(torch.float64),
        )
        return Distinct(block, first[present].tolist())


class _Table(NamedTuple):
    """By code: how often it was read, and where first."""

    counts: Tensor
    first: Tensor
