"""Python objects between processes, over torch.distributed's gloo.

Objects are pickled, as by torch's own object collectives: who can connect to the launcher's port is
trusted.
"""

from __future__ import annotations

import pickle
import time
from collections.abc import Callable
from datetime import timedelta
from threading import Timer
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.rendezvous import rendezvous

from fpx.errors import UnavailableError
from fpx.ranks.world import World
from fpx.words import reason

_SOON = 10.0  # seconds after which it is said that others are waited for
_LATEST = timedelta(minutes=5)
_NEVER = timedelta(days=30)  # ranks work for hours; whether they still do, `Watch` tells


class LostError(Exception):
    """Another process cannot be reached any more.

    Attributes:
        rank: its number; None where nobody can tell.
    """

    def __init__(self, rank: int | None, size: int) -> None:
        who = "a rank" if rank is None else f"rank {rank}"
        super().__init__(
            f"{who} of {size} ended before its work was done, and nothing is reported: its own "
            "output may tell why (a process that was killed may have run out of memory)"
        )
        self.rank = rank


class SharedStore:
    """Short texts that all processes share.

    Each method raises a RuntimeError where the process is gone that has them.

    Args:
        store: torch's.
    """

    def __init__(self, store: Any) -> None:
        self._store = store

    def set(self, key: str, text: str) -> None:
        """Sets one."""
        self._store.set(f"fpx/{key}", text)

    def has(self, *keys: str) -> bool:
        """Whether all of these were set."""
        return bool(self._store.check([f"fpx/{key}" for key in keys]))

    def get(self, key: str) -> str | None:
        """One; None where it was not set."""
        return str(self._store.get(f"fpx/{key}"), "utf-8") if self.has(key) else None


class Wire:
    """The connection of one process to the others.

    Args:
        world: which of them this is.
        tell: hears that others are waited for.

    Attributes:
        store: what all share.
        received: bytes that came, so far.

    Raises:
        UnavailableError: they do not come together.
    """

    def __init__(self, world: World, tell: Callable[[str], None]) -> None:
        self._world = world
        self.received = 0
        waiting = f"waiting for the other ranks (WORLD_SIZE is {world.size})"
        said = Timer(_SOON, tell, [waiting])
        said.daemon = True
        said.start()
        try:
            self.store = self._meet()
        except (RuntimeError, ValueError) as error:
            raise UnavailableError(
                f"the {world.size} ranks that WORLD_SIZE speaks of did not come together "
                f"({reason(error)}): start all of them, or unset WORLD_SIZE"
            ) from None
        finally:
            said.cancel()

    def _meet(self) -> SharedStore:
        world = self._world
        found, *_ = next(iter(rendezvous("env://", world.rank, world.size, timeout=_LATEST)))
        store = SharedStore(found)
        store.set(f"here/{world.rank}", "")
        everyone = [f"here/{rank}" for rank in range(world.size)]
        latest = time.monotonic() + _LATEST.total_seconds()
        while not store.has(*everyone):
            if time.monotonic() > latest:
                raise RuntimeError("some of them are missing")
            time.sleep(0.05)
        dist.init_process_group(
            "gloo", store=found, rank=world.rank, world_size=world.size, timeout=_NEVER
        )
        return store

    def send(self, value: object) -> None:
        """Sends something to rank 0.

        Raises:
            LostError: that is gone.
        """
        try:
            for part in _packed(value):
                dist.send(part, 0)
        except RuntimeError:
            raise LostError(0, self._world.size) from None

    def receive(self, rank: int) -> Any:
        """What another rank sent to rank 0, which this is.

        Raises:
            LostError: that is gone.
        """
        try:
            data = _fetched(lambda part: dist.recv(part, rank))
        except RuntimeError:
            raise LostError(rank, self._world.size) from None
        return self._unpacked(data)

    def tell_all(self, value: object) -> None:
        """Sends something from rank 0, which this is, to all others.

        Raises:
            LostError: one is gone.
        """
        try:
            for part in _packed(value):
                dist.broadcast(part, 0)
        except RuntimeError:
            raise LostError(None, self._world.size) from None

    def hear(self) -> Any:
        """What rank 0 sends to all others.

        Raises:
            LostError: that is gone, or one that passes it on.
        """
        try:
            data = _fetched(lambda part: dist.broadcast(part, 0))
        except RuntimeError:
            raise LostError(0 if self._world.size == 2 else None, self._world.size) from None
        return self._unpacked(data)

    def close(self) -> None:
        """Ends the connection."""
        dist.destroy_process_group()

    def _unpacked(self, data: Tensor) -> Any:
        self.received += len(data)
        return pickle.loads(data.numpy().data)  # noqa: S301 - see above


def _fetched(fetch: Callable[[Tensor], object]) -> Tensor:
    """The bytes of what `_packed` packed, whose two parts come one after the other."""
    size = torch.empty(1, dtype=torch.int64)
    fetch(size)
    data = torch.empty(int(size), dtype=torch.uint8)
    fetch(data)
    return data


def _packed(value: object) -> tuple[Tensor, Tensor]:
    """Something as its length and its bytes."""
    data = torch.frombuffer(bytearray(pickle.dumps(value)), dtype=torch.uint8)
    return torch.tensor([len(data)]), data
