"""Every way to be wrong is found, named and counted."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from fpx.arithmetic.functions.catalogue import FUNCTIONS
from fpx.arithmetic.functions.causes import CAUSES
from fpx.arithmetic.functions.codes import Codes, is_subnormal, magnitudes
from fpx.core.spec import FormatSpec
from fpx.report import op_verify as report
from tests.arithmetic.functions.planted import at, counts, verify
from tests.helpers import BF16, E4M3, F16, encode

SIGN = BF16.sign_mask
INF, NAN = 0x7F80, 0x7FC0


def one(x: object, spec: FormatSpec = BF16) -> int:
    return encode(x, spec)


@pytest.mark.parametrize(
    ("name", "x", "got", "cause"),
    [
        ("log", "-1", 0, "nan_lost"),
        ("log", "-1", INF, "nan_lost"),
        ("exp", "1", NAN, "nan_made"),
        ("exp", "inf", 0xFFC1, "nan_made"),
        ("sin", "-0", 0, "sign_of_zero"),
        ("sinh", "2^-130", 0, "flushed_to_zero"),
        ("sinh", "-2^-130", SIGN, "flushed_to_zero"),
        ("sinh", "2^-133", 0, "flushed_to_zero"),  # one step, and named for what it is
        ("log", "1", 1, "zero_missed"),
        ("log", "1", SIGN | 0x3F80, "zero_missed"),
        ("exp", "1", one("2.71828") + 1, "one_step"),
        ("exp", "1", one("2.71828") - 1, "one_step"),
        ("log", "2^-130", SIGN | INF, "subnormal_input"),
        ("rsqrt", "2^-131", INF, "subnormal_input"),
        ("reciprocal", "-2^-127", SIGN | INF, "subnormal_input"),
        ("erf", "1e-9", 0, "underflow_early"),
        ("sin", "2", SIGN | one("0.909"), "wrong_sign"),
        ("exp", "88", INF, "overflow_early"),
        ("exp", "89", 0x7F7F, "overflow_late"),
        ("log", "0", 0xFF7F, "infinity_lost"),
        ("exp", "inf", 0x7F7F, "infinity_lost"),
        ("exp", "2", one("7.389") + 2, "several_steps"),
        ("exp", "2", one("7.389") - 3, "several_steps"),
    ],
)
def test_each_cause(name: str, x: str, got: int, cause: str) -> None:
    row = verify(name, BF16, at(one(x), got))
    assert counts(row) == {cause: 1}
    assert (row.wrong_count, row.checked_count, row.inputs) == (1, 1 << 16, "all")
    (example,) = row.causes[0].examples
    assert example.operands[0].code == f"0x{one(x):04x}"
    assert example.got_code == f"0x{got:04x}"


def test_all_causes_are_tested_and_reported() -> None:
    (marks,) = (mark for mark in test_each_cause.pytestmark if mark.name == "parametrize")  # type: ignore[attr-defined]
    assert {case[3] for case in marks.args[1]} == {cause.name for cause in CAUSES}
    assert tuple(cause.name for cause in CAUSES) == report.CAUSES


def test_what_is_right_has_no_cause() -> None:
    for name in ("exp", "log", "add", "maximum"):
        row = verify(name, E4M3, lambda columns, right: right)
        assert (row.wrong_count, row.causes, row.binades, row.verdict) == (0, (), (), "right")
        assert (row.max_error_ulp, row.max_steps, row.worst) == (None, 0, None)


def test_nans_are_all_alike() -> None:
    row = verify("log", BF16, lambda columns, right: np.where(right == NAN, 0xFFAB, right))
    assert row.wrong_count == 0


def test_the_sign_of_a_zero_may_not_matter() -> None:
    def turned(columns: tuple[Codes, ...], right: Codes) -> Codes:
        return np.where(magnitudes(right, BF16) == 0, right ^ SIGN, right)

    assert counts(verify("sin", BF16, turned)) == {"sign_of_zero": 2}
    for name in ("relu", "remainder", "maximum"):
        assert FUNCTIONS[name].any_zero
        assert verify(name, BF16, turned, size=30).wrong_count == 0


def test_subnormals_taken_as_zero_in_a_whole_format() -> None:
    def flushing(columns: tuple[Codes, ...], right: Codes) -> Codes:
        x = columns[0]
        found = np.where(is_subnormal(x, F16), np.where(x & F16.sign_mask, 0xFC00, 0x7C00), right)
        return np.where(is_subnormal(right, F16), right & F16.sign_mask, found)

    row = verify("reciprocal", F16, flushing)
    results = [Fraction(1) / Fraction(n, 1 << 24) for n in range(1, 1 << 10)]
    largest = 65520
    assert counts(row)["subnormal_input"] == 2 * sum(value < largest for value in results)
    # of every normal number above 2^14 the reciprocal is below 2^-14
    assert counts(row)["flushed_to_zero"] == 2 * (F16.max_finite_magnitude - one("2^14", F16))
    assert set(counts(row)) == {"subnormal_input", "flushed_to_zero"}


def test_a_result_has_the_first_cause_that_fits() -> None:
    row = verify("exp", BF16, lambda columns, right: right * 0)
    found = counts(row)
    assert sum(found.values()) == row.wrong_count
    # exp(NaN); exp of everything whose result is not 0 itself, of one step or of hundreds
    assert set(found) == {"nan_lost", "flushed_to_zero", "underflow_early"}
    assert found["nan_lost"] == 2 * 127


def test_two_operands() -> None:
    row = verify("add", E4M3, lambda columns, right: np.where(columns[1] == 0x38, 0, right))
    assert row.inputs == "all"
    assert row.checked_count == 1 << 16
    assert len(row.causes[0].examples[0].operands) == 2
    assert {operand.code for cause in row.causes for operand in cause.examples[0].operands[1:]} == {
        "0x38"
    }
