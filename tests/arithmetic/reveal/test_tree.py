"""Orders of addition: random trees are found again, and small formats ask in pieces."""

from __future__ import annotations

import random
from collections.abc import Sequence
from fractions import Fraction

import pytest

from fpx.arithmetic.reveal.probing import Asker, NotResolvableError
from fpx.arithmetic.reveal.scales import find_scale
from fpx.arithmetic.reveal.tree import find_tree
from fpx.core.spec import FormatSpec
from fpx.report.sum_tree import SumTree
from tests.arithmetic.reveal import simulators as sim
from tests.arithmetic.reveal.simulators import Simulated, to
from tests.helpers import BF16, E5M2, F16, F32


def tree_of(one: Simulated) -> tuple[SumTree | None, int]:
    asker = Asker(one)
    return find_tree(asker, find_scale(asker)), asker.count


def random_steps(n: int, seed: int) -> list[tuple[int, int]]:
    source = random.Random(seed)
    nodes, steps = list(range(n)), list[tuple[int, int]]()
    while len(nodes) > 1:
        pair = source.sample(nodes, 2)
        nodes = [node for node in nodes if node not in pair]
        steps.append((pair[0], pair[1]))
        nodes.append(n + len(steps) - 1)
    return steps


def adder(n: int, steps: Sequence[tuple[int, ...]], precision: int = 24) -> sim.Adder:
    def add(pairs: Sequence[tuple[Fraction, Fraction]]) -> Fraction:
        nodes = sim.leaves(pairs)
        for step in steps:
            nodes.append(to(precision, sum((nodes[item] for item in step), Fraction(0))))
        return nodes[-1]

    return add


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize(("spec", "precision"), [(F32, 24), (BF16, 8), (F16, 11)])
def test_random_trees_are_found(seed: int, spec: FormatSpec, precision: int) -> None:
    n = 9 + seed
    steps = random_steps(n, seed)
    found, _ = tree_of(Simulated(n, adder(n, steps, precision), spec, spec))
    assert found == SumTree.of(n, steps)


@pytest.mark.parametrize("n", [2, 3, 4])
def test_short_sums(n: int) -> None:
    steps = random_steps(n, 0)
    assert tree_of(Simulated(n, adder(n, steps)))[0] == SumTree.of(n, steps)


def test_more_leaves_than_a_result_can_count() -> None:
    """Three bits count to 8: of 20 units those are asked for in pieces."""
    for add in (sim.sequential(12), sim.pairwise(12), sim.lanes(5, 12)):
        found, _ = tree_of(Simulated(20, add, F16, E5M2))
        assert found == tree_of(Simulated(20, add))[0]


def test_chains_take_about_one_question_for_each_leaf() -> None:
    for add in (sim.sequential(), sim.backwards()):
        found, count = tree_of(Simulated(40, add))
        assert found is not None
        assert found.depth == 39
        assert count < 6 * 40


def test_an_accumulator_of_few_bits_counts_in_smaller_pieces() -> None:
    """Four bits count to 16, although float32 comes out."""
    found, _ = tree_of(Simulated(20, sim.sequential(4), F32, F32))
    assert found is not None
    assert found.depth == 19


def test_an_exact_sum_has_no_tree() -> None:
    assert tree_of(Simulated(8, sim.exact))[0] is None


def test_an_order_that_depends_on_the_numbers_is_none() -> None:
    for add in (sim.by_turns, sim.nothing_by_turns):
        with pytest.raises(NotResolvableError, match="no order of additions gives"):
            tree_of(Simulated(12, add))


def test_equal_trees_have_equal_steps() -> None:
    one = SumTree.of(4, [(2, 3), (1, 0), (5, 4)])
    assert one.steps == ((0, 1), (2, 3), (4, 5))
    assert one == SumTree.of(4, [(0, 1), (3, 2), (4, 5)])
    assert (one.root, one.depth, one.widest, one.parents) == (6, 2, 2, [4, 4, 5, 5, 6, 6, -1])
    assert one.beside(4) == 2
    assert one.beside(3) == 2


@pytest.mark.parametrize("steps", [[(0, 1)], [(0, 1), (3, 3)], [(0, 1), (2, 2)], []])
def test_what_is_no_tree(steps: list[tuple[int, int]]) -> None:
    with pytest.raises(ValueError, match="no tree"):
        SumTree.of(3, steps)
