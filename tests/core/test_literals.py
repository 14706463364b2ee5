"""What is a literal, and what it means."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fpx
from fpx.core.formats import FORMATS
from fpx.core.literals import ReadAs, parse_literal, split_numbers, to_literal
from fpx.core.names import find_format
from fpx.core.numbers import CONSTANTS, Code, DecimalNumber, RationalNumber
from fpx.errors import FpxError, InputError
from tests.helpers import call

GOOD = [
    ("3.14", Fraction(157, 50)), ("-1e-3", Fraction(-1, 1000)), (".5", Fraction(1, 2)),
    ("5.", Fraction(5)), ("+7", Fraction(7)), ("1E2", Fraction(100)), ("007", Fraction(7)),
    ("0x1.8p3", Fraction(12)), ("-0X.8P1", Fraction(-1)), ("0x1p-1", Fraction(1, 2)),
    ("1/3", Fraction(1, 3)), ("-2/4", Fraction(-1, 2)), (" 2 ", Fraction(2)),
    ("2\r\n", Fraction(2)),
]  # fmt: skip


BAD = [
    "", " ", ".", "+", "-", "e5", "1e", "1e+", "--3", "+-3", "1_000", "1,5", "0x", "0x.", "0x.p1",
    "0xg", "0b", "0b102", "0b1_", "0x_1", "0x1__2", "1/0", "1/", "/3", "1/--3", "-0x4049",
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
        ("0b10", ReadAs.VALUE, RationalNumber(False, 2, 1, 0, "0b10")),
        ("-0B0111", ReadAs.VALUE, RationalNumber(True, 7, 1, 0, "-0B0111")),
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


def test_python_numbers_keep_their_exact_value() -> None:
    assert fpx.encode(0.1, "float64").code == 0x3FB999999999999A
    assert fpx.encode(Decimal("0.1"), "bf16").code == fpx.encode("0.1", "bf16").code
    assert fpx.encode(-0.0, "fp16").code == 0x8000
    assert fpx.encode(10**400, "float64").code == 0x7FF << 52
    assert fpx.encode(0x4049, "bf16", read_as="code").code == 0x4049
    for bad in (None, [], True, 1j, object()):
        with pytest.raises(InputError):
            to_literal(bad)


@pytest.mark.parametrize("spec", FORMATS.values(), ids=lambda s: s.name)
@pytest.mark.parametrize("name", CONSTANTS)
def test_constants_are_values(name: str, spec: fpx.FormatSpec) -> None:
    attribute = getattr(spec, CONSTANTS[name])
    if attribute is None:
        with pytest.raises(fpx.FpxError, match="has no smallest_subnormal"):
            fpx.decode(name, spec)
        return
    report = fpx.decode(name, spec)
    assert report.value == attribute.fraction
    assert report.input == name
    assert report.rounding_error == "0"
    if spec.signed:
        assert fpx.decode(f"-{name.upper()}", spec).value == -attribute.fraction


def test_min_is_what_numpy_and_torch_call_min() -> None:
    assert fpx.decode("min", "float16").value == Fraction(float(np.finfo(np.float16).min))
    info: Any = ml_dtypes.finfo(ml_dtypes.bfloat16)  # type: ignore[no-untyped-call]
    assert fpx.decode("min", "bf16").value == Fraction(float(info.min))


def machin(bits: int) -> Fraction:
    """pi = 16 atan(1/5) - 4 atan(1/239) (Machin, 1706), off by less than 2^-bits."""

    def atan_inverse(n: int) -> Fraction:
        total, k = Fraction(0), 0
        while n ** (2 * k + 1) * (2 * k + 1) < 1 << (bits + 8):
            total += Fraction((-1) ** k, (2 * k + 1) * n ** (2 * k + 1))
            k += 1
        return total

    return 16 * atan_inverse(5) - 4 * atan_inverse(239)


def euler(bits: int) -> Fraction:
    """The sum of 1/n!, off by less than 2^-bits."""
    total, term, n = Fraction(0), Fraction(1), 0
    while term > Fraction(1, 1 << (bits + 8)):
        total += term
        n += 1
        term /= n
    return total


@pytest.mark.parametrize("spec", [*FORMATS.values(), find_format("e5m58")], ids=lambda s: s.name)
def test_pi_and_e_are_correctly_rounded(spec: fpx.FormatSpec) -> None:
    for name, value in (("pi", machin(300)), ("e", euler(300))):
        for sign in (1, -1) if spec.signed else (1,):
            found = fpx.encode(f"{'-' if sign < 0 else ''}{name}", spec).code
            assert found == fpx.encode(sign * value, spec).code
    assert fpx.decode("one", spec).value == 1


@pytest.mark.parametrize("zeros", [1, 29, 30, 31, 40, 5000])
def test_zeros_before_an_exponent_count_nothing(zeros: int) -> None:
    for sign in ("", "+", "-"):
        expected = fpx.encode(f"1e{sign}5", "float64").code
        assert fpx.encode(f"1e{sign}{'0' * zeros}5", "float64").code == expected
        expected = fpx.encode(f"0x1p{sign}12", "float64").code
        assert fpx.encode(f"0x1p{sign}{'0' * zeros}12", "float64").code == expected


@pytest.mark.parametrize(
    ("dtype", "good", "bad"),
    [
        ("float6_e3m2fn", ["0x1f", "0x3f", "0b111111", "0x01"], ["0x40", "0x01f", "0b0011111111"]),
        ("tf32", ["0x1ffff", "0x7ffff"], ["0x80000", "0x01ffff"]),
        ("fp4", ["0xf", "0b1111"], ["0x10", "0x0f"]),
    ],
)
def test_codes_of_odd_widths(dtype: str, good: list[str], bad: list[str]) -> None:
    """As many hexadecimal digits as hold the format, of which the first may be cut short."""
    for text in good:
        assert call("encode", text, "--dtype", dtype)[0] == 0, text
        assert fpx.encode(text, dtype).code == int(text, 0)
    for text in bad:
        code, _, err = call("encode", text, "--dtype", dtype)
        assert (code, "wider" in err) == (2, True), text


def test_fractions_of_many_digits_are_read() -> None:
    """More than Python writes by itself (sys.get_int_max_str_digits)."""
    for value in (Fraction(1, 10**5000), Fraction(1 - 10**5000, 7)):
        literal = to_literal(value)
        assert isinstance(literal, RationalNumber)
        sign = -1 if literal.negative else 1
        assert Fraction(sign * literal.numerator, literal.denominator) == value
        assert literal.exponent == 0
        numerator, _, denominator = literal.text.partition("/")
        assert len(numerator) + len(denominator) == 5002
    assert to_literal(Fraction(6, 2)).text == "3"
    assert to_literal(Fraction(-3, 7)).text == "-3/7"


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("6 -4 3", ["6", "-4", "3"]), ("6, -4, 3", ["6", "-4", "3"]), ("6,-4,3", ["6", "-4", "3"]),
        ("6 ,-4 , 3,", ["6", "-4", "3"]), ("1,2,3", ["1", "2", "3"]), ("1,.5", ["1", ".5"]),
        ("1/3,0x7f\n2^-4", ["1/3", "0x7f", "2^-4"]), ("1,5", ["1,5"]), ("-1,5 2", ["-1,5", "2"]),
        ("1,,2", ["1", "", "2"]), ("", []), (" , ", []),
    ],
)  # fmt: skip
def test_numbers_are_split_at_blanks_and_commas(text: str, numbers: list[str]) -> None:
    assert split_numbers(text) == numbers
