"""Stochastic rounding, against a search among all values and the enumeration of random words."""

from __future__ import annotations

from bisect import bisect_right
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fpx.core import codec
from fpx.core.formats import FORMATS
from fpx.core.literals import parse_literal
from fpx.core.names import find_format
from fpx.core.policy import (
    ROUNDINGS,
    Overflow,
    Rounding,
    Scheme,
    Stochastic,
    find_rounding,
)
from fpx.core.spec import FormatSpec
from fpx.core.stochastic import distribute, distribution
from fpx.errors import InputError
from tests.core.test_round_exact import cases
from tests.oracle import encode, values

E4M3, BF16 = FORMATS["float8_e4m3fn"], FORMATS["bfloat16"]
ROUNDED = [Stochastic(), *(Stochastic(bits, scheme) for bits in (1, 3, 6) for scheme in Scheme)]


def goes_away(distance: Fraction, word: int, bits: int, scheme: Scheme) -> bool:
    """The definitions, one word at a time."""
    whole = Fraction(2) ** bits
    if scheme is Scheme.A:
        return int(distance * whole) + word >= whole
    if scheme is Scheme.B:
        return distance * whole + word + Fraction(1, 2) >= whole
    floor, rest = divmod(distance * whole, 1)
    up = rest > Fraction(1, 2) or (rest == Fraction(1, 2) and floor % 2 == 1)
    return floor + up + word >= whole


@settings(max_examples=300, deadline=None)
@given(st.fractions(0, 1).filter(lambda x: x < 1), st.integers(1, 6), st.sampled_from(Scheme))
def test_probabilities_are_those_of_all_words(
    distance: Fraction, bits: int, scheme: Scheme
) -> None:
    for d in (distance, Fraction(round(distance * 4 * 2**bits), 4 * 2**bits) % 1):
        count = sum(goes_away(d, word, bits, scheme) for word in range(1 << bits))
        assert Stochastic(bits, scheme).away(d) == Fraction(count, 1 << bits)


def neighbour(x: Fraction, spec: FormatSpec, overflow: Overflow, away: bool) -> int | None:
    """The code of one neighbour of x by a search, in a ladder of values that goes on past the last.

    What is on the ladder is passed to the search for the nearest, which then has no choice.
    """
    ladder, finite = values(spec)
    low = bisect_right(ladder, abs(x)) - 1
    if low < 0:
        rung = 0
    elif low + 1 >= len(ladder) or low >= finite:
        rung = finite
    else:
        rung = low + (away and ladder[low] != abs(x))
    magnitude = ladder[min(rung, len(ladder) - 1)]
    if magnitude == 0:
        no_sign = spec.nan.value == "negative_zero" or not spec.signed or x > 0
        return 0 if no_sign else 1 << (spec.bits - 1)
    return encode(-magnitude if x < 0 else magnitude, spec, "ties_to_even", overflow.value)


@settings(max_examples=500, deadline=None)
@given(cases(), st.sampled_from(ROUNDED), st.sampled_from(Overflow))
def test_outcomes_are_the_neighbours_of_a_search(
    case: tuple[Fraction, FormatSpec], rounding: Stochastic, overflow: Overflow
) -> None:
    x, spec = case
    if not x or (spec.nan_code is None and overflow is Overflow.NAN):
        return
    found = distribute(x, spec, rounding, overflow)
    ladder, _ = values(spec)
    low = bisect_right(ladder, abs(x)) - 1
    toward, away = (neighbour(x, spec, overflow, side) or 0 for side in (False, True))
    assert found.outcomes[0].rounded.code == toward
    assert found.outcomes[-1].rounded.code == away
    assert sum(item.probability for item in found.outcomes) == 1
    if len(found.outcomes) == 2:
        distance = (abs(x) - ladder[low]) / (ladder[low + 1] - ladder[low])
        assert found.distance == distance
        assert found.outcomes[1].probability == rounding.away(distance)
        assert [item.toward_zero for item in found.outcomes] == [True, False]
    elif toward != away:
        raise AssertionError("a neighbour is missing")


@settings(max_examples=300, deadline=None)
@given(cases(), st.sampled_from(ROUNDED))
def test_moments_follow_from_the_outcomes(
    case: tuple[Fraction, FormatSpec], rounding: Stochastic
) -> None:
    x, spec = case
    found = distribute(x, spec, rounding, Overflow.SATURATE)
    pairs = [
        (value.fraction, item.probability)
        for item in found.outcomes
        if (value := codec.decode(item.rounded.code, spec)) is not None
    ]
    mean = sum((p * v for v, p in pairs), Fraction(0))
    assert found.expectation == mean
    assert found.variance == sum(p * (v - mean) ** 2 for v, p in pairs)
    assert found.bias == mean - x
    beyond = any(item.rounded.overflow or item.rounded.invalid for item in found.outcomes)
    if rounding.bits is None and len(found.outcomes) == 2 and not beyond:
        assert found.bias == found.bias_ulp == 0


def test_pi_in_an_8_bit_format() -> None:
    found = distribution(parse_literal("3.14159"), E4M3, Stochastic())
    assert found.codes == {0x44: Fraction("0.43364"), 0x45: Fraction("0.56636")}
    assert found.expectation == Fraction("3.14159")
    assert found.variance == Fraction("0.0153497719")


@pytest.mark.parametrize(
    ("scheme", "worst", "mean"),
    [
        (Scheme.A, Fraction(-255, 65536), Fraction(-255, 2 * 65536)),
        (Scheme.B, Fraction(1, 512), Fraction(1, 2 * 65536)),
        (Scheme.C, Fraction(-1, 512), Fraction(0)),
    ],
)
def test_bias_of_8_bits_over_all_16_dropped_bits(
    scheme: Scheme, worst: Fraction, mean: Fraction
) -> None:
    biases = [
        Stochastic(8, scheme).away(Fraction(k, 1 << 16)) - Fraction(k, 1 << 16)
        for k in range(1 << 16)
    ]
    assert max(biases, key=abs) == worst
    assert sum(biases) / len(biases) == mean


@pytest.mark.parametrize("scheme", Scheme)
@pytest.mark.parametrize("bits", [16, 20])
def test_as_many_bits_as_are_dropped_have_no_bias(scheme: Scheme, bits: int) -> None:
    rounding = Stochastic(bits, scheme)
    assert all(rounding.away(Fraction(k, 1 << 16)) == Fraction(k, 1 << 16) for k in range(1 << 16))


@pytest.mark.parametrize("rounding", ROUNDED)
def test_the_smallest_changes_that_are_kept(rounding: Stochastic) -> None:
    tiny = Fraction(1, 10**30)

    def may_grow(change: Fraction) -> bool:
        return rounding.away(change) > 0

    def may_shrink(change: Fraction) -> bool:
        return rounding.away(1 - change) < 1

    for change, kept in ((rounding.growth, may_grow), (rounding.shrinking, may_shrink)):
        assert kept(change.ulps + tiny)
        if change.ulps:
            assert kept(change.ulps) == change.counts
            assert not kept(change.ulps - tiny)


@pytest.mark.parametrize(
    ("text", "overflow", "expected"),
    [
        ("448", Overflow.IEEE, {0x7E: 1}),
        ("450", Overflow.IEEE, {0x7E: Fraction(15, 16), 0x7F: Fraction(1, 16)}),
        ("-450", Overflow.IEEE, {0xFE: Fraction(15, 16), 0xFF: Fraction(1, 16)}),
        ("450", Overflow.SATURATE, {0x7E: 1}),
        ("480", Overflow.IEEE, {0x7F: 1}),
        ("1e300", Overflow.SATURATE, {0x7E: 1}),
        ("0.0009765625", Overflow.IEEE, {0: Fraction(1, 2), 1: Fraction(1, 2)}),
        ("-0", Overflow.IEEE, {0x80: 1}),
        ("-inf", Overflow.SATURATE, {0xFE: 1}),
        ("nan", Overflow.IEEE, {0x7F: 1}),
        ("0x45", Overflow.IEEE, {0x45: 1}),
    ],
)
def test_ends_zeros_and_numbers_without_a_value(
    text: str, overflow: Overflow, expected: dict[int, Fraction]
) -> None:
    found = distribution(parse_literal(text), E4M3, Stochastic(), overflow)
    assert found.codes == expected


def test_a_carry_runs_into_the_exponent() -> None:
    found = distribute(Fraction(2) - Fraction(1, 1 << 9), BF16, Stochastic(16))
    assert found.codes == {0x3FFF: Fraction(1, 4), 0x4000: Fraction(3, 4)}


def test_overflow_has_a_probability_of_its_own() -> None:
    largest = Fraction(2) ** 128 - Fraction(2) ** 104  # of float32
    found = distribute(largest, BF16, Stochastic())
    assert found.overflow_probability == Fraction(65535, 65536)
    assert found.expectation is found.variance is found.bias is found.bias_ulp is None
    saturated = distribute(largest, BF16, Stochastic(), Overflow.SATURATE)
    assert saturated.overflow_probability == Fraction(65535, 65536)
    assert saturated.bias_ulp == Fraction(-65535, 65536)


def test_overflow_that_no_word_reaches_does_not_spoil_the_mean() -> None:
    found = distribute(Fraction(448) + Fraction(1, 4), E4M3, Stochastic(4))
    assert found.outcomes[1].probability == 0
    assert found.expectation == 448


def test_a_format_without_a_sign_keeps_what_rounds_to_zero() -> None:
    spec = find_format("binary8p3uf")
    half = spec.smallest_positive.fraction / 2
    assert distribute(-half, spec, Stochastic()).codes == {0: Fraction(1, 2), 0xFF: Fraction(1, 2)}


def test_a_number_too_long_for_probabilities_is_refused() -> None:
    with pytest.raises(InputError, match=r"^'1e-99999' is too large or small .* `rounding`$"):
        distribution(parse_literal("1e-99999"), E4M3, Stochastic())
    with pytest.raises(InputError, match="no NaN to overflow to"):
        distribute(Fraction(7), FORMATS["float4_e2m1fn"], Stochastic(), Overflow.NAN)


@pytest.mark.parametrize("name", ROUNDINGS)
def test_every_rounding_is_found_by_its_name(name: str) -> None:
    assert find_rounding(name.upper()).value == name


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("stochastic", Stochastic()),
        ("stochastic:16", Stochastic(16, Scheme.A)),
        ("stochastic:8:c", Stochastic(8, Scheme.C)),
        ("to_odd", Rounding.TO_ODD),
    ],
)
def test_names_of_roundings(name: str, expected: Rounding | Stochastic) -> None:
    assert find_rounding(name) == expected
    assert find_rounding(expected.value) == expected


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("stochastics", "did you mean 'stochastic'"),
        ("stochastic:", "write stochastic, stochastic:BITS or stochastic:BITS:a|b|c"),
        ("stochastic:8:d", "write stochastic, stochastic:BITS or stochastic:BITS:a|b|c"),
        ("stochastic:0", "random bits is 1 to 32"),
        ("stochastic:33:a", "random bits is 1 to 32"),
        ("to_even", "use ties_to_even, ties_to_away, .*, stochastic"),
    ],
)
def test_what_is_no_rounding_is_refused(name: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        find_rounding(name)
