"""What is a literal, what it means, and what the report says about its rounding."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

import fpx
from fpx.core.formats import FORMATS
from fpx.core.literals import ReadAs, parse_literal, to_literal
from fpx.core.numbers import Code, DecimalNumber, RationalNumber
from fpx.errors import FpxError, InputError
from fpx.words import escape, quoted

GOOD = [
    ("3.14", Fraction(157, 50)), ("-1e-3", Fraction(-1, 1000)), (".5", Fraction(1, 2)),
    ("5.", Fraction(5)), ("+7", Fraction(7)), ("1E2", Fraction(100)), ("007", Fraction(7)),
    ("0x1.8p3", Fraction(12)), ("-0X.8P1", Fraction(-1)), ("0x1p-1", Fraction(1, 2)),
    ("1/3", Fraction(1, 3)), ("-2/4", Fraction(-1, 2)), (" 2 ", Fraction(2)),
    ("2\r\n", Fraction(2)),
]  # fmt: skip

BAD = [
    "", " ", ".", "+", "-", "e5", "1e", "1e+", "--3", "+-3", "1_000", "1,5", "0x", "0x.", "0x.p1",
    "0xg", "0b", "0b102", "0b1_", "0x_1", "0x1__2", "1/0", "1/", "/3", "1/-3", "1.5/2", "-0x4049",
    "infinit", "nans", "nan()", "nan(-1)", "nan(0x)", "٣", "３", "1٫5", "ınf", "ſnan", "NaK",
    "1 2", "0x1 p3", "½", "²", "1\x00", "\u200b1", "−1", "\ud800",
]  # fmt: skip


@pytest.mark.parametrize(("text", "value"), GOOD)
def test_good(text: str, value: Fraction) -> None:
    report = fpx.decode(text, "float64")
    assert fpx.encode(value, "float64").code == report.code
    literal = parse_literal(text)
    assert isinstance(literal, (DecimalNumber, RationalNumber))
    assert Fraction(*literal.ratio(-1074, 1024)) == abs(value)
    assert literal.negative == (value < 0)


@pytest.mark.parametrize("text", BAD)
def test_bad(text: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_literal(text)
    assert str(caught.value).isprintable()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "read_as", "expected"),
    [
        ("0x4049", ReadAs.AUTO, Code(0x4049, 16, "0x4049")),
        ("0b0100_0000_0100_1001", ReadAs.AUTO, Code(0x4049, 16, "0b0100_0000_0100_1001")),
        ("0x40_49", ReadAs.CODE, Code(0x4049, 16, "0x40_49")),
        ("16", ReadAs.CODE, Code(16, 5, "16")),
        ("0x10", ReadAs.VALUE, RationalNumber(False, 16, 1, 0, "0x10")),
    ],
)
def test_read_as(text: str, read_as: ReadAs, expected: object) -> None:
    assert parse_literal(text, read_as) == expected


@pytest.mark.parametrize("text", ["3.14", "nan", "0x1p3", "-5", "1/3"])
def test_read_as_code_refuses_values(text: str) -> None:
    with pytest.raises(InputError):
        parse_literal(text, ReadAs.CODE)


@pytest.mark.parametrize("text", ["0x10000", "0x04049", "0b10000000000000000", "0x4048f5c3"])
def test_a_code_wider_than_the_format_is_an_error(text: str) -> None:
    with pytest.raises(InputError, match="wider"):
        fpx.decode(text, "bf16")


@pytest.mark.parametrize("text", ["nan(0x200)", "snan(0)", "snan(0x200)", "nan(512)"])
def test_payloads_that_do_not_fit(text: str) -> None:
    with pytest.raises(InputError, match="payload"):
        fpx.decode(text, "fp16")


def _refusal(text: str, read_as: ReadAs) -> str | None:
    try:
        parse_literal(text, read_as)
    except InputError as error:
        return str(error)
    return None


@given(st.text())
def test_any_text_parses_or_is_refused_in_one_line(text: str) -> None:
    for read_as in ReadAs:
        message = _refusal(text, read_as)
        assert message is None or message.isprintable()


@given(
    st.text(alphabet="0123456789abcdefxpeinfnan._+-/()", max_size=12),
    st.sampled_from(list(FORMATS)),
)
def test_near_literals_never_crash(text: str, name: str) -> None:
    try:
        report = fpx.decode(text, name)
    except FpxError:
        return
    assert report.to_dict()["results"]


@given(
    st.from_regex(
        r"[+-]?([0-9]{1,30}[.]?[0-9]{0,30}|[.][0-9]{1,30})(e[+-]?[0-9]{1,3})?", fullmatch=True
    )
)
def test_decimals_mean_what_fraction_says(text: str) -> None:
    if value := Fraction(text):  # a Fraction has no negative zero
        assert fpx.encode(text, "float64").code == fpx.encode(value, "float64").code


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


def test_python_numbers_keep_their_exact_value() -> None:
    assert fpx.encode(0.1, "float64").code == 0x3FB999999999999A
    assert fpx.encode(Decimal("0.1"), "bf16").code == fpx.encode("0.1", "bf16").code
    assert fpx.encode(-0.0, "fp16").code == 0x8000
    assert fpx.encode(10**400, "float64").code == 0x7FF << 52
    assert fpx.encode(0x4049, "bf16", read_as="code").code == 0x4049
    for bad in (None, [], True, 1j, object()):
        with pytest.raises(InputError):
            to_literal(bad)


def test_unknown_choices_are_named() -> None:
    with pytest.raises(InputError, match="ties_to_even"):
        fpx.encode("1", "bf16", rounding="up")
    with pytest.raises(InputError, match="float16"):
        fpx.encode("1", "fp17")


@given(st.text())
def test_escape_leaves_nothing_a_terminal_acts_on(text: str) -> None:
    assert escape(text).isprintable()
    assert len(quoted(text)) < 700


def test_quoted_shortens() -> None:
    assert quoted("9" * 1000).startswith("'999")
    assert "1,000 characters" in quoted("9" * 1000)
    assert quoted("\u202eabc\x1b[31m") == r"'\u202eabc\x1b[31m'"


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
