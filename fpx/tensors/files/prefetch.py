"""Reading ahead: the next blocks come from the file while these are measured."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice

from torch import Tensor

from fpx.tensors.blocks import READ_AHEAD, Read

_AHEAD = 2  # reads in flight


def prefetched(read: Read, count: int) -> Read:
    """Reads a tensor of so many elements by a thread of its own; small ones are read at once.

    Blocks of those that are not small last.
    """
    if count <= READ_AHEAD:
        return read

    def blocks(limit: int) -> Iterator[Tensor]:
        # a whole number of blocks, so that none is cut short
        source = read(max(READ_AHEAD // limit, 1) * limit)
        # a block is only valid until the next is asked for, so each is copied
        with ThreadPoolExecutor(1, "fpx-read") as reader:
            waiting: deque[Future[list[Tensor]]] = deque()
            try:
                while True:
                    while len(waiting) < _AHEAD:
                        waiting.append(
                            reader.submit(lambda: [block.clone() for block in islice(source, 1)])
                        )
                    found = waiting.popleft().result()
                    if not found:
                        return
                    for start in range(0, len(found[0]), limit):
                        yield found[0][start : start + limit]
            finally:
                for future in waiting:
                    future.cancel()

    return blocks
