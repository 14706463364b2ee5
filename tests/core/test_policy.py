"""What becomes of numbers without a value, for every kind of format under every policy."""

from __future__ import annotations

import itertools

import pytest

from fpx.core import codec
from fpx.core.names import find_format
from fpx.core.policy import (
    Direction,
    Overflow,
    Rounding,
    check_overflow,
    direction_of,
    overflow_result,
    special_codes,
    with_sign,
)
from fpx.errors import InputError

IEEE, SATURATE, NAN = Overflow.IEEE, Overflow.SATURATE, Overflow.NAN


@pytest.mark.parametrize(
    ("name", "overflow", "beyond", "infinity", "invalid"),
    [
        ("float16", IEEE, 0x7C00, 0x7C00, 0x7E00),
        ("float16", SATURATE, 0x7BFF, 0x7BFF, 0),
        ("float16", NAN, 0x7E00, 0x7C00, 0x7E00),
        ("float8_e4m3fn", IEEE, 0x7F, 0x7F, 0x7F),  # without infinity: NaN
        ("float8_e4m3fn", SATURATE, 0x7E, 0x7E, 0),
        ("float8_e4m3fnuz", IEEE, 0x80, 0x80, 0x80),
        ("float8_e8m0fnu", IEEE, 0xFF, 0xFF, 0xFF),
        ("float8_e8m0fnu", SATURATE, 0xFE, 0xFE, 0),
        ("float4_e2m1fn", IEEE, 0x7, 0x7, 0),  # without NaN: the largest value
        ("float4_e2m1fn", NAN, None, None, 0),
        ("e3m0", NAN, None, 0x7, 0),  # an infinity, and no NaN
        ("binary8p4se", IEEE, 0x7F, 0x7F, 0x80),
        ("binary8p4uf", IEEE, 0xFF, 0xFF, 0xFF),
    ],
)
def test_special_codes(
    name: str, overflow: Overflow, beyond: int | None, infinity: int | None, invalid: int
) -> None:
    assert special_codes(find_format(name), overflow) == (beyond, infinity, invalid)


@pytest.mark.parametrize("name", ["float16", "float8_e4m3fn", "float4_e2m1fn", "float8_e8m0fnu"])
@pytest.mark.parametrize("direction", Direction)
def test_only_ieee_overflow_asks_where_the_rounding_points(name: str, direction: Direction) -> None:
    spec = find_format(name)
    nearest = special_codes(spec)
    found = special_codes(spec, IEEE, direction)
    assert found[1:] == nearest[1:]  # infinity stays, whatever the rounding
    inward = direction in (Direction.DOWN, Direction.ODD)
    assert found.beyond == (spec.max_finite_magnitude if inward else nearest.beyond)
    for overflow in (SATURATE, NAN):
        assert special_codes(spec, overflow, direction) == special_codes(spec, overflow)


def test_directions() -> None:
    up = {(Rounding.TOWARD_POSITIVE, False), (Rounding.TOWARD_NEGATIVE, True)}
    for rounding, negative in itertools.product(Rounding, (False, True)):
        direction = direction_of(rounding, negative)
        assert (direction is Direction.UP) == ((rounding, negative) in up)
    assert direction_of(Rounding.TOWARD_ZERO, True) is Direction.DOWN
    assert direction_of(Rounding.TO_ODD, True) is Direction.ODD


@pytest.mark.parametrize(
    ("name", "code", "expected"),
    [
        ("float16", 0, 0x8000),
        ("float8_e4m3fnuz", 0, 0),
        ("float8_e4m3fnuz", 0x80, 0x80),
        ("float8_e4m3fnuz", 1, 0x81),
        ("float8_e8m0fnu", 5, 5),
    ],
)
def test_signs(name: str, code: int, expected: int) -> None:
    spec = find_format(name)
    assert with_sign(code, True, spec) == expected
    assert with_sign(code, False, spec) == code


@pytest.mark.parametrize(
    ("name", "word"),
    [("bfloat16", "infinity"), ("float8_e4m3fn", "nan"), ("float6_e2m3fn", "max_finite")],
)
def test_the_word_for_overflow_is_what_overflow_becomes(name: str, word: str) -> None:
    spec = find_format(name)
    assert overflow_result(spec) == word
    code = codec.round_exact(4**2000, 1, spec).code
    assert codec.classify(code, spec).value.replace("quiet_", "") == word.replace(
        "max_finite", "normal"
    )


def test_a_policy_that_a_format_cannot_follow_is_refused() -> None:
    check_overflow(find_format("e4m3fn"), NAN)
    check_overflow(find_format("fp4"), SATURATE)
    with pytest.raises(InputError, match=r'^float4_e2m1fn has no NaN .* `overflow="saturate"`$'):
        check_overflow(find_format("fp4"), NAN)
