"""Expressions that round stochastically, against the enumeration of every path."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from fractions import Fraction
from math import isqrt

import pytest

from fpx.arithmetic.parser import parse
from fpx.arithmetic.stochastic import outcomes_in
from fpx.core import codec
from fpx.core.formats import FORMATS
from fpx.core.policy import Overflow, Scheme, Stochastic
from fpx.core.spec import FormatSpec
from fpx.errors import InputError
from fpx.report.calc import Order
from fpx.report.calc_stochastic import StochasticReport
from tests.oracle import values

E4M3, E5M2 = FORMATS["float8_e4m3fn"], FORMATS["float8_e5m2"]
IDEAL = Stochastic()

Paths = Iterator[tuple[Fraction, Fraction]]


def rounded(x: Fraction, spec: FormatSpec, rounding: Stochastic) -> Paths:
    """The values that x may become, each with its probability; none of them overflows."""
    ladder, finite = values(spec)
    low = bisect_right(ladder, abs(x)) - 1
    assert low + 1 < finite
    sign = -1 if x < 0 else 1
    distance = (abs(x) - ladder[low]) / (ladder[low + 1] - ladder[low])
    away = rounding.away(distance)
    yield sign * ladder[low], 1 - away
    if away:
        yield sign * ladder[low + 1], away


def computed(text: str, spec: FormatSpec = E4M3, **options: object) -> StochasticReport:
    rounding = options.pop("rounding", IDEAL)
    assert isinstance(rounding, Stochastic)
    return outcomes_in(parse(text), spec, rounding, Overflow.IEEE, **options)  # type: ignore[arg-type]


def by_value(report: StochasticReport) -> dict[Fraction, Fraction]:
    found: dict[Fraction, Fraction] = {}
    for code, probability in report.codes.items():
        value = codec.decode(code, report.spec)
        assert value is not None
        found[value.fraction] = found.get(value.fraction, Fraction(0)) + probability
    return found


def added(paths: Iterator[tuple[Fraction, Fraction]]) -> dict[Fraction, Fraction]:
    found: dict[Fraction, Fraction] = {}
    for value, probability in paths:
        if probability:
            found[value] = found.get(value, Fraction(0)) + probability
    return found


@pytest.mark.parametrize("spec", [E4M3, E5M2], ids=lambda spec: spec.name)
@pytest.mark.parametrize("rounding", [IDEAL, Stochastic(3), Stochastic(4, Scheme.C)])
def test_chains_of_operations(spec: FormatSpec, rounding: Stochastic) -> None:
    a, b, c, d = Fraction(9, 8), Fraction(7, 64), Fraction(3, 16), Fraction(5, 4)
    if spec is E5M2:
        a, b = Fraction(5, 4), Fraction(7, 64)

    def paths() -> Paths:
        for first, p in rounded(a + b, spec, rounding):
            for second, q in rounded(first - c, spec, rounding):
                for third, r in rounded(second * d, spec, rounding):
                    yield third, p * q * r

    text = f"({float(a)} + {float(b)} - {float(c)}) * {float(d)}"
    found = computed(text, spec, rounding=rounding)
    assert by_value(found) == added(paths())
    assert found.number == (a + b - c) * d
    assert found.operations == 3


def test_both_sides_of_an_operation_are_drawn_on_their_own() -> None:
    def paths() -> Paths:
        for left, p in rounded(Fraction(1, 3), E4M3, IDEAL):
            for right, q in rounded(Fraction(1, 3), E4M3, IDEAL):
                for result, r in rounded(left - right, E4M3, IDEAL):
                    yield result, p * q * r

    found = computed("(1/3) - (1/3)")
    assert by_value(found) == added(paths())
    assert found.bias == 0
    assert found.codes[0] == Fraction(5, 9)


def test_a_result_that_is_used_twice_is_drawn_once() -> None:
    """Kahan's summation uses totals and corrected terms several times."""
    terms = [Fraction(1), Fraction(5, 64), Fraction(3, 64), Fraction(9, 128)]

    def step(
        total: Fraction, compensation: Fraction | None, rest: list[Fraction], p: Fraction
    ) -> Paths:
        if not rest:
            yield total, p
            return
        corrected = (
            rounded(rest[0] - compensation, E4M3, IDEAL)
            if compensation is not None
            else iter([(rest[0], Fraction(1))])
        )
        for term, q in corrected:
            for following, r in rounded(total + term, E4M3, IDEAL):
                for gained, s in rounded(following - total, E4M3, IDEAL):
                    for lost, t in rounded(gained - term, E4M3, IDEAL):
                        yield from step(following, lost, rest[1:], p * q * r * s * t)

    text = f"sum({', '.join(str(float(term)) for term in terms)})"
    found = computed(text, order=Order.KAHAN)
    assert by_value(found) == added(step(terms[0], None, terms[1:], Fraction(1)))


def test_the_step_that_nearest_loses() -> None:
    found = computed("0.05 - 1e-5", FORMATS["bfloat16"])
    assert found.codes == {0x3D4C: Fraction(21, 512), 0x3D4D: Fraction(491, 512)}
    assert found.nearest == 0x3D4D
    assert found.bias == 0
    assert found.literals == {
        "0.05": "0.050048828125", "1e-5": "0.000010013580322265625"
    }  # fmt: skip


def test_the_whole_is_rounded_once_where_that_is_asked_for() -> None:
    found = computed("0.1 + 0.2 + 0.3", precise=True)
    assert by_value(found) == dict(rounded(Fraction(3, 5), E4M3, IDEAL))
    assert (found.number, found.bias, found.literals) == (Fraction(3, 5), Fraction(0), {})


@pytest.mark.parametrize("scheme", Scheme)
@pytest.mark.parametrize("text", ["sqrt(2) * 3", "-sqrt(3) * 5"])
def test_roots_have_probabilities_in_a_number_of_bits(scheme: Scheme, text: str) -> None:
    rounding = Stochastic(8, scheme)
    square = 3 if "3)" in text else 2
    close = Fraction(isqrt(square * 10**120), 10**60)  # off by less than 10^-60

    def paths() -> Paths:
        sign, factor = (-1, 5) if text.startswith("-") else (1, 3)
        for first, p in rounded(close, E4M3, rounding):
            for result, q in rounded(sign * first * factor, E4M3, rounding):
                yield result, p * q

    assert by_value(computed(text, rounding=rounding)) == added(paths())


def test_infinities_nans_and_zeros_are_what_they_always_are() -> None:
    assert computed("1/0", E5M2).codes == {0x7C: 1}
    assert computed("0/0", E5M2).codes == {0x7E: 1}
    assert computed("1 - 1", E5M2).codes == {0: 1}
    assert computed("-0 * 3", E5M2).codes == {0x80: 1}
    over = computed("57344 + 4096", E5M2)
    assert over.codes == {0x7B: Fraction(1, 2), 0x7C: Fraction(1, 2)}
    assert over.expectation is over.variance is over.bias is None


def test_results_are_in_the_order_of_their_values() -> None:
    found = computed("(1/3 + 2/7) * 7 - 9")
    numbers = [codec.decode(code, E4M3) for code in found.codes]
    fractions = [number.fraction for number in numbers if number is not None]
    assert fractions == sorted(fractions)
    assert len(fractions) > 3


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("1 + sqrt(2)", r"column 5: the result is irrational, .*`rounding=\"stochastic:32\"`"),
        (
            "sum(" + ", ".join(f"1/{n}" for n in range(3, 40, 2)) + ")",
            r"column \d+: more than 10,000 combinations of results are possible here",
        ),
    ],
)
def test_what_cannot_be_followed_is_one_line(text: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        computed(text, FORMATS["float64"])
