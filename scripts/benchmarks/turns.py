"""Times of competitors, taken in turns: what else the machine does slows all of them alike.

The least time of each counts. Whatever disturbs a turn only makes it longer, so the least is the
nearest to what the work itself takes, and it repeats better than a mean or a median does. No turn
gets memory that one before has used: large tensors never do, and small ones would by chance.
"""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

PATIENCE = 4.0
"""Seconds after which a competitor has had turns enough: slow ones repeat well."""


class Turns(NamedTuple):
    """A competitor's turns.

    Attributes:
        seconds: of each.
        result: what the last one returned.
    """

    seconds: list[float]
    result: Any

    @property
    def least(self) -> float:
        """The least time."""
        return min(self.seconds)


def turns(works: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, Turns]:
    """One turn of each after the other, so many rounds; slow ones have fewer.

    Args:
        works: competitors by name. What loads or compiles at first has to be called before.
        rounds: turns that each has.
    """
    found = {name: Turns([], None) for name in works}
    for _ in range(rounds):
        for name, work in works.items():
            taken = found[name].seconds
            if sum(taken) > PATIENCE:
                continue
            _give_memory_back()
            start = time.perf_counter()
            result = work()
            taken.append(time.perf_counter() - start)
            found[name] = Turns(taken, result)
    return found


def _give_memory_back() -> None:
    """Has what is free returned to the system, where the C library is one that keeps it."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def rates(found: Mapping[str, Turns], size: int) -> dict[str, float]:
    """Gigabytes per second of each, where all went over so many bytes."""
    return {name: size / each.least / 1e9 for name, each in found.items()}
