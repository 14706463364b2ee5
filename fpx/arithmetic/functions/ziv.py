"""One result, correctly rounded: more digits until they tell.

A. Ziv, "Fast evaluation of elementary mathematical functions with correctly rounded last bit", ACM
TOMS 17 (1991): a result is computed with an error bound, and again with more digits for as long as
numbers inside the bound round differently. That ends unless the result lies exactly where rounding
changes, and `Function.exact` knows those that do.
"""

from __future__ import annotations

import math
import threading
from fractions import Fraction
from typing import Any, NamedTuple

from mpmath import MPContext

from fpx.arithmetic.functions.function import Function, Number
from fpx.core import codec
from fpx.core.spec import FormatSpec

GUARD = 64
"""Bits that a definition may lose to its own roundings and cancellation."""

_FIRST, _LAST = 64, 1 << 14  # bits that a result is known to


class Reference(NamedTuple):
    """A correctly rounded result.

    Attributes:
        code: in the format; None for a NaN where it has none.
        exact: the result, if it is known exactly: as an operand is written.
        man, exp: else man * 2^exp, which is within 2^-bits of it, relatively.
        bits: see there; 0 if `exact` is known.
    """

    code: int | None
    exact: Number | None
    man: int = 0
    exp: int = 0
    bits: int = 0


def number(code: int, spec: FormatSpec) -> Number:
    """A code as an operand."""
    value = codec.decode(code, spec)
    if value is not None and value.significand:
        return value.fraction
    if codec.is_nan(code, spec):
        return math.nan
    return math.copysign(0.0 if value is not None else math.inf, -1 if code & spec.sign_mask else 1)


def refer(function: Function, operands: tuple[Number, ...], spec: FormatSpec) -> Reference:
    """The result of operands, rounded once to nearest, ties to even; overflow as IEEE 754 says.

    Raises:
        ArithmeticError: thousands of digits did not tell, so `exact` lacks a case.
    """
    known = function.exact(*operands)
    if known is not None:
        return Reference(_code(known, spec), known)
    bits = _FIRST
    while bits <= _LAST:
        man, exp = approximate(function, operands, bits)
        low, high = (_scaled((man << bits) + sign * abs(man), exp - bits, spec) for sign in (-1, 1))
        if man and low == high:
            return Reference(low, None, man, exp, bits)
        bits *= 2
    raise ArithmeticError(f"{function.name} of {operands} is too close to a rounding boundary")


def approximate(function: Function, operands: tuple[Number, ...], bits: int) -> tuple[int, int]:
    """(man, exp) with |man * 2^exp - result| <= 2^-bits |result|."""
    context = _contexts.mpmath
    context.prec = bits + GUARD
    result = function.real(context, *(_real(context, operand) for operand in operands))
    man, exp = result.man_exp
    return (-abs(int(man)) if result < 0 else abs(int(man))), int(exp)


class _Contexts(threading.local):
    """A context for each thread, since a precision is set there; it takes a millisecond to make."""

    def __init__(self) -> None:
        self.mpmath = MPContext()


_contexts = _Contexts()


def _real(context: MPContext, operand: Number) -> Any:
    if isinstance(operand, float):
        return operand  # mpmath has no -0
    # dyadic: both parts are exact
    return context.ldexp(context.mpf(operand.numerator), 1 - operand.denominator.bit_length())


def _code(known: Number, spec: FormatSpec) -> int | None:
    if isinstance(known, Fraction):
        return codec.round_exact(*known.as_integer_ratio(), spec).code
    negative = math.copysign(1, known) < 0
    if math.isnan(known):
        return spec.nan_code
    if math.isinf(known):
        return codec.round_infinity(spec, negative=negative).code
    return codec.round_exact(0, 1, spec, negative=negative).code


def _scaled(man: int, exp: int, spec: FormatSpec) -> int:
    """The code of man * 2^exp, whatever the size of exp."""
    log2 = abs(man).bit_length() + exp
    low, high = spec.quantum_exponent - 2, spec.emax + 2
    if not low <= log2 <= high:  # overflows or vanishes anyhow
        man, exp = (1 if man > 0 else -1), low if log2 < low else high
    over, under = (man << exp, 1) if exp >= 0 else (man, 1 << -exp)
    return codec.round_exact(over, under, spec).code
