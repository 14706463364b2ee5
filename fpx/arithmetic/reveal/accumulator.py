"""How many bits a sum keeps, after each of its additions.

1 and 2^-k are first added in one step, and 1 is taken away by a leaf that joins right after it: the
largest k at which 2^-k is left is how many bits below the leading one that step keeps. The same k
everywhere is an accumulator; a smaller one at some steps is a partial sum that is rounded.
"""

from __future__ import annotations

from collections.abc import Sequence

from fpx.arithmetic.reveal.probing import Asker, Question
from fpx.arithmetic.reveal.scales import Scale
from fpx.report.sum_tree import SumTree

MOST = 64
"""Bits that are looked for."""


def most_bits(scale: Scale) -> int:
    """How many bits below a leading one can be looked for."""
    return min(MOST, scale.top - scale.unit)


def kept_bits(asker: Asker, scale: Scale, tree: SumTree) -> list[int | None]:
    """Bits kept below the leading one after each step; None of the last, which no leaf follows."""
    threes = [
        (*_first_two(tree, step), tree.beside(tree.leaf_count + at))
        for at, step in enumerate(tree.steps[:-1])
    ]
    return [*_largest(asker, scale, threes), None]


def inner_bits(asker: Asker, scale: Scale, tree: SumTree) -> dict[int, int]:
    """Bits kept inside steps of three operands or more: step -> bits below the leading one.

    More than after it are bits that its adder aligns operands with, and then drops.
    """
    wide = [at for at, step in enumerate(tree.steps) if len(step) > 2]
    threes = [(*_first_two(tree, tree.steps[at]), tree.smallest[tree.steps[at][2]]) for at in wide]
    return dict(zip(wide, _largest(asker, scale, threes), strict=True))


def _first_two(tree: SumTree, step: Sequence[int]) -> tuple[int, int]:
    return tree.smallest[step[0]], tree.smallest[step[1]]


def _largest(asker: Asker, scale: Scale, threes: list[tuple[int, int, int]]) -> list[int]:
    """For each (i, l, j): the largest k with 1 at i, 2^-k at l and -1 at j that leaves 2^-k."""
    powers, top = scale.powers, scale.top
    low, high = [0] * len(threes), [most_bits(scale)] * len(threes)
    while True:
        open_ = [at for at in range(len(threes)) if low[at] < high[at]]
        if not open_:
            return low
        middle = {at: (low[at] + high[at] + 1) // 2 for at in open_}

        def question(at: int, middle: dict[int, int] = middle) -> Question:
            i, second, j = threes[at]
            small = powers.put(second, top - middle[at])
            return Question((powers.put(i, top), small, powers.put(j, top, -1.0)))

        for at, answer in zip(open_, asker.numbers(map(question, open_)), strict=True):
            if scale.is_power(answer, top - middle[at]):
                low[at] = middle[at]
            else:
                high[at] = middle[at] - 1
