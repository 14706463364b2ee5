"""How far two tensors are the same, bit for bit: found out at the speed of reading."""

from __future__ import annotations

from collections.abc import Callable
from itertools import takewhile
from math import prod
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fpx.casts.sweep import sweep
from fpx.measure.comparing import in_step, side_by_side
from fpx.tensors.blocks import Box, ReadBox
from fpx.tensors.dtypes import bytes_of
from fpx.tensors.entry import TensorEntry
from fpx.tensors.pieces import cut_axis
from fpx.tensors.rows import boxes

_WORD = 8
"""Bytes that are compared at once; blocks have as many bytes as if each element had so many."""

_BLOCKS = 4
"""Blocks that a thread reads of both, one after the other, before it takes another part."""


def equal_elements(
    first: TensorEntry, second: TensorEntry, block: int, advance: Callable[[int], None]
) -> int:
    """How many elements come before the first part that is not equal, bit for bit.

    Args:
        first, second: of one dtype and shape.
        block: elements of 8 bytes to compare at a time, or as many bytes of smaller ones.
        advance: hears of those elements, part after part.

    Raises:
        InputError: damage that shows only in the data.
    """
    limit = block * _WORD // first.dtype.itemsize
    a, b = _parts(first), _parts(second)
    if a is not None and b is not None:
        return _in_parts(a, b, first.shape, limit, advance)
    equal = 0
    for x, y in side_by_side(first, second, limit):
        if not _same_bits(x, y):
            break
        equal += len(x)
        advance(len(x))
    return equal


def _parts(entry: TensorEntry) -> ReadBox | None:
    """What reads parts of a tensor in row-major order for no more than reading them all at once.

    Numbers with scales are not among them: each part would read its scales anew.
    """
    if entry.order is not None or entry.quantised is not None or cut_axis(entry) is None:
        return None
    return entry.read_box


def _in_parts(
    a: ReadBox, b: ReadBox, shape: tuple[int, ...], limit: int, advance: Callable[[int], None]
) -> int:
    """As `equal_elements`; a thread reads a part of both into a cache, and compares it there."""
    equal = 0
    over = False

    def work(box: Box) -> int | None:
        count = 0
        for x, y in in_step([a(limit, box), b(limit, box)], prod(map(len, box))):
            if not _same_bits(x, y):
                return None
            count += len(x)
        return count

    def done(count: int | None) -> None:
        nonlocal equal, over
        over = over or count is None
        if count is not None and not over:
            equal += count
            advance(count)

    parts = boxes(shape, _BLOCKS * limit)
    workers = min(torch.get_num_threads(), -(-prod(shape) // (_BLOCKS * limit)))
    if workers > 1:
        sweep(work, takewhile(lambda _: not over, parts), workers, done)
    else:  # to start a thread would take longer than one part does
        for part in parts:
            done(work(part))
            if over:
                break
    return equal


def _same_bits(x: Tensor, y: Tensor) -> bool:
    return np.array_equal(_words(x), _words(y))


def _words(x: Tensor) -> np.ndarray[Any, Any]:
    """The bytes of a block, as many at once as its length allows."""
    found = bytes_of(x)
    return found if len(found) % _WORD else found.view(np.uint64)
