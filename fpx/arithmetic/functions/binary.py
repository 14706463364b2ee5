"""Functions of two operands: a row for each."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from functools import partial
from typing import Any

import numpy as np

from fpx.arithmetic.functions import exactly
from fpx.arithmetic.functions.function import Answer, Function, Number

_NAN = math.nan
_WRITTEN = 1 << 16  # bits of a power of two that is written out
_MOST_BITS = 1 << 12  # of an exact power: more than any boundary of any format has


def _negative(x: Number) -> bool:
    return math.copysign(1, x) < 0 if isinstance(x, float) else x < 0


def _finite(x: Number) -> bool:
    return isinstance(x, Fraction) or x == 0


def _size(x: Number) -> Number:
    return -x if _negative(x) else x


def _any_nan(x: Number, y: Number) -> bool:
    return x != x or y != y


def _add(x: Number, y: Number) -> Answer:
    if isinstance(x, Fraction) and isinstance(y, Fraction):
        return x + y or 0.0
    if isinstance(x, float) and isinstance(y, float):
        return x + y
    number, special = (x, y) if isinstance(x, Fraction) else (y, x)
    return number if special == 0 else special


def _mul(x: Number, y: Number) -> Answer:
    if isinstance(x, Fraction) and isinstance(y, Fraction):
        return x * y
    return _as_float(x) * _as_float(y)


def _div(x: Number, y: Number) -> Answer:
    if isinstance(x, Fraction) and isinstance(y, Fraction):
        return x / y
    if y == 0:
        signs = math.copysign(1.0, -1 if _negative(x) != _negative(y) else 1)
        return _NAN if x == 0 or x != x else signs * math.inf
    return _as_float(x) / _as_float(y)


def _as_float(x: Number) -> float:
    """A special operand, or any number of that sign beside one: what comes out is the same."""
    return x if isinstance(x, float) else math.copysign(1.0, -1 if x < 0 else 1)


def _no_remainder(x: Number, y: Number) -> bool:
    return _any_nan(x, y) or y == 0 or not _finite(x)


def _fmod(x: Number, y: Number) -> Answer:
    if isinstance(x, Fraction) and isinstance(y, Fraction):
        return exactly.signed(x < 0, x - y * math.trunc(x / y))
    return _NAN if _no_remainder(x, y) else x


def _remainder(x: Number, y: Number) -> Answer:
    if isinstance(x, Fraction) and isinstance(y, Fraction):
        return exactly.signed(y < 0, x - y * math.floor(x / y))
    if _no_remainder(x, y):
        return _NAN
    return x if x == 0 or _negative(x) == _negative(y) else y


def _pow(x: Number, y: Number) -> Answer:
    """As IEEE 754-2019, 9.2.1, and C's pow say of special operands."""
    if isinstance(x, Fraction) and isinstance(y, Fraction):
        return _pow_finite(x, y)
    if y == 0 or x == 1:
        return Fraction(1)
    if _any_nan(x, y):
        return _NAN
    if isinstance(y, float):  # infinite
        if _size(x) == 1:
            return Fraction(1)
        return math.inf if (_size(x) > 1) == (y > 0) else 0.0
    odd = y.denominator == 1 and y.numerator % 2
    size = math.inf if (x == 0) == (y < 0) else 0.0
    return -size if odd and _negative(x) else size


def _pow_finite(x: Fraction, y: Fraction) -> Answer:
    if x < 0 and y.denominator > 1:
        return _NAN
    root: Fraction | None = abs(x)
    for _ in range(y.denominator.bit_length() - 1):  # halves of an exponent are square roots
        root = exactly.sqrt(root) if root is not None and root != 1 else root
    if root is None:
        return None
    odd = root.numerator
    while odd % 2 == 0:
        odd //= 2
    # a result with an odd factor in its denominator, or a long one, is no boundary
    if odd > 1 and (y < 0 or odd.bit_length() * y.numerator > _MOST_BITS):
        return None
    exponent = max(root.numerator // odd, root.denominator).bit_length() - 1
    if exponent * abs(y.numerator) > _WRITTEN:
        return None
    result = Fraction(root**y.numerator)
    return -result if x < 0 and y.numerator % 2 else result


def _real_pow(c: Any, x: Any, y: Any) -> Any:
    size = c.exp(y * c.log(abs(x)))
    return -size if x < 0 and int(y) % 2 else size


def _atan2(y: Number, x: Number) -> Answer:
    if _any_nan(x, y):
        return _NAN
    if not _negative(x) and ((y == 0) or (_finite(y) and not _finite(x))):
        return -0.0 if _negative(y) else 0.0
    return None


def _real_atan2(c: Any, y: Any, x: Any) -> Any:
    if not isinstance(x, float) and not isinstance(y, float):
        return c.atan2(y, x)
    below = math.copysign(1, y) < 0 if isinstance(y, float) else y < 0
    left = math.copysign(1, x) < 0 if isinstance(x, float) else x < 0
    if abs(y) == math.inf and abs(x) == math.inf:
        angle = c.pi * (3 if left else 1) / 4
    elif abs(y) == math.inf or (x == 0 and y != 0):
        angle = c.pi / 2
    else:  # on the left half of the axis
        angle = +c.pi
    return -angle if below else angle


def _hypot(x: Number, y: Number) -> Answer:
    if isinstance(x, Fraction) and isinstance(y, Fraction):
        return exactly.sqrt(x * x + y * y)
    if math.inf in (_size(x), _size(y)):
        return math.inf  # beside a NaN too
    return _NAN if _any_nan(x, y) else _size(x) if x else _size(y)


def _ordered(pick: Callable[[Number, Number], Number], nan_wins: bool) -> Callable[..., Answer]:
    def exact(x: Number, y: Number) -> Answer:
        if _any_nan(x, y):
            return _NAN if nan_wins or (x != x and y != y) else y if x != x else x
        return pick(x, y)

    return exact


_two = partial(Function, arity=2)
_known = partial(_two, real=exactly.never)

BINARY: tuple[Function, ...] = (
    _known("add", "x + y", _add, estimate=np.add, torch="add", numpy="add"),
    _known("sub", "x - y", lambda x, y: _add(x, -y), estimate=np.subtract, torch="sub",
           numpy="subtract"),
    _known("mul", "x y", _mul, estimate=np.multiply, torch="mul", numpy="multiply"),
    _known("div", "x / y", _div, estimate=np.divide, torch="div", numpy="divide"),
    _two("pow", "x^y", _pow, _real_pow, estimate=np.power, torch="pow", numpy="power"),
    _known("fmod", "x - y trunc(x / y)", _fmod, torch="fmod", numpy="fmod"),
    _known("remainder", "x - y floor(x / y)", _remainder, any_zero=True, torch="remainder",
           numpy="remainder"),
    _two("atan2", "angle of the point (y, x)", _atan2, _real_atan2, estimate=np.arctan2,
         torch="atan2", numpy="arctan2"),
    _two("hypot", "sqrt(x^2 + y^2)", _hypot, lambda c, x, y: c.sqrt(x * x + y * y),
         estimate=np.hypot, torch="hypot", numpy="hypot"),
    _known("maximum", "the larger; a NaN if either is", _ordered(max, True), any_zero=True,
           torch="maximum", numpy="maximum"),
    _known("minimum", "the smaller; a NaN if either is", _ordered(min, True), any_zero=True,
           torch="minimum", numpy="minimum"),
    _known("fmax", "the larger; the other of a NaN", _ordered(max, False), any_zero=True,
           torch="fmax", numpy="fmax"),
    _known("fmin", "the smaller; the other of a NaN", _ordered(min, False), any_zero=True,
           torch="fmin", numpy="fmin"),
)  # fmt: skip
"""Of two operands x and y, in torch's order."""
