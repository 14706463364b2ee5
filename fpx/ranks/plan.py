"""Who does what: items of known sizes, and pieces of large ones, in shares as equal as can be."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import NamedTuple


class Item(NamedTuple):
    """Something to do.

    Attributes:
        size: what it costs, such as bytes to read.
        slices: equal parts between which it can be cut; 1 is not at all.
    """

    size: int
    slices: int = 1


class Share(NamedTuple):
    """Some slices of an item, which follow each other."""

    item: int
    start: int
    stop: int


def plan(items: Sequence[Item], ranks: int) -> list[list[Share]]:
    """The shares of each rank.

    Items are laid end to end and cut where each rank has had its part of the total, at the nearest
    end of a slice. So every slice comes once, and in order: of one rank after those of the ranks
    before. No rank has more than its part and the largest slice, and none reads what is far apart.

    Args:
        items: in the order of their places in files.
        ranks: how many there are, at least 1.
    """
    ends = list(accumulate(item.size for item in items))
    total = ends[-1] if ends else 0
    cuts = [(0, 0)]
    for rank in range(1, ranks):
        number = bisect_right(ends, total * rank // ranks)
        if number == len(items):
            cuts.append((number, 0))
            continue
        size, slices = items[number]
        before = total * rank - (ends[number] - size) * ranks  # of the item, times `ranks`
        at = (2 * before * slices + size * ranks) // (2 * size * ranks)
        cuts.append((number + 1, 0) if at == slices else (number, at))
    cuts.append((len(items), 0))
    return [_between(items, start, stop) for start, stop in pairwise(cuts)]


def _between(items: Sequence[Item], start: tuple[int, int], stop: tuple[int, int]) -> list[Share]:
    """Everything from one place to another, each an item and a slice of it."""
    shares = []
    for number in range(start[0], min(stop[0] + 1, len(items))):
        first = start[1] if number == start[0] else 0
        last = stop[1] if number == stop[0] else items[number].slices
        if first < last:
            shares.append(Share(number, first, last))
    return shares
