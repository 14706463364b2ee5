"""Codes and values as what one types for them, exactly."""

from __future__ import annotations

from fpx.core.dyadic import Dyadic
from fpx.core.numbers import Code, Infinity, Literal, Nan, RationalNumber
from fpx.core.spec import FormatSpec
from fpx.report.base import hex_code
from fpx.report.decode import DecodeReport

_LONGEST = 24  # characters of an exact decimal; longer numbers are written as hex floats


def code_literal(code: int, spec: FormatSpec) -> Code:
    """A code of a format as it is typed."""
    return Code(code, 4 * spec.code_digits, hex_code(code, spec))


def exact_literal(significand: int, exponent: int, negative_zero: bool = False) -> RationalNumber:
    """significand * 2^exponent as it is typed: a decimal, or a hex float where that is long."""
    value = Dyadic(significand, exponent)
    few = abs(exponent) <= 4 * _LONGEST and significand.bit_length() <= 4 * _LONGEST
    text = value.decimal if few else ""
    if not text or len(text) > _LONGEST:
        text = value.hex_float
    if negative_zero:
        text = "-0"
    return RationalNumber(significand < 0 or negative_zero, abs(significand), 1, exponent, text)


def number_of(report: DecodeReport) -> Literal:
    """What a code stands for, as a number that any format may be given."""
    value = report.dyadic
    if value is not None:
        return exact_literal(*value, negative_zero=not value.significand and bool(report.sign))
    text = report.shortest
    if text.endswith("inf"):
        return Infinity(bool(report.sign), text)
    return Nan(text.startswith("-"), False, None, text)
