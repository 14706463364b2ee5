"""Reading ahead: the next blocks come from the file while these are measured."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice

from torch import Tensor

from fpx.tensors.entry import TensorEntry
from fpx.tensors.rows import Read

_AHEAD = 2  # reads in flight
_READ = 1 << 19  # elements of one read


def prefetched(entry: TensorEntry) -> Read:
    """Reads the entry by a thread of its own; small tensors are read at once."""
    if entry.count <= _READ:
        return entry.read

    def blocks(limit: int) -> Iterator[Tensor]:
        # a whole number of blocks, so that none is cut short
        source = entry.read(max(_READ // limit, 1) * limit)
        # a block is only valid until the next is asked for, so each is copied
        with ThreadPoolExecutor(1, "fpx-read") as reader:
            waiting: deque[Future[list[Tensor]]] = deque()
            try:
                while True:
                    while len(waiting) < _AHEAD:
                        waiting.append(
                            reader.submit(lambda: [block.clone() for block in islice(source, 1)])
                        )
                    read = waiting.popleft().result()
                    if not read:
                        return
                    for start in range(0, len(read[0]), limit):
                        yield read[0][start : start + limit]
            finally:
                for future in waiting:
                    future.cancel()

    return blocks
