"""The order of a sum, by masks.

After FPRev (Xie et al., "Revealing floating-point accumulation orders in software/hardware
implementations", USENIX ATC 2025): with a mask at one leaf, its negative at another and units
elsewhere, those units survive that are added after the masks have cancelled. That tells how many
leaves are in the smallest subtree with both.
"""

from __future__ import annotations

from collections.abc import Sequence

from fpx.arithmetic.reveal.probing import Asker, NotResolvableError, Question
from fpx.arithmetic.reveal.scales import WIDEST, Scale
from fpx.report.sum_tree import SumTree

_NO_TREE = "masks give answers that no order of additions gives"
_FEW = 8  # leaves that show soon whether units are hidden at all
_MOST_QUESTIONS = 4_000_000


def find_tree(asker: Asker, scale: Scale) -> SumTree | None:
    """The order of additions; None where every unit survives every mask, as in an exact sum.

    Raises:
        NotResolvableError: the answers fit no order, or too many questions would be needed.
    """
    return _Search(asker, scale).tree()


class _Search:
    def __init__(self, asker: Asker, scale: Scale) -> None:
        self._asker, self._scale = asker, scale
        self._count = asker.reduction.count
        self._steps: list[tuple[int, ...]] = []

    def tree(self) -> SumTree | None:
        """The tree of all leaves."""
        leaves = list(range(self._count))
        if self._count > 2 and self._exact(leaves):
            return None
        (_,) = self._subtrees(leaves, [], 0)
        return SumTree.of(self._count, self._steps)

    def _exact(self, leaves: list[int]) -> bool:
        """Whether nothing is ever hidden: no two leaves have a third in their subtree."""
        for some in (leaves[1:_FEW], leaves[1:]):
            if any(size != 2 for size in self._sizes(0, some, leaves)):
                return False
        if self._scale.precision < WIDEST:
            raise NotResolvableError(
                f"nothing is lost in {self._scale.precision} bits: the sum is exact, or the range "
                f"of {self._asker.reduction.leaf.name} is too small for its accumulator"
            )
        return True

    def _subtrees(self, leaves: list[int], witness: list[int], turn: int) -> list[int]:
        """The nodes, of these leaves, that are operands of one addition.

        Args:
            leaves: of all of them.
            witness: a leaf of another operand of that addition; none of the sum itself. It is
                hidden with the rest where two leaves meet in that addition, and only there.
            turn: how often leaves were split before.
        """
        found: list[int] = []
        context = leaves + witness
        while leaves:
            i = _pivot(leaves, turn)
            others = [leaf for leaf in leaves if leaf != i]
            by_size: dict[int, list[int]] = {}
            for leaf, size in zip(others, self._sizes(i, others, context), strict=True):
                by_size.setdefault(size, []).append(leaf)
            leaves = by_size.pop(len(context), []) if witness else []
            found.append(self._climb(i, by_size, turn))
        return found

    def _climb(self, leaf: int, by_size: dict[int, list[int]], turn: int) -> int:
        """The node over a leaf and all that is added on its way."""
        node, size = leaf, 1
        for total, group in sorted(by_size.items()):
            size += len(group)
            if total != size:
                raise NotResolvableError(_NO_TREE)
            others = group if len(group) == 1 else self._subtrees(group, [leaf], turn + 1)
            self._steps.append((node, *others))
            node = self._count + len(self._steps) - 1
        return node

    def _sizes(self, i: int, others: list[int], context: list[int]) -> list[int]:
        """How many leaves of the context are in the smallest subtree with i, and each other one."""
        chunk = self._scale.chunk
        if self._asker.count + len(others) * len(context) // chunk > _MOST_QUESTIONS:
            raise NotResolvableError(
                f"its order would take more than {_MOST_QUESTIONS:,} questions"
            )
        survivors = [0] * len(others)
        for start in range(0, len(context), chunk):
            a, b = self._scale.units(context[start : start + chunk], self._count)
            asked = (Question(self._scale.masked(i, leaf), a, b) for leaf in others)
            for at, answer in enumerate(self._asker.numbers(asked)):
                survivors[at] += self._scale.counted(answer)
        return [len(context) - count for count in survivors]


def _pivot(leaves: Sequence[int], turn: int) -> int:
    """A leaf from which to look: the first, then the last, then one in between.

    From an end of a chain one turn sees all of it; from the other end it takes one for each leaf.
    """
    if turn < 2:
        return leaves[-turn]
    return leaves[(turn * 0x9E3779B1) % len(leaves)]
