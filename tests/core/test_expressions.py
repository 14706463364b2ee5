"""Expressions are computed exactly, or refused in a line."""

from __future__ import annotations

import time
from contextlib import suppress
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

import fpx
from fpx.core.formats import FORMATS
from fpx.core.literals import ReadAs, parse_literal
from fpx.core.numbers import RationalNumber
from fpx.errors import FpxError, InputError
from fpx.report.ranges import RangeComparison
from tests.helpers import call


def value_of(text: str) -> Fraction:
    literal = parse_literal(text)
    assert isinstance(literal, RationalNumber)
    assert literal.text == text
    exact = Fraction(literal.numerator, literal.denominator) * Fraction(2) ** literal.exponent
    return -exact if literal.negative else exact


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2^-24", Fraction(1, 1 << 24)), ("(2 - 2^-7) × 2^127", (2 - Fraction(1, 128)) * 2**127),
        ("(2-2^-7)x2^127", (2 - Fraction(1, 128)) * 2**127), ("2**53 + 1", 2**53 + 1),
        ("-2^2", -4), ("(-2)^2", 4), ("2^3^2", 512), ("2^-1^2", Fraction(1, 2)),
        ("1 - 2 - 3", -4), ("1/2/2", Fraction(1, 4)), ("1.5/2", Fraction(3, 4)),
        ("8/2*4", 16), ("1 + 2 * 3", 7), ("(1 + 2) * 3", 9), ("+.5 * 4.", 2), ("1e3/1E-3", 10**6),
        ("0^0", 1), ("0^3", 0), ("-0 * 1", 0), ("1.1001001₂ × 2^1", Fraction(201, 64)),
        ("(-1)^1 × 2^(1-127) × 0.01₂", -(Fraction(1, 2) ** 128)), ("0.1 + 0.2", Fraction(3, 10)),
        ("(1/3)^-3", 27), ("0x2 - 0", None), ("3x2", 6),
        ("-1/-3", Fraction(1, 3)), ("1 - -1", 2), ("2 * +3", 6), ("2--3", 5),
        ("2 / -2^2", Fraction(-1, 2)), ("-(-3)", 3),
        ("0x1.8p-3 + 1", Fraction(19, 16)), ("0X.8P+1/3", Fraction(1, 3)), ("0x1p2^2 - 0xAp0", 6),
        ("0x10.p-99999 * 2^99999", 16),
    ],
)  # fmt: skip
def test_expressions(text: str, value: Fraction | int | None) -> None:
    if value is None:
        with pytest.raises(InputError, match="not a number"):
            parse_literal(text)
    else:
        assert value_of(text) == value


def test_powers_of_two_may_be_of_any_size() -> None:
    assert fpx.decode("2^10^9", "float64").value_text == "inf"
    assert fpx.decode("-1/2^10^9", "float64").value_text == "-0"
    assert fpx.decode("(2^10^9) / 2^(10^9 - 3)", "float64").value == 8
    assert value_of("2^16494 + 1") == 2**16494 + 1


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("2^0.5", "an exponent is an integer"), ("2^(1/3)", "an exponent is an integer"),
        ("1/(1-1)", "divides by zero"), ("0^-1", "divides by zero"),
        ("(1 + 2", "not closed"), ("1 + 2)", "wrong place"), ("1 2 + 3", "wrong place"),
        ("1 +", "at the end"), ("2^", "at the end"), ("1 * * 2", "before '*'"),
        ("3^2^30", "65,536 bits"), ("10^10^9", "65,536 bits"), ("1 + 2^-70000", "65,536 bits"),
        ("1 + 2^-10^12", "65,536 bits"),
        ("2^2^2^2^2^2^2", "65,536 bits"), ("2^10^80", "too large or small"),
        ("1e99999 + 1", "65,536 bits"), ("1e999999999 * 2", "too large or small"),
        ("2 * pi", "names such as pi stand alone"), ("1 + epsilon", "stand alone"),
        ("max - 1", "names such as max"),
        ("1 + 0x10", "is not a number: a code such as 0x10 stands alone"),
        ("-(0b01)", "a code such as 0b01"), ("0x1p9999999 - 1", "too large or small"),
        ("0x1p99999 + 1", "65,536 bits"), ("1 - - - 1", "before '-'"),
        ("1 − 2", "ASCII digits and signs are read; write '1 - 2'"),
        ("–3", "write '-3'"), ("٣", "signs are read"), ("4 ÷ 2·3", "write '4 / 2*3'"),
        ("epsillon", "did you mean 'epsilon'?"), ("-Infinty", "did you mean 'infinity'?"),
    ],
)  # fmt: skip
def test_what_is_none_is_refused_in_one_line(text: str, says: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_literal(text)
    assert says in str(caught.value)
    assert str(caught.value).isprintable()


def test_codes_are_not_computed() -> None:
    with pytest.raises(InputError, match="not a code"):
        parse_literal("1 + 1", ReadAs.CODE)
    assert value_of("1 + 1") == 2


def test_bombs_are_refused_soon() -> None:
    start = time.process_time()
    for text in (
        "(" * 10**6, "1+" * 10**6 + "1", "(" * 99 + "1" + ")" * 99, "^".join("9" * 90),
        "*".join(["(3^41000)"] * 20), "+".join(["1/3^20000"] * 18), "2^(3^41000)", "9" * 150 + "^9",
    ):  # fmt: skip
        with suppress(FpxError):
            parse_literal(text)
    assert time.process_time() - start < 5


# texts beside their values, computed by Python's own fractions
_SIGNED = st.sampled_from(["", "-", "+"])
_NUMBERS = st.one_of(
    st.integers(0, 10**6).map(lambda n: (str(n), Fraction(n))),
    st.decimals(0, 1000, places=3).map(lambda d: (f"{d:f}", Fraction(d))),
)


def _joined(parts: tuple[tuple[str, Fraction], str, tuple[str, Fraction]]) -> tuple[str, Fraction]:
    (left, a), operator, (right, b) = parts
    if operator == "/" and not b:
        operator = "-"
    value = {"+": a + b, "-": a - b, "×": a * b, "*": a * b, "/": a / b if b else a}[operator]
    return f"({left} {operator} {right})", value


def _raised(parts: tuple[tuple[str, Fraction], int]) -> tuple[str, Fraction]:
    (text, value), n = parts
    n = abs(n) if not value else n
    return f"({text})^{n}", value**n


_EXPRESSIONS = st.recursive(
    _NUMBERS,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from("+-×*/"), inner).map(_joined),
        st.tuples(inner, st.integers(-5, 5)).map(_raised),
        st.tuples(_SIGNED, inner).map(
            lambda p: (f"({p[0]}{p[1][0]})", -p[1][1] if p[0] == "-" else p[1][1])
        ),
    ),
    max_leaves=6,
)


@given(_EXPRESSIONS)
def test_against_fractions(pair: tuple[str, Fraction]) -> None:
    text, value = pair
    if len(text) <= 196:
        assert value_of(f"{text} * 1") == value


@pytest.mark.parametrize("old", FORMATS)
def test_what_a_comparison_prints_is_read_back(old: str) -> None:
    found = RangeComparison(fpx.find_format(old), fpx.find_format("float16"))
    for item in found.differences:
        if item.what in ("largest value", "smallest normal", "smallest value"):
            text = item.text.partition(" instead of ")[2].partition(" (")[0] or item.text
            text = text.partition(" ≈ ")[0]
            if text.startswith(("(", "2^")) or " × " in text:
                assert value_of(text) in {
                    spec.fraction
                    for name in (old, "float16")
                    for spec in (
                        fpx.find_format(name).max_finite,
                        fpx.find_format(name).smallest_normal,
                        fpx.find_format(name).smallest_positive,
                    )
                }


@pytest.mark.parametrize("value", ["3.14", "1e-8", "-240", "2^-24"])
@pytest.mark.parametrize("name", ["float16", "bfloat16", "float64", "e4m3fn", "e8m0"])
def test_the_formula_of_a_panel_is_read_back(value: str, name: str) -> None:
    if name == "e8m0" and value.startswith("-"):
        return
    out = call("decode", value, "--dtype", name, columns=200)[1]
    line = next(line for line in out.splitlines() if "formula" in line)
    text = line.strip("│ ").removeprefix("formula").strip()
    assert fpx.decode(text, name).code == fpx.decode(value, name).code
