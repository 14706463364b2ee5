"""In which order numbers are added: a tree, as the steps that a computation takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fpx.report.base import once


@dataclass(frozen=True)
class SumTree:
    """Additions, each after those whose results it takes.

    A tree of nested pairs would be as deep as a sum of 4,096 numbers is long.

    Attributes:
        leaf_count: how many numbers are added.
        steps: the operands of each addition: below `leaf_count` a leaf, else the result of the step
            with that number plus `leaf_count`. More than two are added at once, by one adder. The
            last step gives the sum. Operands are in the order of their smallest leaves, and equal
            trees have equal steps.
    """

    leaf_count: int
    steps: tuple[tuple[int, ...], ...]

    @classmethod
    def of(cls, leaf_count: int, steps: Sequence[Sequence[int]]) -> SumTree:
        """A tree whose steps may be in any order that computes it.

        Raises:
            ValueError: not every leaf, and every step but the last, is an operand once.
        """
        total = leaf_count + len(steps)
        if sorted(item for step in steps for item in step) != list(range(total - 1)):
            raise ValueError("steps are no tree")
        smallest = _smallest(leaf_count, steps)
        ordered = [sorted(step, key=smallest.__getitem__) for step in steps]
        found: list[tuple[int, ...]] = []
        number = {leaf: leaf for leaf in range(leaf_count)}
        waiting = [(total - 1, False)]
        while waiting:
            node, done = waiting.pop()
            if node < leaf_count:
                continue
            operands = ordered[node - leaf_count]
            if done:
                number[node] = leaf_count + len(found)
                found.append(tuple(number[item] for item in operands))
            else:
                waiting.append((node, True))
                waiting += [(item, False) for item in reversed(operands)]
        return cls(leaf_count, tuple(found))

    @property
    def root(self) -> int:
        """The node that is the sum."""
        return self.leaf_count + len(self.steps) - 1

    def operands(self, node: int) -> tuple[int, ...]:
        """What is added to give a node that is no leaf."""
        return self.steps[node - self.leaf_count]

    @once
    def smallest(self) -> list[int]:
        """The smallest leaf under each node."""
        return _smallest(self.leaf_count, self.steps)

    @once
    def sizes(self) -> list[int]:
        """How many leaves are under each node."""
        found = [1] * self.leaf_count
        for step in self.steps:
            found.append(sum(found[item] for item in step))
        return found

    @once
    def parents(self) -> list[int]:
        """The node that each node is an operand of; -1 of the sum."""
        found = [-1] * (self.root + 1)
        for at, step in enumerate(self.steps):
            for item in step:
                found[item] = at + self.leaf_count
        return found

    @once
    def depths(self) -> list[int]:
        """The most additions on the way from a leaf to each node."""
        found = [0] * self.leaf_count
        for step in self.steps:
            found.append(1 + max(found[item] for item in step))
        return found

    @property
    def depth(self) -> int:
        """The most additions that a leaf goes through."""
        return self.depths[self.root] if self.steps else 0

    @property
    def widest(self) -> int:
        """The most operands that one adder takes at once; 0 if nothing is added."""
        return max(map(len, self.steps), default=0)

    def beside(self, node: int) -> int:
        """The smallest leaf of what is added to a node that is not the sum."""
        others = (item for item in self.operands(self.parents[node]) if item != node)
        return min(self.smallest[item] for item in others)


def _smallest(leaf_count: int, steps: Sequence[Sequence[int]]) -> list[int]:
    found: list[int] = list(range(leaf_count))
    for step in steps:
        found.append(min(found[item] for item in step))
    return found
