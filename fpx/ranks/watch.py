"""Whether the other processes are still there, while this one works or waits for them.

A process that is killed closes its connections, which whoever waits for it notices at once. Who
works for an hour before it waits, or whose peer's whole machine is gone, would not.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import Event, Thread

from fpx.ranks.wire import LostError, SharedStore

EVERY = 1.0
"""Seconds between two signs of life."""

PATIENCE = 60.0
"""Seconds without one after which a process counts as gone: a library may hold all its threads."""

_OVER = "over"


class Watch:
    """Gives signs of life, and watches for those of others: rank 0 all others', they rank 0's.

    Args:
        store: what all share.
        rank, size: of this process.
        lost: is called when another process is gone, in the watching thread.
        over: is called with an exit code when rank 0 has given up.
        every, patience: in seconds.
    """

    def __init__(
        self,
        store: SharedStore,
        rank: int,
        size: int,
        lost: Callable[[LostError], None],
        over: Callable[[int], None],
        every: float = EVERY,
        patience: float = PATIENCE,
    ) -> None:
        self._store, self._rank, self._size = store, rank, size
        self._lost, self._over = lost, over
        self._every, self._patience = every, patience
        self._others = range(1, size) if rank == 0 else range(1)
        self._stop = Event()
        self._thread = Thread(target=self._run, name="fpx-watch", daemon=True)

    def start(self) -> None:
        """Begins."""
        self._thread.start()

    def stop(self) -> None:
        """Ends, without a word to the others."""
        self._stop.set()
        self._thread.join()

    def give_up(self, code: int) -> None:
        """Has the others end with that exit code, and gives them the time to hear it."""
        try:
            self._store.set(_OVER, str(code))
        except RuntimeError:  # nobody is left to hear it
            return
        Event().wait(3 * self._every)

    def code(self) -> int | None:
        """The exit code with which rank 0 gave up; None where it did not, or nobody can tell."""
        try:
            code = self._store.get(_OVER)
        except RuntimeError:
            return None
        return None if code is None else int(code)

    def _run(self) -> None:
        seen: dict[int, str | None] = dict.fromkeys(self._others)
        silent = dict.fromkeys(self._others, 0.0)
        beat = 0
        while not self._stop.wait(self._every):
            beat += 1
            try:
                self._store.set(_key(self._rank), str(beat))
                code = self.code() if self._rank else None
                if code is not None:
                    self._over(code)
                    return
                for rank in self._others:
                    latest = self._store.get(_key(rank))
                    silent[rank] = 0.0 if latest != seen[rank] else silent[rank] + self._every
                    seen[rank] = latest
            except RuntimeError:  # the store went with the process that has it
                if not self._stop.is_set():
                    self._lost(LostError(0, self._size))
                return
            for rank, seconds in silent.items():
                if seconds >= self._patience:
                    self._lost(LostError(rank, self._size))
                    return


def _key(rank: int) -> str:
    return f"alive/{rank}"
