"""What expressions mean, and what is said of those that mean nothing."""

from __future__ import annotations

import time
from contextlib import suppress
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fpx.arithmetic.evaluation import exact_whole, rounded_steps
from fpx.arithmetic.parser import LONGEST, parse
from fpx.arithmetic.results import Target
from fpx.arithmetic.surds import TooHardError
from fpx.core.policy import Rounding
from fpx.errors import InputError
from tests.helpers import BF16, F16, F64


def value(text: str) -> object:
    return exact_whole(parse(text), Target(F64)).value.number


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1 + 2 * 3", Fraction(7)),
        ("(1 + 2) * 3", Fraction(9)),
        ("1 - 2 - 3", Fraction(-4)),
        ("8 / 4 / 2", Fraction(1)),
        ("2 * -3 + --1", Fraction(-5)),
        ("-2^-8", Fraction(-1, 256)),
        ("2**3 × 2", Fraction(16)),
        ("1e-5-1e+1", Fraction(1, 10**5) - 10),
        (".5 + 1. + 0x1.8p1 - 0x.8", Fraction(4)),
        ("0x3ff0000000000000 + 0b0", Fraction(1)),
        ("[1/3] * 3 - [(2 - 2^-7) x 2]", Fraction(1) - 4 + Fraction(1, 64)),
        ("sqrt(16) + abs(-3) + fma(2, 3, 4)", Fraction(17)),
        ("min(3, 1, 2) - max(3, 1, 2)", Fraction(-2)),
        ("sum(1, 2, (3)) + dot(1, 2 | 3, 4) + sum(5)", Fraction(22)),
        ("max - max + epsilon", Fraction(1, 2**52)),
        ("one+Pi-PI", Fraction(1)),
        ("  1\t+\n2 ", Fraction(3)),
    ],
)
def test_meanings(text: str, expected: Fraction) -> None:
    assert value(text) == expected


@pytest.mark.parametrize(
    ("text", "column", "says"),
    [
        ("", 1, "a number is missing at the end"),
        ("1 +", 4, "a number is missing at the end"),
        ("1 + * 2", 5, "a number is missing before '*'"),
        ("0.1 0.2", 5, "an operator is missing before '0.2'"),
        ("3x", 2, "an operator is missing before 'x'"),
        ("(1 + 2", 1, "a parenthesis is not closed"),
        ("1 + 2)", 6, "a parenthesis is closed that was not opened"),
        ("(1, 2)", 3, "',' stands in the wrong place"),
        ("1 | 2", 3, "'|' stands in the wrong place"),
        ("1 + $", 5, "'$' means nothing here"),
        ("1 + [1/3", 5, "'[' means nothing here: a bracket is not closed"),
        ("(1)^2", 4, "'^' means nothing here: a power is a number, such as 2^-8"),
        ("1 + [abc]", 5, "'abc' is not a number"),
        ("1 + [1/0]", 5, "'1/0' divides by zero"),
        ("1 + 1_0", 5, "decimals take no underscores; write '10'"),
        ("1 + foo", 5, "'foo' is no number and no function: functions are sqrt"),
        ("1 + sqr(2)", 5, "'sqr' is no number and no function; did you mean 'sqrt'?"),
        ("sqrt + 1", 1, "sqrt is a function: write sqrt(…)"),
        ("1 + sqrt(1, 2)", 5, "sqrt takes 1 argument, not 2"),
        ("fma(1, 2)", 1, "fma takes 3 arguments, not 2"),
        ("sum()", 5, "a number is missing before ')'"),
        ("1 - dot(1, 2)", 5, "dot takes two vectors of one length"),
        ("dot(1, 2 | 3)", 1, "dot takes two vectors of one length, dot(a, … | b, …), not 2 and 1"),
        ("sum(1 | 2)", 7, "'|' stands between the two vectors of dot"),
        ("dot(1 | 2 | 3)", 11, "'|' stands between the two vectors of dot"),
        ("(" * 51 + "1" + ")" * 51, 51, "parentheses nest deeper than 50"),
        ("1 + \u202e", 5, "means nothing here"),
        ("1 − 2", 3, "'−' means nothing here: a minus is '-'"),
        ("6 ÷ 2", 3, "'÷' means nothing here: write '/'"),
        ("2·3", 2, "'·' means nothing here: write '*'"),
        ("√2", 1, "'√' means nothing here: write sqrt(…)"),
        ("1 + foo", 5, 'sum, dot; a variable takes `all_="foo"`'),
    ],
)
def test_errors_name_the_column(text: str, column: int, says: str) -> None:
    with pytest.raises(InputError) as caught:
        parse(text)
    assert f", column {column}: " in str(caught.value)
    assert says in str(caught.value)


@pytest.mark.parametrize("text", ["exp(1)", "1 + log (2)", "π", "x²"])
def test_what_cannot_be_a_variable_is_not_called_one(text: str) -> None:
    with pytest.raises(InputError, match=r"no function: functions are .*, dot$"):
        parse(text)


@pytest.mark.parametrize(
    ("variables", "says"),
    [
        (["2x"], "no name of a variable"),
        (["sum"], "has a meaning already"),
        (["Max"], "has a meaning already"),
        (["y"], "has no variable 'y'"),
    ],
)
def test_variables(variables: list[str], says: str) -> None:
    assert parse("x + 1", ["x"]).variables == ("x",)
    with pytest.raises(InputError, match=says):
        parse("x + 1", ["x", *variables])


def test_a_sign_belongs_to_the_number_after_it() -> None:
    """Which matters where rounding has a direction; a parenthesis keeps it out."""
    target = Target(F16, Rounding.TOWARD_NEGATIVE)
    codes = [rounded_steps(parse(text), target)[-1].coded.code for text in ("-0.1", "-(0.1)")]
    assert codes == [0xAE67, 0xAE66]
    assert [step.operation for step in parse("-0x3c00").steps] == ["literal", "negate"]
    assert [step.column for step in parse("2 - -(3)").steps] == [1, 7, 5, 3]


def test_literals_of_any_size_are_read_soon() -> None:
    start = time.process_time()
    for text in ("1e999999999999", "1e-999999999999 * 2", "2^999999999", "9" * 19_000):
        expression = parse(text)
        rounded_steps(expression, Target(BF16))
        with pytest.raises(TooHardError, match="too large or small"):
            exact_whole(expression, Target(BF16))
    assert time.process_time() - start < 5
    with pytest.raises(InputError, match="up to 20,000 characters"):
        parse("1" * (LONGEST + 1))


def test_long_expressions_nest_nowhere() -> None:
    for text in ("+".join(["1"] * 9_000), "-" * 19_000 + "1", f"sum({','.join(['1'] * 9_000)})"):
        assert value(text) in (9_000, 1)


def test_a_code_must_fit() -> None:
    with pytest.raises(InputError, match="column 5: code '0x123456' is wider"):
        rounded_steps(parse("1 + 0x123456"), Target(BF16))


@given(st.text("0123456789.eExXpPnaifsumdotqrt()[]|,+-*/^_ ×", max_size=30))
def test_whatever_is_typed_is_read_or_refused(text: str) -> None:
    with suppress(InputError):
        rounded_steps(parse(text), Target(BF16))
