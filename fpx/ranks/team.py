"""One command's work on several processes: rank 0 leads, the others do their shares.

Every exchange is the same: each rank sends rank 0 something, and gets its answer. Between two
exchanges the ranks work, each for itself.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from hashlib import blake2b
from threading import Lock
from typing import Any, NamedTuple, NoReturn, ParamSpec, TypeVar

import torch

from fpx.errors import FpxError, InputError, UnavailableError
from fpx.ranks.watch import Watch
from fpx.ranks.wire import LostError, Wire
from fpx.ranks.world import World

_Arguments = ParamSpec("_Arguments")
_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

_INTERRUPTED = 130
_PATIENCE = 2.0  # seconds that a rank may take to get to the end, before it is ended


class HandedOverError(Exception):
    """The work of a rank other than 0 is done: rank 0 has its results, and goes on with them."""


class _EndedError(Exception):
    """Rank 0 is done with everything."""

    def __init__(self, code: int) -> None:
        super().__init__()
        self.code = code


class _Call(NamedTuple):
    """Rank 0 asks for a call."""

    function: Callable[..., Any]
    args: tuple[object, ...]
    kinds: dict[str, object]


class _End(NamedTuple):
    """Rank 0 ends everything with an exit code."""

    code: int


class _Failed(NamedTuple):
    """A rank's work failed: an exit code (None of a bug) and why."""

    code: int | None
    why: str


class Team:
    """The processes of a run, as one of them sees them.

    Args:
        world: which of them this is.
        tell: hears that others are waited for.
        lost: is told, in any thread, that another rank is gone, if this one is to say so; then the
            process ends.

    Raises:
        UnavailableError: they do not come together.
    """

    def __init__(
        self, world: World, tell: Callable[[str], None], lost: Callable[[LostError], None]
    ) -> None:
        self.world = world
        self._lost = lost
        self._losing = Lock()
        self._wire = Wire(world, tell)
        self._number = 0  # of exchanges so far
        self._awaited = False  # of rank 0: whether all others wait for its answer
        self._watch = Watch(self._wire.store, world.rank, world.size, self._on_lost, os._exit)
        self._watch.start()
        if world.local_size is not None and "OMP_NUM_THREADS" not in os.environ:
            torch.set_num_threads(max(1, torch.get_num_threads() // world.local_size))

    @property
    def rank(self) -> int:
        """The number of this process."""
        return self.world.rank

    @property
    def size(self) -> int:
        """How many there are."""
        return self.world.size

    def device(self, name: str) -> str:
        """The device of a rank where all are told that name: of CUDA, a card of its own."""
        if name == "cuda" or (name == "auto" and torch.cuda.is_available()):
            return f"cuda:{self.world.local_rank}"
        return name

    # -- on all ranks alike ------------------------------------------------------------------------

    def spread(
        self, work: Callable[[_Item], _Result], items: Sequence[_Item], names: Sequence[str]
    ) -> list[_Result]:
        """What `work` makes of each item, on every rank; each is worked on by one of them.

        Args:
            work: its results can be pickled; where it was called, they stay what they are.
            items: the same on all ranks.
            names: theirs, by which that is checked.

        Raises:
            InputError: the ranks have other items.
        """
        first, last = (len(items) * rank // self.size for rank in (self.rank, self.rank + 1))
        own = [work(item) for item in items[first:last]]
        digest = blake2b("\0".join(names).encode("utf-8", "surrogatepass")).digest()
        found = self.share((digest, own))
        if {other for other, _ in found} != {digest}:
            raise InputError(
                "the ranks find different files under these names: each has to see all of them"
            )
        results = [result for _, some in found for result in some]
        results[first:last] = own
        return results

    def share(self, value: _Item) -> list[_Item]:
        """What every rank gives, in their order, on every rank.

        Raises:
            KeyboardInterrupt: Ctrl-C came meanwhile.
        """
        with _uninterrupted() as came:
            if self.rank:
                found: list[_Item] = self._asked(value)
            else:
                found = self._heard(value)
                self._answer(found)
        if came:
            raise KeyboardInterrupt
        return found

    def gather(self, value: _Item) -> list[_Item]:
        """What every rank gives, in their order, on rank 0.

        Raises:
            HandedOverError: this is another rank.
        """
        with _uninterrupted():
            if self.rank:
                self._asked(value)
                raise HandedOverError
            found = self._heard(value)
            self._answer(None)
        return found

    # -- rank 0 ------------------------------------------------------------------------------------

    def run(
        self, function: Callable[..., object], args: Sequence[object], kinds: Mapping[str, object]
    ) -> None:
        """Has all other ranks call a function with those arguments and their `Team` as `team`."""
        self._heard(None)
        self._answer(_Call(function, tuple(args), dict(kinds)))

    def end(self, code: int) -> None:
        """Ends all ranks with that exit code: at once, also those that still work."""
        if not self._awaited:
            if not self._others_come():
                self._watch.give_up(code)
                self._watch.stop()
                return
            for rank in range(1, self.size):
                self._guarded(self._wire.receive, rank)
        self._answer(_End(code))
        self._watch.stop()
        self._wire.close()

    def _others_come(self) -> bool:
        """Whether all others begin the next exchange, now or soon."""
        until = time.monotonic() + _PATIENCE
        while not all(self._is_at(rank, self._number + 1) for rank in range(1, self.size)):
            if time.monotonic() > until:
                return False
            time.sleep(0.01)
        return True

    def _is_at(self, rank: int, number: int) -> bool:
        return self._wire.store.has(f"at/{number}/{rank}")

    def _heard(self, value: _Item) -> list[_Item]:
        """What all ranks have to say, this one that value; the others wait for an answer.

        Raises:
            FpxError, KeyboardInterrupt, RuntimeError: what another one failed by.
        """
        self._number += 1
        others = [self._guarded(self._wire.receive, rank) for rank in range(1, self.size)]
        self._awaited = True
        for rank, said in enumerate(others, 1):
            if isinstance(said, _Failed):
                raise _error(rank, said)
        return [value, *others]

    def _answer(self, value: object) -> None:
        self._guarded(self._wire.tell_all, value)
        self._awaited = False

    # -- the others --------------------------------------------------------------------------------

    def serve(self) -> int:
        """Does what rank 0 asks for until that ends.

        Returns:
            The exit code.
        """
        said: object = None
        try:
            while True:
                with _uninterrupted():
                    call: _Call = self._asked(said)
                said = self._work(call)
        except _EndedError as ended:
            self._watch.stop()
            self._wire.close()
            return ended.code

    def _work(self, call: _Call) -> _Failed | None:
        try:
            call.function(*call.args, **call.kinds, team=self)
        except HandedOverError:
            return None
        except KeyboardInterrupt:
            return _Failed(_INTERRUPTED, "interrupted")
        except _EndedError:
            raise
        except FpxError as error:
            return _Failed(error.exit_code, str(error))
        except Exception as error:  # noqa: BLE001 - the last resort: rank 0 tells of the bug
            return _Failed(None, f"{type(error).__name__}: {error}")
        return None

    def _asked(self, value: object) -> Any:
        """Rank 0's answer to something.

        Raises:
            _EndedError: there is nothing more to do.
        """
        self._number += 1
        self._guarded(self._announce, f"at/{self._number}/{self.rank}")
        self._guarded(self._wire.send, value)
        answer = self._guarded(self._wire.hear)
        if isinstance(answer, _End):
            raise _EndedError(answer.code)
        return answer

    def _announce(self, key: str) -> None:
        try:
            self._wire.store.set(key, "")
        except RuntimeError:
            raise LostError(0, self.size) from None

    # -- when one is gone --------------------------------------------------------------------------

    def _guarded(self, exchange: Callable[_Arguments, _Result], *args: _Arguments.args,
                 **kinds: _Arguments.kwargs) -> _Result:  # fmt: skip
        try:
            return exchange(*args, **kinds)
        except LostError as error:
            self._on_lost(error)

    def _on_lost(self, error: LostError) -> NoReturn:
        """Ends this process; in which of its threads that shows first does not matter."""
        self._losing.acquire()  # and never released
        code = self._watch.code() if self.rank else None
        if code is not None:  # rank 0 gave up, and said why
            os._exit(code)
        if self.rank == 0 or (self.rank == 1 and error.rank == 0):
            self._lost(error)
        if self.rank == 0:
            self._watch.give_up(UnavailableError.exit_code)
        os._exit(UnavailableError.exit_code)


def _error(rank: int, failed: _Failed) -> BaseException:
    """What rank 0 raises of another rank's failure."""
    why = f"rank {rank}: {failed.why}"
    if failed.code == _INTERRUPTED:
        return KeyboardInterrupt()
    if failed.code is None:
        return RuntimeError(why)
    return InputError(why) if failed.code == InputError.exit_code else UnavailableError(why)


@contextmanager
def _uninterrupted() -> Iterator[list[int]]:
    """Ctrl-C waits until an exchange is over; each is noted in the list."""
    came: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _: came.append(number))
    try:
        yield came
    finally:
        signal.signal(signal.SIGINT, before)
