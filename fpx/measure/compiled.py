"""Functions that numba compiles when they are first called, and keeps. Importing this imports it.

Loops are written so that they vectorise: conditions are numbers that add up, integers stay as wide
as they are, and what has a table gets a loop of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, ParamSpec, TypeVar

import numba
import numpy as np

_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")
Array = np.ndarray[Any, Any]


STRETCH: Final = 1 << 11
"""Elements that are worked on at a time: what a loop writes of them fits the nearest cache."""


def compiled(function: Callable[_Arguments, _Result]) -> Callable[_Arguments, _Result]:
    """The function, compiled when it is first called, and kept on disk where there is room."""
    return _kept(function, nogil=True)


def _reordered(function: Callable[_Arguments, _Result]) -> Callable[_Arguments, _Result]:
    """The same, of one whose operations may be done in any order."""
    return _kept(function, nogil=True, fastmath={"reassoc"})


def _kept(function: Callable[_Arguments, _Result], **kinds: Any) -> Callable[_Arguments, _Result]:
    try:
        made: Callable[_Arguments, _Result] = numba.njit(cache=True, **kinds)(function)
    except RuntimeError:  # no folder can be written to, neither beside this file nor the user's own
        made = numba.njit(**kinds)(function)
    return made


@_reordered
def add(total: float, more: float) -> float:
    """A step of a sum that is added up in whatever order is fast."""
    return total + more


@compiled
def look_up(codes: Array, table: Array, into: Array) -> None:
    """Writes what stands in a table at each code."""
    for i in range(len(codes)):
        into[i] = table[codes[i]]


@compiled
def tally(fields: Array, tables: Array) -> None:
    """Counts numbers, in four tables by turns: equal ones would wait for each other.

    Args:
        fields: unsigned, each less than the length of a table.
        tables: of shape (4, n), to be added up.
    """
    whole = len(fields) - len(fields) % 4
    for i in range(0, whole, 4):
        tables[0, fields[i]] += 1
        tables[1, fields[i + 1]] += 1
        tables[2, fields[i + 2]] += 1
        tables[3, fields[i + 3]] += 1
    for i in range(whole, len(fields)):
        tables[0, fields[i]] += 1
