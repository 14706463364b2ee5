"""Errors of rounding, exact."""

from __future__ import annotations

import json
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

import fpx
from fpx.core.formats import FORMATS
from fpx.core.literals import parse_literal
from fpx.core.numbers import Infinity
from fpx.core.policy import Overflow, Rounding
from fpx.errors import FpxError
from fpx.report.decode import DecodeReport
from tests.helpers import results


@given(st.floats(allow_nan=False))
def test_floats_come_back(x: float) -> None:
    for text in (repr(x), x.hex(), str(Decimal(x))):
        assert fpx.encode(text, "float64").code == fpx.encode(x, "float64").code
    report = fpx.decode(x, "float64")
    assert float(report.shortest) == x
    if report.value is not None:
        assert Fraction(report.value) == Fraction(x)


@given(st.fractions(), st.sampled_from(list(FORMATS)))
def test_errors_are_exact(x: Fraction, name: str) -> None:
    report = fpx.decode(x, name)
    ulp = report.ulp
    if report.value is None or ulp is None:
        return
    assert report.rounding_error is not None
    assert report.error_ulp is not None
    assert Fraction(report.rounding_error) == report.value - x
    assert Fraction(report.error_ulp) == (report.value - x) / ulp
    below = not report.spec.zero and x < report.spec.smallest_normal.fraction
    if not report.rounded.overflow and not below:  # those may be as far off as they like
        assert abs(Fraction(report.error_ulp)) <= Fraction(1, 2)


def test_error_of_a_number_too_long_to_subtract() -> None:
    report = fpx.decode("1e-999999999", "float32", rounding="toward_positive")
    assert report.code == 1
    assert report.rounding_error is not None
    assert report.rounding_error.endswith("e-45 - 1e-999999999")
    assert fpx.decode("1e999999999", "float32").rounding_error == "inf"


@given(
    st.decimals(allow_nan=False, allow_infinity=False) | st.decimals(-1000, 1000, places=5),
    st.sampled_from(list(FORMATS)),
)
def test_errors_of_decimals_are_exact(x: Decimal, name: str) -> None:
    if abs(x.adjusted()) > 5000:
        return
    report = fpx.decode(str(x), name)
    if report.value is None or report.ulp is None:
        return
    assert Fraction(str(report.rounding_error)) == report.value - Fraction(x)
    assert Fraction(str(report.error_ulp)) == (report.value - Fraction(x)) / report.ulp


@pytest.mark.parametrize(
    ("text", "dtype", "error"),
    [
        ("inf", "fp16", "-inf"),
        ("-inf", "fp16", "inf"),
        ("inf", "fp4", "-inf"),
        ("-inf", "fp4", "inf"),
    ],
)
def test_the_error_of_a_saturated_infinity(text: str, dtype: str, error: str) -> None:
    """The result minus the input: what became of infinity is infinitely too small."""
    (entry,) = results("decode", text, "--dtype", dtype, "--overflow", "saturate")
    assert (entry["rounding_error"], entry["error_ulp"]) == (error, error)
    assert entry["flags"] == ["inexact"]


def test_the_sign_of_an_infinity_is_not_read_from_its_text() -> None:
    """A literal may have any text, or none, as those that are made from codes."""
    for negative, error in ((True, "inf"), (False, "-inf")):
        report = DecodeReport.of(
            Infinity(negative, ""), FORMATS["float16"], overflow=Overflow.SATURATE
        )
        assert (report.rounding_error, report.error_ulp) == (error, error)


@pytest.mark.parametrize(
    ("literal", "ends"),
    [
        ("1", ("0.999755859375", "1.00048828125", True, True)),
        ("inf", ("65520", "inf", True, True)),
        ("-inf", ("-inf", "-65520", True, True)),
        ("max", ("65488", "65520", False, False)),
    ],
)
def test_the_interval_of_an_infinity_has_no_end(
    literal: str, ends: tuple[str, str, bool, bool]
) -> None:
    (entry,) = results("decode", literal, "--dtype", "fp16")
    assert tuple(entry["interval"].values()) == ends


@given(
    st.floats().map(str) | st.decimals(allow_nan=False).map(str) | st.fractions().map(str),
    st.sampled_from(list(FORMATS)),
    st.sampled_from(list(Rounding)),
    st.sampled_from([Overflow.IEEE, Overflow.SATURATE]),
)
def test_lines_say_what_results_say(
    text: str, name: str, rounding: Rounding, overflow: Overflow
) -> None:
    encode = json.JSONEncoder(allow_nan=False).encode
    try:
        report = DecodeReport.of(parse_literal(text), FORMATS[name], rounding, overflow)
    except FpxError:
        return
    for _ in range(2):  # computed, and known from before
        assert report.lines(encode) == [encode(entry) for entry in report.results()]


def test_lines_of_more_codes_than_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fpx.report.code_text._MOST_KEPT", 3)
    encode = json.JSONEncoder(allow_nan=False).encode
    for number in (*range(10), *range(10)):
        report = fpx.decode(number, "fp16")
        assert report.lines(encode) == [encode(entry) for entry in report.results()]
