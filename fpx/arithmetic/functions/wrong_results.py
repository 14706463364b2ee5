"""One wrong result in full: what a report of a bug needs."""

from __future__ import annotations

from fractions import Fraction

from mpmath import MPContext

from fpx.arithmetic.functions.function import Function
from fpx.arithmetic.functions.implementations import Implementation
from fpx.arithmetic.functions.tally import Found
from fpx.arithmetic.functions.ziv import Reference, number, refer
from fpx.core import codec
from fpx.core.dyadic import Dyadic
from fpx.core.shortest import value_text
from fpx.core.spec import FormatSpec
from fpx.report.base import hex_code
from fpx.report.op_verify import Operand, WrongResult

_LONG = 40  # characters of an exact result that is written in full
_DIGITS = 30  # of a longer one
_BEYOND = 1 << 15  # log2 of a number that is far beyond any format
_DIGITS_PER_BIT = 0.30103


def wrong_result(
    function: Function, spec: FormatSpec, by: Implementation, found: Found
) -> WrongResult:
    """A wrong result with its exact value, its error, and how to see it again."""
    reference = refer(function, tuple(number(code, spec) for code in found.codes), spec)
    exact = _fraction(reference)
    error = None if exact is None else error_ulp(found.got, exact, spec)
    return WrongResult(
        tuple(Operand(hex_code(code, spec), value_text(code, spec)) for code in found.codes),
        hex_code(found.expected, spec),
        value_text(found.expected, spec),
        hex_code(found.got, spec),
        value_text(found.got, spec),
        _text(reference),
        None if error is None else float(error),
        by.reproduction(function, found.codes, spec),
    )


def error_ulp(got: int, exact: Fraction, spec: FormatSpec) -> Fraction | None:
    """How far a code is from an exact value, in ulps there; None if the code is no number."""
    value = codec.decode(got, spec)
    if value is None:
        return None
    return abs(value.fraction - exact) / Fraction(2) ** codec.ulp_exponent(_size(exact), spec)


def _size(exact: Fraction) -> Dyadic:
    """The power of two that begins the binade of a number; 0 of 0."""
    if not exact:
        return Dyadic(0, 0)
    up, down = abs(exact).as_integer_ratio()
    exponent = up.bit_length() - down.bit_length()
    return Dyadic(1, exponent - (abs(exact) < Fraction(2) ** exponent))


def _fraction(reference: Reference) -> Fraction | None:
    """The result, as far as it is known; None if it is infinite, NaN or far beyond all formats."""
    if isinstance(reference.exact, float):
        return Fraction(0) if reference.exact == 0 else None
    if reference.exact is not None:
        return reference.exact
    log2 = abs(reference.man).bit_length() + reference.exp
    if abs(log2) > _BEYOND:
        return None if log2 > 0 else Fraction(0)
    return reference.man * Fraction(2) ** reference.exp


def _text(reference: Reference) -> str:
    context = MPContext()
    if reference.bits:
        context.prec = reference.bits
        digits = int(reference.bits * _DIGITS_PER_BIT)
        return str(context.nstr(context.ldexp(reference.man, reference.exp), digits))
    if not isinstance(reference.exact, Fraction):
        return str(reference.exact).removesuffix(".0")
    up, down = reference.exact.as_integer_ratio()
    if not down & (down - 1):
        whole = Dyadic(up, 1 - down.bit_length()).decimal
        if len(whole) <= _LONG:
            return whole
    context.dps = _DIGITS
    return str(context.nstr(context.mpf(up) / down, _DIGITS))
