"""Bytes of files in bounded buffers, as blocks of a tensor."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator, Sequence
from itertools import product
from math import prod
from operator import mul
from typing import Any, TypeAlias
from weakref import finalize

import numpy as np

from fpx.tensors.files.headers import Stream, fill

Bytes: TypeAlias = np.ndarray[Any, np.dtype[np.uint8]]


def raw_blocks(file: Stream, count: int, itemsize: int, limit: int, name: str) -> Iterator[Bytes]:
    """`count` items from the file's position on, each block in memory that nobody else uses.

    Raises:
        InputError: the file ends before.
    """
    memory = _Memory(min(limit, count) * itemsize)
    for start in range(0, count, limit):
        block = memory.unused()[: min(limit, count - start) * itemsize]
        fill(file, block.data, name)
        yield block


_WORTH_KEEPING = 1 << 16  # bytes of memory that the system is asked for anew each time


class _Memory:
    """Buffers of a size, each lent again when no array of what was lent is left."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._unused: deque[Bytes] = deque()

    def unused(self) -> Bytes:
        """One of them."""
        if self._size < _WORTH_KEEPING:
            return np.empty(self._size, dtype=np.uint8)
        try:
            held = self._unused.popleft()
        except IndexError:
            held = np.empty(self._size, dtype=np.uint8)
        lent = _Lent(held)
        finalize(lent, self._unused.append, held).atexit = False
        return np.asarray(lent)


class _Lent:
    """What arrays of a buffer keep, those that numpy makes of such arrays too."""

    def __init__(self, held: Bytes) -> None:
        self.__array_interface__ = held.__array_interface__


def own_memory(size: int) -> Bytes:
    """Bytes that are the thread's, until it asks again: what was read last is in its cache."""
    if len(_own.held) < size:
        _own.held = np.empty(size, dtype=np.uint8)
    return _own.held[:size]


class _Own(threading.local):
    """What a thread reads into, as long as it lasts."""

    held: Bytes = np.empty(0, dtype=np.uint8)


_own = _Own()


_SEEK = 1 << 13  # bytes that are read as soon as another place in a file is found


def box_blocks(
    file: Stream,
    at: int,
    shape: Sequence[int],
    box: Sequence[range],
    itemsize: int,
    limit: int,
    name: str,
    seek: int = _SEEK,
) -> Iterator[Bytes]:
    """A part of an array that lies in a file, in the order of the file.

    Args:
        file: open, and not at any place in particular.
        at: the byte where the array begins.
        shape: elements along each axis, the slowest first.
        box: the part: indexes along the same axes.
        itemsize: bytes of an element.
        limit: elements of a block, at most.
        name: the file's name for messages.
        seek: bytes up to which more than the part is read, rather than to look for each piece.

    Raises:
        InputError: the file ends before.
    """
    # what is read at once: some indexes of one axis, with all that is faster in the file
    axis = len(shape) - 1
    while axis > 0 and (
        prod(shape[axis:]) * itemsize <= seek or all(map(_is_all, box[axis:], shape[axis:]))
    ):
        axis -= 1
    inner = prod(shape[axis + 1 :])
    whole = all(map(_is_all, box[axis + 1 :], shape[axis + 1 :]))
    some = (slice(None), *(slice(along.start, along.stop) for along in box[axis + 1 :]))
    steps = [prod(shape[number + 1 :]) for number in range(axis)]
    for index in product(*box[:axis]):
        start = sum(map(mul, index, steps)) + box[axis].start * inner
        file.seek(at + start * itemsize)
        count = len(box[axis]) * inner
        if whole:
            yield from raw_blocks(file, count, itemsize, limit, name)
            continue
        for raw in raw_blocks(file, count, itemsize, max(limit // inner, 1) * inner, name):
            items = raw.view(f"V{itemsize}").reshape(-1, *shape[axis + 1 :])[some].reshape(-1)
            for first in range(0, len(items), limit):
                yield np.ascontiguousarray(items[first : first + limit]).view(np.uint8)


def _is_all(along: range, length: int) -> bool:
    """Whether a range has all indexes of an axis."""
    return len(along) == length
