"""Stretches of tensors as they are stored, in row-major order: of elements, and of bytes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod

import torch
from torch import Tensor

from fpx.tensors.blocks import Box
from fpx.tensors.entry import TensorEntry


def boxes_between(shape: Sequence[int], start: int, stop: int) -> Iterator[Box]:
    """Boxes that hold the elements `start` to `stop` of a tensor in row-major order.

    Args:
        shape: elements along each axis.
        start, stop: places in that order.
    """
    if start >= stop:
        return
    if len(shape) <= 1:
        yield tuple(range(start, stop) for _ in shape)
        return
    inner = prod(shape[1:])
    first, last = -(-start // inner), stop // inner
    if first > last:  # inside one index of the first axis
        yield from _under(last, shape, start - last * inner, stop - last * inner)
        return
    if start < first * inner:
        yield from _under(first - 1, shape, start - (first - 1) * inner, inner)
    if first < last:
        yield (range(first, last), *map(range, shape[1:]))
    if last * inner < stop:
        yield from _under(last, shape, 0, stop - last * inner)


def _under(index: int, shape: Sequence[int], start: int, stop: int) -> Iterator[Box]:
    for box in boxes_between(shape[1:], start, stop):
        yield (range(index, index + 1), *box)


def runs(shape: Sequence[int], box: Box) -> Iterator[tuple[int, int]]:
    """The stretches of row-major places that a box has, in order."""
    axis = len(shape)
    while axis and len(box[axis - 1]) == shape[axis - 1]:
        axis -= 1
    if axis == 0:
        yield 0, prod(shape)
        return
    inner = prod(shape[axis:])
    for base in _places(shape[:axis], box[: axis - 1]):
        start = base + box[axis - 1].start
        yield start * inner, (start + len(box[axis - 1])) * inner


def _places(shape: Sequence[int], box: Box) -> Iterator[int]:
    """Where the rows of the last axis begin, for each index along the axes before it."""
    if not box:
        yield 0
        return
    for place in _places(shape[:-1], box[:-1]):
        for index in box[-1]:
            yield (place + index) * shape[-1]


def elements(entry: TensorEntry, start: int, stop: int, limit: int) -> Tensor:
    """The elements `start` to `stop` of a tensor in row-major order, as stored.

    Args:
        entry: read in parts where it can be.
        start, stop: places in that order.
        limit: elements to read at a time, at most.

    Raises:
        InputError: damage that shows only here.
    """
    found = [entry.part(box, limit).reshape(-1) for box in boxes_between(entry.shape, start, stop)]
    if not found:
        return torch.empty(0, dtype=entry.dtype)
    return (
        found[0]
        if len(found) == 1
        else torch.cat([as_bytes(part) for part in found]).view(entry.dtype)
    )


def as_bytes(part: Tensor) -> Tensor:
    """The bytes of a 1-D tensor, of the same memory."""
    return part.contiguous().view(torch.uint8)


def stretch(entry: TensorEntry, start: int, stop: int, limit: int) -> Tensor:
    """The bytes `start` to `stop` of a tensor in row-major order; else as `elements`."""
    size = entry.dtype.itemsize
    first = start // size
    whole = as_bytes(elements(entry, first, -(-stop // size), limit))
    return whole[start - first * size : stop - first * size]


def all_bytes(entry: TensorEntry, limit: int, group: int) -> Iterator[Tensor]:
    """The bytes of a tensor in row-major order, in blocks of whole groups.

    Args:
        entry: read from its beginning to its end.
        limit: bytes of a block, about.
        group: bytes that stay together.
    """
    size = entry.dtype.itemsize
    rest = torch.empty(0, dtype=torch.uint8)
    for block in entry.blocks(max(limit // group * group // size, 1), row_major=True):
        found = as_bytes(block)
        if len(rest):
            found = torch.cat([rest, found])
        whole = len(found) // group * group
        if whole:
            yield found[:whole]
        rest = found[whole:].clone()
    if len(rest):
        yield rest
