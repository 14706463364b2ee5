"""Exact arithmetic on binary numbers, against fractions."""

from __future__ import annotations

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from fpx.core.dyadic import Dyadic, place_point

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


def test_where_the_point_is_and_where_an_exponent_begins() -> None:
    assert place_point(False, "1", -6) == "0.000001"
    assert place_point(True, "15", -8) == "-1.5e-07"
    assert place_point(False, "120", -1) == place_point(False, "12", 0) == "12"
    assert place_point(False, "120", -2) == "1.2"
    assert place_point(False, "100", -3) == "0.1"
    assert place_point(True, "300", 0) == "-300"
    assert place_point(False, "1", -6) == "0.000001"
    assert place_point(False, "1", -7) == "1e-07"
    assert place_point(False, "10", 15, range(-4, 16)) == "1e+16"
    assert place_point(True, "1", 15, range(-4, 16)) == "-1000000000000000"


@given(NUMBERS)
def test_decimals_are_exact_and_have_no_needless_zero(x: Dyadic) -> None:
    text = x.decimal
    assert Fraction(text) == x.fraction
    digits = text.partition("e")[0]
    assert "." not in digits or digits[-1] not in "0."
