from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fpx.ranks.plan import Item, Share, plan

ITEMS = st.lists(st.builds(Item, st.integers(0, 1000), st.integers(1, 50)), max_size=30)


def weight(items: list[Item], shares: list[Share]) -> Fraction:
    """The cost of some shares, of slices that are equally large."""
    each = (
        Fraction(items[at].size * (stop - start), items[at].slices) for at, start, stop in shares
    )
    return sum(each, Fraction())


@given(ITEMS, st.integers(1, 70))
def test_every_slice_comes_once_and_in_order(items: list[Item], ranks: int) -> None:
    shares = plan(items, ranks)
    assert len(shares) == ranks
    done = [(at, n) for some in shares for at, start, stop in some for n in range(start, stop)]
    assert done == [(at, n) for at, item in enumerate(items) for n in range(item.slices)]
    assert all(start < stop for some in shares for _, start, stop in some)


@given(ITEMS, st.integers(1, 70))
def test_no_rank_has_more_than_its_part_and_the_largest_slice(
    items: list[Item], ranks: int
) -> None:
    part = Fraction(sum(item.size for item in items), ranks)
    slack = max((Fraction(item.size, item.slices) for item in items), default=Fraction())
    loads = [weight(items, some) for some in plan(items, ranks)]
    assert max(loads) <= part + slack
    assert min(loads) >= part - slack


@pytest.mark.parametrize(
    ("items", "ranks", "shares"),
    [
        ([], 3, [[], [], []]),
        ([Item(0), Item(0, 7)], 2, [[Share(0, 0, 1), Share(1, 0, 7)], []]),
        ([Item(5)], 3, [[], [Share(0, 0, 1)], []]),
        ([Item(90, 9)], 3, [[Share(0, 0, 3)], [Share(0, 3, 6)], [Share(0, 6, 9)]]),
        ([Item(4), Item(4)], 2, [[Share(0, 0, 1)], [Share(1, 0, 1)]]),
        (
            [Item(3, 3), Item(1), Item(2, 2)],
            2,
            [[Share(0, 0, 3)], [Share(1, 0, 1), Share(2, 0, 2)]],
        ),
        ([Item(2, 2), Item(0)], 2, [[Share(0, 0, 1)], [Share(0, 1, 2), Share(1, 0, 1)]]),
    ],
)
def test_shares(items: list[Item], ranks: int, shares: list[list[Share]]) -> None:
    assert plan(items, ranks) == shares
