"""The rounding of exact numbers, against a search among all values of a format."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fpx.core import codec
from fpx.core.codec import Rounded
from fpx.core.dyadic import Dyadic
from fpx.core.formats import FORMATS
from fpx.core.literals import parse_literal, to_literal
from fpx.core.names import find_format
from fpx.core.policy import Overflow, Rounding
from fpx.core.spec import FormatSpec
from fpx.errors import InputError
from tests.oracle import FAMILIES, SMALL, encode

NAMES = ("e5m7", "e3m9fn", "e4m4fnuz", "e2m5b-3", "e1m3fn", "e7m0fnu", "binary9p4ue", "binary8p3sf")
SPECS = [*SMALL, *FAMILIES, *map(find_format, NAMES)]


@st.composite
def cases(draw: st.DrawFn) -> tuple[Fraction, FormatSpec]:
    """A format, and a number in its range, on a value, on a midpoint, or a little beside those."""
    spec = draw(st.sampled_from(SPECS))
    if draw(st.booleans()):
        value = spec.finite(draw(st.integers(0, spec.max_finite_magnitude)))
        half = Dyadic(draw(st.integers(-1, 1)), codec.ulp_exponent(value, spec) - 1)
        tilt = draw(st.sampled_from((0, 1, -1))) * Fraction(1, 3 * 10**40)
        x = value.plus(half).fraction * (1 + tilt)
    else:
        power = draw(st.integers(spec.quantum_exponent - 3, spec.emax + 3))
        numerator = draw(st.integers(1, 1 << 90))
        x = Fraction(numerator, draw(st.integers(1, 1 << 90))) * Fraction(2) ** power
    return (-x if draw(st.booleans()) else x), spec


@settings(max_examples=500, deadline=None)
@given(cases(), st.sampled_from(Rounding), st.sampled_from(Overflow), st.integers(1, 99))
def test_any_fraction_rounds_as_a_search_among_all_values_finds(
    case: tuple[Fraction, FormatSpec], rounding: Rounding, overflow: Overflow, factor: int
) -> None:
    x, spec = case
    if not x:
        return
    expected = encode(x, spec, rounding.value, overflow.value)
    numerator, denominator = x.numerator * factor, x.denominator * factor
    for signs in ((1, 1, False), (-1, -1, False), (-1, 1, True), (1, -1, True)):
        p, q = numerator * signs[0], denominator * signs[1]
        if expected is None and (spec.signed or x > 0):  # to a NaN, which the format lacks
            with pytest.raises(InputError, match='`overflow="saturate"`'):
                codec.round_exact(p, q, spec, rounding, overflow, negative=signs[2])
            continue
        rounded = codec.round_exact(p, q, spec, rounding, overflow, negative=signs[2])
        assert rounded.code == (expected or 0)  # invalid, where no NaN says so
        value = codec.decode(rounded.code, spec)
        exact = value is not None and value.fraction == x
        assert rounded.inexact != exact


@settings(deadline=None)
@given(cases(), st.sampled_from(Rounding), st.sampled_from(Overflow))
def test_a_text_and_its_exact_number_round_alike(
    case: tuple[Fraction, FormatSpec], rounding: Rounding, overflow: Overflow
) -> None:
    x, spec = case
    if spec.nan_code is None and overflow is Overflow.NAN:
        overflow = Overflow.IEEE
    text = f"{'-' if x < 0 else ''}{abs(x.numerator)}/{x.denominator}"
    whole = codec.encode(parse_literal(text), spec, rounding, overflow)
    assert codec.round_exact(*x.as_integer_ratio(), spec, rounding, overflow) == whole
    assert codec.encode(to_literal(x), spec, rounding, overflow) == whole


@pytest.mark.parametrize("number", [Fraction(157, 50), Decimal("3.14"), 3.14])
def test_whatever_has_an_integer_ratio_is_rounded(number: Fraction | Decimal | float) -> None:
    rounded = codec.round_exact(*number.as_integer_ratio(), FORMATS["bfloat16"])
    assert rounded == Rounded(0x4049, inexact=True, ulp_exponent=-6)


@pytest.mark.parametrize(
    ("name", "negative", "expected"),
    [
        ("float16", False, Rounded(0x0000, ulp_exponent=-24)),
        ("float16", True, Rounded(0x8000, ulp_exponent=-24)),
        ("float8_e4m3fnuz", True, Rounded(0x00, ulp_exponent=-10)),  # 0x80 is the NaN there
        ("binary8p3uf", True, Rounded(0x00, ulp_exponent=-33)),
        ("float8_e8m0fnu", False, Rounded(0xFF, inexact=True, ulp_exponent=-127, invalid=True)),
    ],
)
@pytest.mark.parametrize("denominator", [1, -7, 10**50])
def test_zero_has_a_sign_where_the_format_has_it(
    name: str, negative: bool, expected: Rounded, denominator: int
) -> None:
    spec = find_format(name)
    assert codec.round_exact(0, denominator, spec, negative=negative) == expected


def test_numbers_far_beyond_a_format_need_no_stand_in() -> None:
    spec = FORMATS["float16"]
    huge = codec.round_exact(10**400, 3, spec)
    assert (huge.code, huge.overflow, huge.ulp_exponent) == (0x7C00, True, 5)
    tiny = codec.round_exact(-1, 10**400, spec, Rounding.TOWARD_NEGATIVE)
    assert (tiny.code, tiny.inexact, tiny.ulp_exponent) == (0x8001, True, -24)


def test_a_denominator_of_zero_is_refused() -> None:
    with pytest.raises(ZeroDivisionError, match="denominator"):
        codec.round_exact(1, 0, FORMATS["float16"])


@pytest.mark.parametrize("zero", ["0", "-0", "0e999999999", "0/7", "-0x0p-5", "0.000"])
def test_zeros_of_every_notation_stand_for_zero(zero: str) -> None:
    expected = 0x8000 if zero.startswith("-") else 0
    assert codec.encode(parse_literal(zero), FORMATS["bfloat16"]).code == expected
