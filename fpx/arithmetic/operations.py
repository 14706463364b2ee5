"""The operations of IEEE 754-2019 on exact numbers, infinities and NaNs, before any rounding."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from functools import reduce
from typing import NamedTuple

from fpx.arithmetic.surds import Real, Tower, negated, over, plus, sign, times
from fpx.core.policy import Rounding


class Value(NamedTuple):
    """What an operation works on: an exact number, an infinity or a NaN.

    Attributes:
        number: None for infinities and NaNs.
        negative: the sign, of zeros and infinities too.
        nan, signaling: whether it is a NaN, and which.
    """

    number: Real | None
    negative: bool = False
    nan: bool = False
    signaling: bool = False

    @property
    def infinite(self) -> bool:
        """Whether it is an infinity."""
        return self.number is None and not self.nan


class Result(NamedTuple):
    """What an operation gives, and the exceptions that do not come from rounding (clause 7)."""

    value: Value
    invalid: bool = False
    divide_by_zero: bool = False


class Context(NamedTuple):
    """What operations depend on beside their operands.

    Attributes:
        rounding: gives an exact zero sum its sign (6.3).
        tower: the square roots of the computation.
    """

    rounding: Rounding
    tower: Tower


_ZERO = Fraction(0)

NAN = Value(None, nan=True)

_INVALID = Result(NAN, invalid=True)


def _any_nan(*operands: Value) -> Result | None:
    """NaN, if an operand is one; a signaling one is an invalid operation (6.2)."""
    if any(item.nan for item in operands):
        return Result(NAN, invalid=any(item.signaling for item in operands))
    return None


def _negate(a: Value) -> Value:
    number = None if a.number is None else negated(a.number)
    return a._replace(number=number, negative=not a.negative)


def _absolute(a: Value) -> Value:
    return _negate(a) if a.negative else a


def _add(context: Context, a: Value, b: Value) -> Result:
    nan = _any_nan(a, b)
    if nan is not None:
        return nan
    if a.number is None or b.number is None:
        if a.number is None and b.number is None and a.negative != b.negative:
            return _INVALID
        return Result(a if a.number is None else b)
    total = plus(a.number, b.number)
    if total == 0:
        downward = context.rounding is Rounding.TOWARD_NEGATIVE
        return Result(Value(total, a.negative if a.negative == b.negative else downward))
    return Result(Value(total, sign(total) < 0))


def _subtract(context: Context, a: Value, b: Value) -> Result:
    return _add(context, a, _negate(b))


def _multiply(context: Context, a: Value, b: Value) -> Result:
    nan = _any_nan(a, b)
    if nan is not None:
        return nan
    negative = a.negative != b.negative
    if a.number is None or b.number is None:
        return _INVALID if 0 in (a.number, b.number) else Result(Value(None, negative))
    return Result(Value(times(a.number, b.number), negative))


def _divide(context: Context, a: Value, b: Value) -> Result:
    nan = _any_nan(a, b)
    if nan is not None:
        return nan
    negative = a.negative != b.negative
    if b.number is None:
        return _INVALID if a.number is None else Result(Value(_ZERO, negative))
    if a.number is None:
        return Result(Value(None, negative))
    if b.number == 0:
        return _INVALID if a.number == 0 else Result(Value(None, negative), divide_by_zero=True)
    return Result(Value(over(a.number, b.number), negative))


def _sqrt(context: Context, a: Value) -> Result:
    nan = _any_nan(a)
    if nan is not None:
        return nan
    if a.number == 0:
        return Result(a)  # -0 too
    if a.negative:
        return _INVALID
    return Result(a if a.number is None else Value(context.tower.sqrt(a.number)))


def _fma(context: Context, a: Value, b: Value, c: Value) -> Result:
    nan = _any_nan(a, b, c)
    if nan is not None:
        return nan
    product = _multiply(context, a, b)
    return product if product.invalid else _add(context, product.value, c)


def _above(a: Value, b: Value) -> bool:
    """Whether a > b in the order of `minimum` and `maximum` (9.6), where -0 < +0."""
    if a.negative != b.negative:
        return b.negative
    if a.number is None or b.number is None:
        if a.number is None and b.number is None:
            return False
        return (a.number is None) != a.negative
    return sign(plus(a.number, negated(b.number))) > 0


def _minimum(context: Context, *operands: Value) -> Result:
    return _any_nan(*operands) or Result(reduce(lambda a, b: b if _above(a, b) else a, operands))


def _maximum(context: Context, *operands: Value) -> Result:
    return _any_nan(*operands) or Result(reduce(lambda a, b: b if _above(b, a) else a, operands))


def _sum(context: Context, *terms: Value) -> Result:
    """All terms added, exactly."""
    found = Result(terms[0], invalid=terms[0].signaling)
    for term in terms[1:]:
        following = _add(context, found.value, term)
        found = following._replace(invalid=following.invalid or found.invalid)
    return found


def _dot(context: Context, *factors: Value) -> Result:
    """The products of the first half's with the second half's, added exactly."""
    half = len(factors) // 2
    products = [
        _multiply(context, a, b) for a, b in zip(factors[:half], factors[half:], strict=True)
    ]
    total = _sum(context, *(product.value for product in products))
    return total._replace(invalid=total.invalid or any(item.invalid for item in products))


OPERATIONS: Mapping[str, Callable[..., Result]] = {
    "+": _add,
    "-": _subtract,
    "*": _multiply,
    "/": _divide,
    "negate": lambda context, a: Result(_negate(a)),
    "abs": lambda context, a: Result(_absolute(a)),
    "sqrt": _sqrt,
    "fma": _fma,
    "min": _minimum,
    "max": _maximum,
    "sum": _sum,
    "dot": _dot,
}
"""Every operation by its name: a function of a `Context` and the operands."""
