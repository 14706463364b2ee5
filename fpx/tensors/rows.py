"""Tensors in row-major order, whatever the order of their storage, and in whole groups."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from math import prod

import torch
from torch import Tensor

from fpx.errors import InputError
from fpx.tensors.blocks import SLAB, Box, Read, ReadBox
from fpx.tensors.dtypes import codes_of


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


def reordered(
    read: Read,
    read_box: ReadBox | None,
    shape: Sequence[int],
    order: Sequence[int],
    dtype: torch.dtype,
    limit: int,
    slab: int = SLAB,
) -> Iterator[Tensor]:
    """A tensor in row-major order that is stored in another one.

    The tensor is read slab by slab: each is a part of it that is whole in row-major order. Where
    `read_box` is None, the whole storage is read for each slab.

    Args:
        read: reads the tensor in storage order.
        read_box: reads a part of it in storage order.
        shape: elements along each axis.
        order: the axes in storage order, the slowest first.
        dtype: of the blocks.
        limit: elements of a block, at most.
        slab: bytes to hold at a time.

    Raises:
        InputError: the storage ends before the tensor does.
    """
    if 0 in shape:
        return
    for box in boxes(shape, max(slab // dtype.itemsize, 1)):
        held = part(read, read_box, shape, order, dtype, limit, box)
        yield from row_major_blocks(held, limit)


def part(
    read: Read,
    read_box: ReadBox | None,
    shape: Sequence[int],
    order: Sequence[int],
    dtype: torch.dtype,
    limit: int,
    box: Box,
) -> Tensor:
    """A part of a tensor, in the order of its axes and the strides of its storage.

    Arguments as of `reordered`; without `read_box`, the tensor is read up to the part's end.

    Raises:
        InputError: the storage ends before the part does.
    """
    if box == tuple(map(range, shape)):
        blocks = read(limit)
    elif read_box is not None:
        blocks = read_box(limit, box)
    else:
        blocks = _inside(read(limit), shape, order, box)
    held = torch.empty(prod(map(len, box)), dtype=dtype)
    filled = 0
    for block in blocks:
        held[filled : filled + len(block)] = block
        filled += len(block)
        if filled == len(held):
            break
    else:
        if len(held):
            raise InputError("a tensor's storage ends before the tensor does")
    stored = held.view([len(box[axis]) for axis in order])
    return stored.permute([order.index(axis) for axis in range(len(shape))])


def boxes(shape: Sequence[int], most: int) -> Iterator[Box]:
    """Parts of at most `most` elements that follow each other in row-major order.

    Args:
        shape: elements along each axis; none of them 0.
        most: at least 1.
    """
    axis, rest = len(shape), 1
    while axis and rest * shape[axis - 1] <= most:
        axis -= 1
        rest *= shape[axis]
    inner = tuple(map(range, shape[axis:]))
    if axis == 0:
        yield inner
        return
    axis -= 1  # the axis that is cut: those before it have one index in each box
    step = most // rest
    for index in product(*map(range, shape[:axis])):
        outer = tuple(range(at, at + 1) for at in index)
        for start in range(0, shape[axis], step):
            yield (*outer, range(start, min(start + step, shape[axis])), *inner)


def _inside(
    blocks: Iterator[Tensor], shape: Sequence[int], order: Sequence[int], box: Box
) -> Iterator[Tensor]:
    """The elements of a box, of a tensor that comes whole in storage order."""
    start = 0
    for block in blocks:
        positions = torch.arange(start, start + len(block))
        start += len(block)
        chosen = torch.ones(len(block), dtype=torch.bool)
        step = 1
        for axis in reversed(order):
            wanted, length = box[axis], shape[axis]
            if len(wanted) < length:
                at = positions // step % length
                chosen &= (at >= wanted.start) & (at < wanted.stop)
            step *= length
        codes = codes_of(block)  # torch cannot pick from every dtype
        yield codes[chosen].view(block.dtype)


def in_groups(blocks: Iterator[Tensor], row: int, multiple_of: int, limit: int) -> Iterator[Tensor]:
    """Row-major blocks, cut anew so that each holds whole groups of elements.

    A row is cut into groups of `multiple_of` from its beginning; the last group of a row has what
    is left. No block ends inside a group. Blocks are as long as that and `limit` allow.

    Args:
        blocks: a tensor in row-major order.
        row: elements along its last axis; not 0 unless there are no blocks.
        multiple_of: elements of a group.
        limit: elements of a block, at most.

    Raises:
        InputError: a group is longer than `limit`.
    """
    if min(row, multiple_of) > limit:
        raise InputError(f"blocks of {limit:,} elements have no room for groups of {multiple_of:,}")
    held = torch.empty(0)
    start = filled = 0  # where in the tensor `held` begins, and how much of it is in use
    for block in blocks:
        if not len(held):
            held = block.new_empty(limit)
        taken = 0
        while taken < len(block):
            more = min(len(block) - taken, limit - filled)
            held[filled : filled + more] = block[taken : taken + more]
            filled += more
            taken += more
            if filled < limit:
                continue
            whole = filled - (start + filled) % row % multiple_of
            yield held[:whole]
            rest = held[whole:].clone()
            held[: len(rest)] = rest
            start += whole
            filled = len(rest)
    if filled:
        yield held[:filled]
