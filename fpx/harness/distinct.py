"""Tensors of 8 and 16 bits by their distinct codes: at most 65,536, however many elements."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from fpx.harness.pairs import SourceBlock
from fpx.harness.tensors import TensorEntry

_BLOCK = 1 << 19  # elements; much longer than the histogram is wide
_WORTHWHILE = 1 << 17  # elements, below which a histogram costs more than it saves
_CODES = {1: (torch.uint8, 1 << 8), 2: (torch.int16, 1 << 16)}


def has_few_codes(entry: TensorEntry) -> bool:
    """Whether a tensor has more elements than its dtype has codes, and by far."""
    return entry.dtype.itemsize in _CODES and entry.count >= _WORTHWHILE


def distinct_values(entry: TensorEntry, advance: Callable[[int], None]) -> SourceBlock:
    """The distinct values of a tensor in the order of their first occurrence, with their counts.

    Every elementwise statistic of a cast follows from these. Equal codes are cast once, where the
    tensor's own elements would be cast each on its own.

    Args:
        entry: a tensor for which `has_few_codes`.
        advance: hears how many more elements were read.
    """
    bits, size = _CODES[entry.dtype.itemsize]
    counts = torch.zeros(size, dtype=torch.int64)
    first = torch.full((size,), entry.count, dtype=torch.int64)
    start = 0
    for block in entry.blocks(_BLOCK):
        codes = block.view(bits).to(torch.int32) & (size - 1)
        here = torch.bincount(codes, minlength=size)
        new = (here > 0) & (counts == 0)
        if new.any():
            _note_first(first, codes, new, start)
        counts += here
        start += len(codes)
        advance(len(codes))
    present = counts.nonzero().view(-1)
    present = present[first[present].argsort()]
    where = first[present].tolist()
    values = present.to(bits).view(entry.dtype)
    return SourceBlock(
        values,
        lambda i: (entry.name, entry.index(where[i])),
        weights=counts[present].to(torch.float64),
    )


def _note_first(first: Tensor, codes: Tensor, new: Tensor, start: int) -> None:
    """Writes down where each of the new codes occurs first in a block that begins at `start`."""
    positions = new[codes].nonzero().view(-1)
    first.scatter_reduce_(0, codes[positions].long(), positions + start, "amin")
