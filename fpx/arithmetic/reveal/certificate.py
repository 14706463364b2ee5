"""The certificate: what was revealed, replayed on random numbers and compared bit for bit."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from fpx.arithmetic.reveal.data import Data, Numbers
from fpx.arithmetic.reveal.probing import Reduction, number
from fpx.arithmetic.reveal.replay import NoReplayError, replay
from fpx.core.policy import Rounding
from fpx.core.spec import FormatSpec
from fpx.report.reveal_row import Certificate, Computation
from fpx.report.sum_tree import SumTree

_NEAREST = Rounding.TIES_TO_EVEN


def answers(reduction: Reduction, data: Data) -> list[int]:
    """The code of each row's sum."""
    shared: dict[bytes, array[float]] = {}
    rows = []
    for a, b in zip(data.a, data.b, strict=True):
        key = b.tobytes()
        rows.append((array("d", a.tobytes()), shared.setdefault(key, array("d", key))))
    return reduction(rows)


def certify(
    found: Computation, data: Data, codes: list[int], leaf: FormatSpec, out: FormatSpec
) -> Certificate:
    """How many of a reduction's sums a computation gives again, and how telling they are.

    Args:
        found: the computation.
        data: the rows.
        codes: what the reduction gave.
        leaf, out: formats of leaves and results.

    Raises:
        NoReplayError: the computation is not known well enough.
    """
    given = np.array([number(code, out) for code in codes])
    same = _equal(replay(found, data.a, data.b, leaf, out), given)
    telling = []
    for other in _others(found):
        try:
            telling.append(int((~_equal(replay(other, data.a, data.b, leaf, out), given)).sum()))
        except NoReplayError:
            continue
    return Certificate(len(codes), int(same.sum()), min(telling, default=0))


def _equal(x: Numbers, y: Numbers) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    same: np.ndarray[tuple[int], np.dtype[np.bool_]] = (x == y) & (np.signbit(x) == np.signbit(y))
    return same


def _others(found: Computation) -> Iterator[Computation]:
    """The same arithmetic in other orders: from left to right and back, in halves; inexact."""
    n = found.leaf_count
    if found.tree is None:
        bits: tuple[int | None, ...] = (23,) * (n - 1)
        yield replace(found, tree=left_to_right(range(n)), kept=bits, rounding=_NEAREST)
        return
    known = found.known or [max((found.inner or {0: 0}).values())]
    for tree in (left_to_right(range(n)), left_to_right(range(n - 1, -1, -1)), halves(n)):
        if tree != found.tree:
            kept: tuple[int | None, ...] = (max(known),) * len(tree.steps)
            yield replace(found, tree=tree, kept=kept, inner=None, compensated=False)


def left_to_right(leaves: range) -> SumTree:
    """One leaf after the other."""
    n = len(leaves)
    steps, node = [], leaves[0]
    for at, leaf in enumerate(leaves[1:]):
        steps.append((node, leaf))
        node = n + at
    return SumTree.of(n, steps)


def halves(n: int) -> SumTree:
    """Neighbours, then neighbours of those."""
    steps: list[tuple[int, ...]] = []
    nodes = list(range(n))
    while len(nodes) > 1:
        pairs = [nodes[at : at + 2] for at in range(0, len(nodes), 2)]
        nodes = []
        for pair in pairs:
            if len(pair) == 2:
                steps.append(tuple(pair))
            nodes.append(pair[0] if len(pair) == 1 else n + len(steps) - 1)
    return SumTree.of(n, steps)
