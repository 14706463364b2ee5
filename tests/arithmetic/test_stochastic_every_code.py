"""Stochastic rounding over all codes, against every path of every pair."""

from __future__ import annotations

import json
import operator
from collections.abc import Callable
from fractions import Fraction
from functools import cache
from typing import NamedTuple

import pytest

import fpx
from fpx.arithmetic.parser import parse
from fpx.arithmetic.stochastic_every_code import outcomes_over_every_code
from fpx.core import codec
from fpx.core.names import find_format
from fpx.core.policy import Overflow, Scheme, Stochastic
from fpx.core.spec import FormatSpec
from fpx.errors import FpxError, InputError
from fpx.report.calc_all_stochastic import AllOutcomesReport
from tests.arithmetic.test_stochastic import rounded
from tests.helpers import call
from tests.oracle import values

FP4, E3M2 = map(find_format, ("fp4", "e3m2fn"))
ROUNDED = [Stochastic(), Stochastic(1), Stochastic(3, Scheme.B), Stochastic(4)]
OPERATIONS = {"x + y": operator.add, "x * y": operator.mul, "x - y": operator.sub}


def over_all(
    text: str,
    spec: FormatSpec,
    *names: str,
    rounding: Stochastic = ROUNDED[0],
    precise: bool = False,
) -> AllOutcomesReport:
    return outcomes_over_every_code(
        parse(text, names), spec, rounding, Overflow.IEEE, precise=precise
    )


@cache
def value(code: int, spec: FormatSpec) -> Fraction:
    found = codec.decode(code, spec)
    assert found is not None
    return found.fraction


def ulp(x: Fraction, spec: FormatSpec) -> Fraction:
    """The gap of the format's values above a magnitude, or below the last."""
    ladder, finite = values(spec)
    at = max(index for index in range(finite) if ladder[index] <= abs(x))
    at = min(at, finite - 2)
    return ladder[at + 1] - ladder[at]


class Paths(NamedTuple):
    """What a number may become, with probabilities, and how far that is off in ulps."""

    results: list[tuple[Fraction, Fraction]]
    bias: Fraction
    error: Fraction
    variance: Fraction
    furthest: Fraction


@cache
def paths_of(exact: Fraction, spec: FormatSpec, rounding: Stochastic) -> Paths:
    """All that becomes of a number which is not beyond the largest value."""
    results = [(exact, Fraction(1))]
    if abs(exact) != spec.max_finite.fraction:
        results = [path for path in rounded(exact, spec, rounding) if path[1]]
    gap, sign = ulp(exact, spec), -1 if exact < 0 else 1
    off = [(sign * (q - exact) / gap, share) for q, share in results]
    mean = sum((o * share for o, share in off), Fraction(0))
    return Paths(
        results,
        mean,
        sum((abs(o) * share for o, share in off), Fraction(0)),
        sum(((o - mean) ** 2 * share for o, share in off), Fraction(0)),
        max(abs(o) for o, _ in off),
    )


@pytest.mark.parametrize("rounding", ROUNDED, ids=lambda each: each.value)
@pytest.mark.parametrize("text", OPERATIONS)
@pytest.mark.parametrize("spec", [FP4, E3M2], ids=lambda each: each.name)
def test_everything_is_that_of_all_paths(spec: FormatSpec, text: str, rounding: Stochastic) -> None:
    operation: Callable[[Fraction, Fraction], Fraction] = OPERATIONS[text]
    top = spec.max_finite.fraction
    every = range(1 << spec.bits)
    biases, errors, variances, furthest = [], [], [], []
    beyond = certain = zeros = 0
    kept: dict[tuple[str, str], list[Fraction]] = {}
    for first in every:
        for second in every:
            x, y = value(first, spec), value(second, spec)
            exact = operation(x, y)
            if abs(exact) > top:
                beyond += 1
                paths = []
            else:
                found = paths_of(exact, spec, rounding)
                paths = found.results
                biases.append(found.bias)
                errors.append(found.error)
                variances.append(found.variance)
                furthest.append(found.furthest)
                certain += len(paths) == 1
                zeros += any(not q for q, _ in paths)
            for name, number in (("x", x), ("y", y)):
                if number:
                    kind = "subnormal" if abs(number) < spec.smallest_normal.fraction else "normal"
                    share = sum((s for q, s in paths if q == number), Fraction(0))
                    if abs(exact) > top and abs(number) == top and (number > 0) == (exact > 0):
                        share = Fraction(1)  # these formats have neither infinity nor NaN
                    kept.setdefault((name, kind), []).append(share)
    report = over_all(text, spec, "x", "y", rounding=rounding)
    numbers = report.numbers()
    count = len(biases)
    assert numbers["count"] == 1 << (2 * spec.bits)
    assert numbers["beyond_count"] == beyond
    assert numbers["measured_count"] == count
    assert numbers["certain_count"] == certain + beyond  # such formats have one result there
    assert numbers["zero_result_count"] == zeros
    assert numbers["exact_count"] == sum(not each for each in furthest)
    assert numbers["unbiased_count"] == sum(not each for each in biases)
    assert numbers["mean_bias_ulp"] == sum(biases) / count
    assert numbers["mean_error_ulp"] == sum(errors) / count
    assert numbers["mean_variance_ulp"] == sum(variances) / count
    assert numbers["max_bias_ulp"] == max(biases, key=abs)
    assert numbers["max_error_ulp"] == max(furthest)
    assert numbers["max_variance_ulp"] == max(variances)
    for item in report.variables:
        for kind, told in item.kinds.items():
            shares = kept.get((item.name, kind), [])
            assert told.count == len(shares)
            assert told.expected == sum(shares, Fraction(0))
            assert told.always == shares.count(Fraction(1))
            assert told.never == shares.count(Fraction(0))


def test_where_the_largest_are() -> None:
    report = over_all("x * y", E3M2, "x", "y", rounding=Stochastic(2))
    for name in ("max_bias_ulp", "max_error_ulp", "max_variance_ulp"):
        number, codes = report.largest[name]
        x, y = (value(code, E3M2) for code in codes)
        alone = fpx.calc(f"{x} * {y}", "e3m2fn", rounding="stochastic:2")
        if name == "max_bias_ulp":
            assert abs(alone.bias_ulp) == abs(number)  # type: ignore[union-attr, arg-type]
        if name == "max_variance_ulp":
            gap = ulp(x * y, E3M2)
            assert alone.variance == number * gap * gap  # type: ignore[union-attr]
        assert report.where(name).startswith("x = ")


def test_bfloat16_decays_on_average() -> None:
    """To nearest no number can decay by 0.999; here the mean is exact, and none always stays."""
    report = over_all("x * 0.999", find_format("bf16"), "x", precise=True)
    numbers = report.numbers()
    assert numbers["unbiased_count"] == numbers["measured_count"] == 65280
    (x,) = report.variables
    assert x.kinds["normal"].always == x.kinds["subnormal"].always == 0
    assert x.kinds["normal"].count == 65024
    few = over_all("x * 1.001", E3M2, "x", precise=True, rounding=Stochastic(4))
    kept = few.variables[0].kinds["normal"]
    assert kept.always == kept.expected == kept.count == 56


def test_several_operations_are_drawn_one_by_one() -> None:
    report = over_all("x * y + x", FP4, "x", "y")
    at = report.largest["max_variance_ulp"]
    x, y = (value(code, FP4) for code in at.codes)
    alone = fpx.calc(f"({float(x)}) * ({float(y)}) + ({float(x)})", "fp4", rounding="stochastic")
    assert alone.variance == at.number * ulp(x * y + x, FP4) ** 2  # type: ignore[union-attr]
    once = over_all("x * y + x", FP4, "x", "y", precise=True)
    assert once.means["mean_variance_ulp"] < report.means["mean_variance_ulp"]


def test_nans_and_infinities_are_counted_by_input_and_result() -> None:
    numbers = over_all("x + y", find_format("float6_e3m2"), "x", "y").numbers()
    assert numbers["inf_input_count"] == 2 * 2 * 64 - 4
    assert numbers["nan_input_count"] == 2 * 6 * 64 - 36
    assert numbers["nan_result_count"] == 2 * 6 * 64 - 36 + 2  # and inf - inf


def test_the_command(tmp_path: object) -> None:
    args = ("calc", "x * y", "--dtype", "e3m2fn", "--all", "x,y", "--rounding", "stochastic:3")
    code, out, _ = call(*args, columns=80)
    assert code == 0
    assert max(map(len, out.splitlines())) <= 80
    (entry,) = json.loads(call(*args, "--json")[1])["results"]
    assert entry["scheme"] == "a"
    assert f"{float(Fraction(entry['mean_bias_ulp'])):.6g}" in out
    assert Fraction(entry["max_bias_ulp"]) > -Fraction(1, 8)
    code, _, err = call(*args, "--fail-if", "max_bias_ulp<-0.1")
    assert code == (1 if Fraction(entry["max_bias_ulp"]) < Fraction(-1, 10) else 0)
    assert call(*args, "--fail-if", "max_bias_ulp<-0.2")[0] == 0
    code, _, err = call(*args, "--fail-if", "max_bias<-0.2")
    assert (code, err.count("\n")) == (2, 1)
    assert call(*args, "--csv")[1].count("\n") == 3


@pytest.mark.parametrize(
    ("text", "options", "says"),
    [
        ("sqrt(x)", {}, "irrational"),
        ("x", {"trace": True}, "`trace` is of one result"),
        ("x", {"libraries": True}, "`libraries` is of one result"),
    ],
)
def test_what_has_no_meaning_is_refused(text: str, options: dict[str, bool], says: str) -> None:
    with pytest.raises(FpxError, match=says):
        fpx.calc(text, "fp4", all_="x", rounding="stochastic", **options)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="two variables of up to 8"):
        over_all("x + y", find_format("fp16"), "x", "y")


def test_irrational_results_have_probabilities_by_few_bits() -> None:
    numbers = over_all("sqrt(x)", E3M2, "x", rounding=Stochastic(8)).numbers()
    squares = [v for v in values(E3M2)[0] if v and _is_square(v)]
    assert numbers["measured_count"] == len(squares) + 2  # of zeros
    assert numbers["nan_result_count"] == 0 or E3M2.nan_code is not None


def _is_square(x: Fraction) -> bool:
    return all(round(n**0.5) ** 2 == n for n in x.as_integer_ratio())
