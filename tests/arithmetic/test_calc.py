"""Whole expressions: steps, exact values, one rounding of the whole, other libraries."""

from __future__ import annotations

import random
from decimal import Decimal, localcontext
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fpx
from fpx.arithmetic.calc import calc
from fpx.core.policy import Rounding
from fpx.errors import InputError
from fpx.report.calc import CalcReport
from tests import oracle
from tests.arithmetic.test_operations import PLAIN
from tests.helpers import BF16, E4M3, E5M2, F16, F32, F64


def one(text: str, dtype: str, **options: object) -> CalcReport:
    found = fpx.calc(text, dtype, **options)  # type: ignore[arg-type]
    assert isinstance(found, CalcReport)
    return found


Tree = tuple[str, Fraction | None]
"""A text and what it means; None where it divides by zero."""


def joined(parts: tuple[Tree, str, Tree]) -> Tree:
    (left, x), operation, (right, y) = parts
    value = None
    if x is not None and y is not None and (y or operation != "/"):
        value = PLAIN[operation](x, y)
    return f"({left} {operation} {right})", value


NUMBERS = st.builds(
    lambda n, places: (f"{Decimal(n).scaleb(-places):f}", Fraction(n, 10**places)),
    st.integers(-999, 999),
    st.integers(0, 4),
)
TREES = st.recursive(
    NUMBERS, lambda tree: st.tuples(tree, st.sampled_from("+-*/"), tree).map(joined), max_leaves=6
)


@given(TREES, st.sampled_from(list(Rounding)))
def test_the_whole_is_exact_and_rounded_once(tree: Tree, rounding: Rounding) -> None:
    text, value = tree
    for spec in (E4M3, E5M2):
        report = one(text, spec.name, precise=True, rounding=rounding)
        plain = one(text, spec.name, rounding=rounding)
        if value is None:
            assert report.exact is not None
            assert report.exact.text in ("inf", "-inf", "nan", "0", "-0")
            continue
        assert report.exact is not None
        assert Fraction(report.exact.text) == value
        if value:
            assert report.code == oracle.encode(value, spec, rounding.value, "ieee")
        assert plain.correct == report.code
        if plain.value is not None:
            assert Fraction(plain.error or "") == plain.value - value
            assert plain.result.value == plain.value
        assert ("inexact" in report.flags) == (report.value != value)


def test_every_step_is_rounded_as_numpy_rounds_it() -> None:
    draw = random.Random(7)
    for _ in range(100):
        a, b, c, d = (np.float32(draw.gauss(0, 1)) for _ in "abcd")
        expected = np.sqrt(abs(a * b - c / d)) + np.float32(0.1)
        text = f"sqrt(abs({a:.9g} * {b:.9g} - {c:.9g} / ({d:.9g}))) + 0.1"
        assert one(text, "float32").code == expected.view(np.uint32)


def test_roots_of_the_whole() -> None:
    """Ties, exact results and all directions, of roots that leave and of roots that stay."""
    for rounding in Rounding:
        report = one("sqrt(2) * sqrt(2)", "bf16", precise=True, rounding=rounding)
        assert report.value == 2
        assert report.flags == ()
        # half an ulp above 1: a tie that is exact only because the roots vanish
        report = one("(1 + 2^-8) * sqrt(3) / sqrt(3)", "bf16", precise=True, rounding=rounding)
        assert report.code == oracle.encode(Fraction(257, 256), BF16, rounding.value, "ieee")
        with localcontext() as context:
            context.prec = 60
            near = Decimal(2).sqrt() - Decimal(3).sqrt() * Decimal(5).sqrt()
        report = one("sqrt(2) - sqrt(3) * sqrt(5)", "fp16", precise=True, rounding=rounding)
        assert report.code == oracle.encode(Fraction(near), F16, rounding.value, "ieee")
        assert report.exact is not None
        assert report.exact.cut
        assert abs(Decimal(report.exact.text) - near) < Decimal("1e-48")
    assert one("sqrt(3 + 2*sqrt(2)) - 1 - sqrt(2)", "fp64", precise=True).value == 0


def test_errors_of_roots_in_ulps() -> None:
    report = one("sqrt(2)", "fp64")
    with localcontext() as context:
        context.prec = 60
        error = Decimal(2.0**0.5) - Decimal(2).sqrt()
    assert report.error is not None
    assert report.error_ulp is not None
    assert abs(Decimal(report.error) / error - 1) < Decimal("1e-30")
    assert abs(Decimal(report.error_ulp) / (error * 2**52) - 1) < Decimal("1e-30")


def test_double_rounding_is_told() -> None:
    report = one("0.1 + 0.2", "fp64", trace=True)
    assert (report.code, report.correct, report.codes_off) == (
        0x3FD3333333333334, 0x3FD3333333333333, 1,
    )  # fmt: skip
    assert [step.operation for step in report.steps] == [
        "0.1", "0.2", "0.1 + 0.2",
    ]  # fmt: skip
    first, _, last = report.steps
    assert Fraction(first.error_ulp or "") == (Fraction(0.1) - Fraction(1, 10)) * 2**56
    assert Fraction(last.exact.text) == Fraction(0.1) + Fraction(0.2)
    assert last.error_ulp == "0.5"
    assert last.operands == (0x3FB999999999999A, 0x3FC999999999999A)
    assert last.flags == ("inexact",)


def test_flags_of_all_steps_count() -> None:
    assert one("0.1 * 0", "fp16").flags == ("inexact",)
    assert one("max * 2 - inf", "fp16").flags == ("inexact", "invalid", "overflow")
    assert one("1e-7 * 0", "fp16").flags == ("inexact", "underflow")
    assert one("2^-14 * (1 - 2^-11)", "fp16").flags == ("inexact", "underflow")
    assert one("[2^-14 - 2^-26]", "fp16").flags == ("inexact",)  # 2^-14 in 11 bits: not tiny
    assert one("0x0001", "fp16").flags == ()


def test_what_cannot_be_computed_exactly() -> None:
    text = " + ".join(f"sqrt({prime})" for prime in (2, 3, 5, 7, 11, 13))
    report = one(text, "bf16")
    assert (report.exact, report.correct, report.error) == (None, None, None)
    assert report.why_not == "the exact value has more than 5 different square roots"
    assert report.results()[0]["exact"] is None
    with pytest.raises(InputError, match="5 different square roots; leave out `precise=True`"):
        one(text, "bf16", precise=True)
    report = one(" + ".join(["sqrt(2)"] * 300), "bf16")
    assert report.why_not == "the exact value takes more than 500 operands with square roots"
    report = one("sqrt(2) + [2^-4200]", "bf16")
    assert report.why_not == "the exact value takes more than 4,096 bits to compute exactly"
    assert one("sqrt(0x1p-16494) * 2", "float128").exact is not None
    assert one("1e999999999 * 0", "bf16").flags == ("inexact", "invalid", "overflow")


def test_a_nan_that_the_whole_alone_would_overflow_to() -> None:
    """4 / 0.125 is beyond 8, but 0.125 becomes 0, and 4 / 0 the infinity that e3m0 has."""
    report = one("2^2 / 2^-3", "e3m0", overflow="nan")
    assert (report.code, report.correct, report.codes_off) == (0x7, None, None)
    assert report.flags == ("inexact", "divide_by_zero", "underflow")
    assert report.exact is not None
    assert report.exact.text == "32"
    for text, precise in (("2^2 / 2^-3", True), ("2^2 / 2^-2", False)):
        with pytest.raises(InputError, match="e3m0 has no NaN to overflow to"):
            one(text, "e3m0", overflow="nan", precise=precise)


def test_a_nan_that_a_format_has_not() -> None:
    with pytest.raises(InputError, match="column 5: float4_e2m1fn has no NaN"):
        one("1 + nan", "fp4")
    report = one("1 + nan", "fp4", precise=True)  # which asks nothing of the numbers in it
    assert (report.code, report.flags) == (0, ("invalid",))


@pytest.mark.parametrize(
    ("text", "dtype", "numpy", "torch"),
    [
        ("0.1 + 0.2 * 3 / 7 - 1", "bf16", "", ""),
        ("sqrt(2) * abs(-3) - max(1, 2) + min(4, 3)", "fp16", "", ""),
        ("max(nan, 1)", "fp32", "", ""),
        ("-(3)", "fp64", "", ""),
        ("sum(1, 2^-8, 2^-8)", "bf16", "", "its sums differ: another order, or wider inside"),
        ("dot(1, 2 | 3, 4)", "bf16", "", ""),
        ("0.1 + 0.2", "e4m3fn", "", "no + of float8_e4m3fn: "),
        ("fma(1, 2, 3)", "fp32", "numpy has no fma", "torch has no fma"),
        ("1 + 1", "tf32", "numpy and ml_dtypes have no tfloat32", "has no dtype for tfloat32"),
        ("1 + 1", "fp4", "", "only stores float4_e2m1fn"),
    ],
)
def test_libraries(text: str, dtype: str, numpy: str, torch: str) -> None:
    report = one(text, dtype, libraries=True)
    assert report.libraries is not None
    assert [item.library for item in report.libraries] == ["numpy", "torch"]
    for item, reason in zip(report.libraries, (numpy, torch), strict=True):
        assert (reason in item.reason) if reason else (item.reason == "")
        assert item.agrees == (not reason)
        if item.agrees and report.value is not None:
            assert item.code == report.code
    assert {"torch", "numpy", "ml_dtypes"} == set(report.environment())


def test_libraries_that_differ_are_told_where() -> None:
    report = one("0.1 + 1", "bf16", rounding="toward_zero", libraries=True)
    assert report.libraries is not None
    assert [item.reason for item in report.libraries] == ["+ at column 5 differs"] * 2
    assert {item.code for item in report.libraries} == {0x3F8D}
    assert report.code == 0x3F8C


def test_options_exclude_each_other() -> None:
    for name in ("trace", "libraries"):
        with pytest.raises(InputError, match=f"`{name}` is of single results"):
            fpx.calc("x + 1", "fp4", all_="x", **{name: True})  # type: ignore[arg-type]
    with pytest.raises(InputError, match="'x' is no number"):
        calc("x + 1", [F32, F64])


def test_formats_come_together() -> None:
    found = fpx.calc("1 + 1", ["fp16", "bf16"])
    assert [item.format for item in found] == ["float16", "bfloat16"]
    assert isinstance(found, fpx.Report)
