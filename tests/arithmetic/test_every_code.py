"""Expressions over all codes, against whole arrays of numpy's and ml_dtypes'."""

from __future__ import annotations

import time
from collections import Counter
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

import fpx
from fpx.core.formats import FORMATS
from fpx.core.spec import FormatSpec
from fpx.errors import InputError
from fpx.report.calc_all import AllCodesReport, VariableCounts
from tests import oracle
from tests.arithmetic.test_operations import array
from tests.helpers import BF16, E4M3, E5M2

FP6 = FORMATS["float6_e2m3fn"]


def over_all(text: str, spec: FormatSpec, *names: str, **options: Any) -> AllCodesReport:
    found = fpx.calc(text, spec, all_=names, **options)
    assert isinstance(found, AllCodesReport)
    return found


def compared(report: AllCodesReport, results: Any, *inputs: Any) -> None:
    """Counts of a report beside those of arrays."""
    counts = report.counts
    nan, inf, zero = (np.zeros(len(results), bool) for _ in range(3))
    for x in inputs:
        nan |= np.isnan(x)
        inf |= np.isinf(x)
        zero |= x == 0
    assert counts["count"] == len(results)
    assert counts["nan_input_count"] == nan.sum()
    assert counts["inf_input_count"] == inf.sum()
    assert counts["zero_input_count"] == zero.sum()
    assert counts["nan_result_count"] == np.isnan(results).sum()
    assert counts["inf_result_count"] == np.isinf(results).sum()
    assert counts["zero_result_count"] == (results == 0).sum()
    small = float(report.spec.smallest_normal.fraction)
    wide = np.abs(results.astype(np.float64))
    assert counts["subnormal_result_count"] == ((wide > 0) & (wide < small)).sum()
    assert counts["exact_count"] + counts["inexact_count"] <= counts["count"]
    for x, variable in zip(inputs, report.variables, strict=True):
        _binades(x.astype(np.float64), x == results, small, variable)


def _binades(x: Any, same: Any, smallest_normal: float, variable: VariableCounts) -> None:
    some = np.isfinite(x) & (x != 0)
    exponents = np.frexp(x[some])[1] - 1
    total, unchanged = Counter(exponents.tolist()), Counter(exponents[same[some]].tolist())
    found = {item.exponent: (item.count, item.unchanged_count) for item in variable.binades}
    assert found == {exponent: (total[exponent], unchanged[exponent]) for exponent in total}
    assert variable.total() == some.sum()
    assert variable.unchanged() == same[some].sum()
    subnormal = some & (np.abs(x) < smallest_normal)
    assert variable.total("subnormal") == subnormal.sum()
    assert variable.unchanged("subnormal") == (same & subnormal).sum()
    assert variable.total("normal") == (some & ~subnormal).sum()


@pytest.mark.parametrize("spec", [BF16, E5M2], ids=lambda spec: spec.name)
def test_one_variable(spec: FormatSpec) -> None:
    x = array(range(1 << spec.bits), spec)
    by = np.array([0.998]).astype(np.float32).astype(x.dtype)
    start = time.process_time()
    report = over_all("x * 0.998", spec, "x")
    assert time.process_time() - start < 10
    with np.errstate(all="ignore"):
        compared(report, x * by, x)


@pytest.mark.parametrize("spec", [E4M3, FP6], ids=lambda spec: spec.name)
def test_two_variables(spec: FormatSpec) -> None:
    parts = np.divmod(np.arange(1 << 2 * spec.bits), 1 << spec.bits)
    x, y = (array(part.astype(np.uint8), spec) for part in parts)
    with np.errstate(all="ignore"):
        compared(over_all("x + y", spec, "x", "y"), x + y, x, y)


def test_a_moving_average_that_cannot_decay() -> None:
    """The share of positive normal numbers that stay when they are multiplied and rounded once."""
    shares = {
        (spec.name, beta): Fraction(x.unchanged("normal"), x.total("normal"))
        for spec, betas in ((BF16, ("0.999",)), (E4M3, ("0.9", "0.95", "0.98")))
        for beta in betas
        for x in over_all(f"x * {beta}", spec, "x", precise=True).variables
    }
    assert shares["bfloat16", "0.999"] == 1
    assert shares["float8_e4m3fn", "0.9"] == 0
    assert shares["float8_e4m3fn", "0.98"] == 1
    ladder, finite = oracle.values(E4M3)
    stay = sum(
        oracle.encode(ladder[code] * Fraction(95, 100), E4M3, "ties_to_even", "ieee") == code
        for code in range(8, finite)
    )
    assert shares["float8_e4m3fn", "0.95"] == Fraction(stay, finite - 8)


def test_flags() -> None:
    counts = over_all("1 / x", E5M2, "x").counts
    assert counts["divide_by_zero_count"] == 2
    assert counts["invalid_count"] == 2  # the signaling NaNs
    assert counts["overflow_count"] == 2 * sum(
        1 / value > Fraction(57344 + 4096) for value in oracle.values(E5M2)[0][1:124]
    )
    counts = over_all("x / 3 * 3", E4M3, "x").counts
    assert 0 < counts["underflow_count"] < counts["inexact_count"] < 254
    assert counts["exact_count"] == 256 - counts["inexact_count"]


def test_runs_of_binades() -> None:
    (x,) = over_all("x + 1", E4M3, "x").variables
    assert [(first.exponent, last.exponent) for first, last in x.runs()] == [
        (-9, -7), (-6, 3), (4, 4), (5, 8),
    ]  # fmt: skip
    kinds = [item.kind for item in x.binades]
    assert kinds == ["subnormal"] * 3 + ["normal"] * 15


def test_literals_that_a_format_has_not_are_told() -> None:
    assert over_all("x * 0.99 + 1", E4M3, "x").literals == {"0.99": "1"}
    assert over_all("x * 0.999", E4M3, "x", precise=True).literals == {}
    assert over_all("max(x, 0.1)", E4M3, "x").counts["exact_count"] == 256  # of operations


@pytest.mark.parametrize(
    ("text", "dtype", "names", "says"),
    [
        ("x + 1", "fp32", ["x"], "float32 has 32 bits"),
        ("x + y", "bf16", ["x", "y"], "bfloat16 has 16 bits"),
        ("x + y + z", "fp4", ["x", "y", "z"], "one variable or two, not 3"),
        ("sqrt(x) + sqrt(2) + sqrt(3) + sqrt(5) + sqrt(7) + sqrt(11)", "fp6_e2m3", ["x"], "roots"),
    ],
)
def test_what_is_too_much(text: str, dtype: str, names: list[str], says: str) -> None:
    with pytest.raises(InputError, match=says):
        fpx.calc(text, dtype, all_=names, precise=True)


def test_variables_with_commas_between_them() -> None:
    found = fpx.calc("x * y", ["fp4"], all_="x,y")
    assert [[item.name for item in report.variables] for report in found] == [["x", "y"]]
