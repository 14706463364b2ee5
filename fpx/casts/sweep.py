"""One piece of work after the other, on every core, until all is done or Ctrl-C ends it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Condition
from typing import Any, Generic, NoReturn, TypeVar

import torch
from torch import Tensor

from fpx.errors import UnavailableError

BLOCKS = 4
"""A device's blocks that a thread takes at once: the next waits until Python lets go of it."""

_AHEAD = 16
"""Pieces for each thread that are begun, at most, while the first of them is not taken in."""

_END: Any = object()

_Piece = TypeVar("_Piece")
_Result = TypeVar("_Result")


def threads_for(pieces: int) -> int:
    """Threads for so many pieces: those that torch has, and one more where they have every core.

    Where other processes keep the cores busy, a thread that waits for Python's lock loses its core
    to one of them, and for longer than it waits: one more takes its place.
    """
    threads = torch.get_num_threads()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return max(1, min(threads + (1 < threads == cores), pieces))


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
) -> None:
    """Calls `work` with each piece, in threads.

    The threads ask for their pieces and take in what came of them by themselves, one at a time.
    The caller's waits for nothing but their end: where other processes keep the cores busy, a
    thread that has to be woken for every piece waits for its turn each time.

    Args:
        work: is called in a thread in which torch uses one core: with blocks that fit a cache,
            waking torch's own threads costs more than it saves.
        pieces: what it is called with; the next is asked for when a thread is ready for it.
        workers: threads.
        done: is given what `work` returns, in that order, one at a time.
        flush_denormal: whether the processor's flush-to-zero mode is on in the threads.

    Raises:
        Exception: what a call raised, when its turn comes.
        KeyboardInterrupt: the caller was interrupted. Then as always, what is under way is
            finished, the rest is not begun, and no thread is left.
    """
    threads = torch.get_num_threads()
    queue = _Queue(work, iter(pieces), done, workers * _AHEAD)
    pool = ThreadPoolExecutor(workers, initializer=_prepare, initargs=(flush_denormal,))
    try:
        try:
            for ended in [pool.submit(queue.work_off) for _ in range(workers)]:
                ended.result()
        finally:
            try:
                queue.close()
            finally:
                pool.shutdown(cancel_futures=True)
    finally:
        torch.set_num_threads(threads)  # what `_prepare` sets holds for threads to come, too


class _Queue(Generic[_Piece, _Result]):
    """Pieces that several threads work off.

    Args:
        work, pieces, done: as of `sweep`.
        most: pieces that are begun, at most, while the first of them is not taken in.
    """

    def __init__(
        self,
        work: Callable[[_Piece], _Result],
        pieces: Iterator[_Piece],
        done: Callable[[_Result], None],
        most: int,
    ) -> None:
        self._work = work
        self._pieces = pieces
        self._done = done
        self._most = most
        self._begun = self._taken = 0
        self._results: dict[int, Callable[[], _Result]] = {}
        self._open = True
        self._turn = Condition()

    def close(self) -> None:
        """Has no more begun; what is finished is taken in."""
        self._open = False  # at once: the turn may be a slow call's
        with self._turn:
            self._turn.notify_all()

    def work_off(self) -> None:
        """Takes one piece after the other, until there are none, or no more are to be begun.

        Raises:
            Exception: what a call raised, in the one thread in which its turn came.
        """
        while (begun := self._begin()) is not None:
            number, piece = begun
            outcome = self._outcome(piece)
            del begun, piece  # before the next is asked for
            with self._turn:
                self._results[number] = outcome
                self._take_in()

    def _begin(self) -> tuple[int, _Piece] | None:
        with self._turn:
            while self._open and self._begun - self._taken >= self._most:
                self._turn.wait()
            if not self._open:
                return None
            number = self._begun
            try:
                piece = next(self._pieces, _END)
            except BaseException as error:  # noqa: BLE001 - raised when its turn comes
                self._results[number] = partial(_raise, error)
                self._open = False
                self._take_in()
                return None
            if piece is _END:
                return None
            self._begun += 1
            return number, piece

    def _outcome(self, piece: _Piece) -> Callable[[], _Result]:
        try:
            result = self._work(piece)
        except BaseException as error:  # noqa: BLE001 - raised when its turn comes
            self._open = False
            return partial(_raise, error)
        return lambda: result

    def _take_in(self) -> None:
        """Gives on what has its turn."""
        try:
            while self._taken in self._results:
                self._done(self._results.pop(self._taken)())
                self._taken += 1
        except BaseException:
            self._open = False
            raise  # that result is gone, and no turn comes after it
        finally:
            self._turn.notify_all()


def _raise(error: BaseException) -> NoReturn:
    raise error


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
