"""Elements: their tables against ml_dtypes', and rounding against a search among all codes."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fpx.core.choices import Ties
from fpx.core.elements import (
    CODEBOOKS,
    Element,
    element_value,
    element_values,
    emax,
    floor_log2,
    is_format,
    largest,
    round_element,
)
from fpx.core.formats import FORMATS
from fpx.core.names import find_format
from tests import scaled_oracle as oracle

NAMES = [*oracle.MX.values(), "nf4", "fp4_bnb"]
ELEMENTS: dict[str, Element] = {
    name: CODEBOOKS[name] if name in CODEBOOKS else FORMATS[name] for name in NAMES
}


@pytest.mark.parametrize("name", NAMES)
def test_every_code_has_the_value_that_ml_dtypes_or_the_definition_gives(name: str) -> None:
    element = ELEMENTS[name]
    values = oracle.table(name)
    assert element_values(element) == values
    assert tuple(element_value(code, element) for code in range(len(values))) == values
    assert largest(element) == oracle.top(name)
    assert Fraction(2) ** emax(element) <= largest(element) < Fraction(2) ** (emax(element) + 1)


@pytest.mark.parametrize("name", oracle.MX.values())
def test_emax_is_that_of_the_largest_power_of_two(name: str) -> None:
    assert Fraction(2) ** emax(ELEMENTS[name]) == oracle.largest_power(name)
    assert ELEMENTS[name].fraction_bits == oracle.MANTISSA[name]


def test_the_tables_say_what_they_leave_out() -> None:
    assert list(CODEBOOKS) == ["int8", "nf4", "fp4_bnb"]
    assert CODEBOOKS["int8"].unwritten == (0x80,)
    assert CODEBOOKS["int8"].ordered[0] == (Fraction(-127, 64), 0x81)
    assert CODEBOOKS["int8"].ordered[-1] == (Fraction(127, 64), 0x7F)
    assert len(CODEBOOKS["int8"].ordered) == 255
    # both zeros of fp4_bnb have a code; +0's is written
    assert (Fraction(0), 0) in CODEBOOKS["fp4_bnb"].ordered
    assert len(CODEBOOKS["fp4_bnb"].ordered) == 15
    assert [book.bits for book in CODEBOOKS.values()] == [8, 4, 4]
    assert [book.fraction_bits for book in CODEBOOKS.values()] == [6, None, None]
    assert all(book.name == name and book.citation for name, book in CODEBOOKS.items())
    assert not is_format(CODEBOOKS["nf4"])
    assert is_format(FORMATS["float8_e5m2"])


@pytest.mark.parametrize("ties", Ties)
@pytest.mark.parametrize("name", NAMES)
def test_each_value_midpoint_and_their_neighbours_round_to_the_nearest(
    name: str, ties: Ties
) -> None:
    element = ELEMENTS[name]
    line = sorted({value for value in oracle.table(name) if value is not None})
    middles = [(low + high) / 2 for low, high in pairwise(line)]
    edge = line[-1]
    little = Fraction(1, 3 * 2**60)
    for x in [*line, *middles, edge * 3, edge * Fraction(257, 256), -edge * 2]:
        for near in (x, x * (1 + little), x * (1 - little), x + little, x - little):
            expected = oracle.allowed(near, name, ties.value)
            kept = round_element(near, element, ties, True)
            assert kept in expected, (near, hex(kept))
            dropped = round_element(near, element, ties, False)
            assert dropped in expected, (near, hex(dropped))
            if is_format(element) and not oracle.table(name)[kept]:
                assert kept == (element.sign_mask if near < 0 else 0)
                assert dropped == 0
            else:
                assert dropped == kept


@given(st.fractions(-600, 600, max_denominator=10**6), st.sampled_from(NAMES))
def test_rounding_is_odd_where_ties_do_not_see_the_sign(x: Fraction, name: str) -> None:
    element = ELEMENTS[name]
    if name == "nf4":
        return  # which is not symmetric
    for ties in Ties:
        there = element_value(round_element(x, element, ties, True), element)
        back = element_value(round_element(-x, element, ties, True), element)
        assert there is not None
        assert back == -there


def test_a_format_without_negative_zero_gets_none() -> None:
    spec = find_format("float8_e4m3fnuz")
    for keep in (True, False):
        assert round_element(Fraction(-1, 2**40), spec, Ties.EVEN, keep) == 0


@pytest.mark.parametrize(
    ("value", "expected"),
    [("1", 0), ("2", 1), ("3", 1), ("4", 2), ("1/2", -1), ("3/4", -1), ("1/4", -2), ("7/8", -1)],
)
def test_floor_log2(value: str, expected: int) -> None:
    assert floor_log2(Fraction(value)) == expected


@given(st.integers(-300, 300), st.integers(1, 10**30), st.integers(1, 10**30))
def test_floor_log2_is_exact(power: int, over: int, under: int) -> None:
    value = Fraction(over, under) * Fraction(2) ** power
    found = floor_log2(value)
    assert Fraction(2) ** found <= value < Fraction(2) ** (found + 1)
