"""One piece of work after the other, on every core, until all is done or Ctrl-C ends it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import torch
from torch import Tensor

from fpx.errors import UnavailableError

BLOCKS = 4
"""A device's blocks that a thread takes at once: the next waits until Python lets go of it."""

_AHEAD, _AHEAD_HELD = 8, 2
"""Pieces under way for each thread, and of those that hold memory of their own.

Where other processes keep the cores busy, the caller's thread has to wait for its turn, and
threads that run out of pieces meanwhile lose theirs.
"""

_Piece = TypeVar("_Piece")
_Result = TypeVar("_Result")


def pieces(blocks: Iterable[Tensor], lasting: bool) -> Iterator[tuple[int, Tensor]]:
    """Blocks of a tensor for threads, each with the position of its first element.

    Args:
        blocks: 1-D.
        lasting: whether a block stays as it is when the next is asked for; else it is copied.
    """
    start = 0
    for block in blocks:
        yield start, block if lasting else block.clone()
        start += len(block)


def sweep(
    work: Callable[[_Piece], _Result],
    pieces: Iterable[_Piece],
    workers: int,
    done: Callable[[_Result], None],
    flush_denormal: bool = False,
    held: bool = False,
) -> None:
    """Calls `work` with each piece, in threads.

    Args:
        work: is called in a thread in which torch uses one core: with blocks that fit a cache,
            waking torch's own threads costs more than it saves.
        pieces: what it is called with; asked for in the caller's thread, a few ahead.
        workers: threads.
        done: is given what `work` returns, in that order, in the caller's thread.
        flush_denormal: whether the processor's flush-to-zero mode is on in the threads.
        held: whether pieces hold memory of their own, so that fewer are asked for ahead.

    Raises:
        Exception: what a call raised, when its turn comes.
        KeyboardInterrupt: the caller was interrupted. Then as always, what is under way is
            finished, the rest is not begun, and no thread is left.
    """
    threads = torch.get_num_threads()
    limit = workers * (_AHEAD_HELD if held else _AHEAD)
    pool = ThreadPoolExecutor(workers, initializer=_prepare, initargs=(flush_denormal,))
    under_way: deque[Future[_Result]] = deque()
    try:
        try:
            torch.set_num_threads(1)  # here, too, where pieces are made
            for piece in pieces:
                if len(under_way) == limit:
                    done(under_way.popleft().result())
                under_way.append(pool.submit(work, piece))
            while under_way:
                done(under_way.popleft().result())
        finally:
            pool.shutdown(cancel_futures=True)
    finally:
        torch.set_num_threads(threads)  # what `_prepare` sets holds for threads to come, too


def _prepare(flush_denormal: bool) -> None:
    torch.set_num_threads(1)
    torch.set_flush_denormal(flush_denormal)


def check_flush_denormal() -> None:
    """Refuses a mode that is not there.

    Raises:
        UnavailableError: this processor has no flush-to-zero mode.
    """
    with ThreadPoolExecutor(1) as pool:  # the mode is a thread's own: the caller keeps its mode
        able = pool.submit(torch.set_flush_denormal, True).result()
    if not able:
        raise UnavailableError("this processor has no flush-to-zero mode for `flush_denormal=True`")
