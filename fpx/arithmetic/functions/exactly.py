"""Results that are numbers of a few bits: where the rows of the catalogue know them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

from fpx.arithmetic.functions.function import Answer
from fpx.core.dyadic import power_of_ten

_WRITTEN = 1 << 16  # bits of a power of two that is written out


def signed(negative: bool, y: Fraction) -> Answer:
    """y, or a zero with that sign."""
    return y or (-0.0 if negative else 0.0)


def points(known: Mapping[int, Answer]) -> Callable[[Fraction], Answer]:
    """The results of a few operands."""
    return lambda x: known.get(x)  # type: ignore[call-overload]


def rational(compute: Callable[[Fraction], Fraction]) -> Callable[[Fraction], Answer]:
    """The results of arithmetic; a zero has the sign of the operand."""
    return lambda x: signed(x < 0, compute(x))


def never(context: Any, *operands: Any) -> Any:
    """In place of an approximation, where all results are known exactly."""
    raise ArithmeticError("what is rational is not approximated")


def exp2(x: Fraction) -> Answer:
    """2^x, of integers."""
    if x.denominator > 1 or abs(x) > _WRITTEN:
        return None
    return Fraction(2) ** x.numerator


def log2(x: Fraction) -> Answer:
    """log2 x, of powers of two."""
    up, down = x.as_integer_ratio()
    if up & (up - 1) or down & (down - 1):
        return None
    return signed(False, Fraction(up.bit_length() - down.bit_length()))


def log10(x: Fraction) -> Answer:
    """log10 x, of powers of ten; those below 1 are not dyadic."""
    if x.denominator > 1:
        return None
    n = round(math.log10(x.numerator))
    return signed(False, Fraction(n)) if power_of_ten(n) == x else None


def sqrt(x: Fraction) -> Fraction | None:
    """The square root of x > 0, where it is rational."""
    up, down = math.isqrt(x.numerator), math.isqrt(x.denominator)
    return Fraction(up, down) if (up * up, down * down) == x.as_integer_ratio() else None


def rsqrt(x: Fraction) -> Answer:
    """1 / sqrt(x), where it is rational."""
    root = sqrt(x)
    return None if root is None else 1 / root


def sinc(x: Fraction) -> Answer:
    """sin(pi x) / (pi x), of integers other than 0."""
    return 0.0 if x.denominator == 1 else None


def lgamma(x: Fraction) -> Answer:
    """log |gamma(x)|, of poles and where gamma is 1."""
    if x.denominator == 1 and x <= 0:
        return math.inf
    return 0.0 if x in (1, 2) else None


def clamped(x: Fraction, low: Fraction | int, high: Fraction | int) -> Fraction:
    """x, or the bound that it is beyond."""
    return Fraction(min(max(x, low), high))
