"""Exact arithmetic on binary numbers, against fractions."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fpx.core.dyadic import Dyadic

NUMBERS = st.builds(Dyadic, st.integers(-(1 << 70), 1 << 70), st.integers(-300, 300))


@given(NUMBERS, NUMBERS)
def test_sums_differences_and_products_are_exact(x: Dyadic, y: Dyadic) -> None:
    assert x.plus(y).fraction == x.fraction + y.fraction
    assert x.minus(y).fraction == x.fraction - y.fraction
    assert x.times(y).fraction == x.fraction * y.fraction
    assert x.negated.fraction == -x.fraction


def test_the_product_of_the_smallest_values_of_float64_is_no_zero() -> None:
    smallest = Dyadic(1, -1074)
    assert smallest.times(smallest) == Dyadic(1, -2148)
    assert Dyadic(1, 1023).plus(smallest).significand == (1 << 2097) + 1
