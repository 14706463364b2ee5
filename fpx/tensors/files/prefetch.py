"""Reading ahead: the next blocks come from the file while these are measured."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice

from torch import Tensor

from fpx.tensors.blocks import READ_AHEAD, Read

_AHEAD = 2  # reads in flight


def prefetched(read: Read, count: int, lasting: bool = False) -> Read:
    """Reads a tensor of so many elements by a thread of its own; small ones are read at once.

    Blocks of those that are not small last.

    Args:
        read: what reads it.
        count: its elements.
        lasting: whether the blocks that it reads stay as they are; others are copied.
    """
    if count <= READ_AHEAD:
        return read

    def blocks(limit: int) -> Iterator[Tensor]:
        # a whole number of blocks, so that none is cut short
        source = read(max(READ_AHEAD // limit, 1) * limit)

        def following() -> list[Tensor]:
            return [block if lasting else block.clone() for block in islice(source, 1)]

        with ThreadPoolExecutor(1, "fpx-read") as reader:
            waiting: deque[Future[list[Tensor]]] = deque()
            try:
                while True:
                    while len(waiting) < _AHEAD:
                        waiting.append(reader.submit(following))
                    found = waiting.popleft().result()
                    if not found:
                        return
                    for start in range(0, len(found[0]), limit):
                        yield found[0][start : start + limit]
            finally:
                for future in waiting:
                    future.cancel()

    return blocks
