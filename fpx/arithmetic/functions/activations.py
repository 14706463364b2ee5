"""Functions of torch.nn.functional: a row for each, with the parameters that it has by default."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from functools import partial
from typing import Any

import numpy as np

from fpx.arithmetic.functions import estimates, exactly
from fpx.arithmetic.functions.exactly import clamped
from fpx.arithmetic.functions.function import Answer, Function, unary

_INF = math.inf
_F = "nn.functional."

# of selu, as torch's documentation gives them
_ALPHA = Fraction("1.6732632423543772848170429916717")
_SCALE = Fraction("1.0507009873554804934193349852946")
_SCALED = _SCALE * _ALPHA
_CUBE = Fraction(44715, 1_000_000)  # of gelu's approximation


def _positive(slope: Fraction) -> Callable[[Fraction], Answer]:
    """slope x above 0; below, it is approximated."""
    return lambda x: slope * x if x > 0 else None


def _of(c: Any, constant: Fraction) -> Any:
    return c.mpf(constant.numerator) / constant.denominator


def _softplus(c: Any, x: Any) -> Any:
    return x + c.log1p(c.exp(-x)) if x > 0 else c.log1p(c.exp(x))


def _ndtr(c: Any, x: Any) -> Any:
    return c.erfc(-x / c.sqrt(2)) / 2


def _gelu_tanh(c: Any, x: Any) -> Any:
    u = c.sqrt(2 / c.pi) * (x + _of(c, _CUBE) * x**3)
    return x / (1 + c.exp(-2 * u))


def _mish(c: Any, x: Any) -> Any:
    e = c.exp(x)
    n = e * (e + 2)
    return x * n / (n + 2)


def _tanhshrink(c: Any, x: Any) -> Any:
    with c.extraprec(2 * max(0, -int(c.mag(x))) + 8):  # near 0 what is left is x^3 / 3
        return x - c.tanh(x)


def _estimated_selu(x: Any) -> Any:
    return np.where(x > 0, float(_SCALE) * x, float(_SCALED) * np.expm1(np.minimum(x, 0)))


def _estimated_elu(x: Any) -> Any:
    return np.where(x > 0, x, np.expm1(np.minimum(x, 0)))


def _unsigned(compute: Callable[[Fraction], Fraction]) -> Callable[[Fraction], Answer]:
    return lambda x: exactly.signed(False, compute(x))


def _large_tanhshrink(x: Fraction) -> Answer:
    """x - tanh x of a large x is above x - 1 by less than any digits tell: a number like it.

    Where rounding changes are multiples of 2^-48 at 64 and beyond, in formats up to float64; so all
    between x - 1 and 2^-64 more round alike.
    """
    one = 1 - Fraction(1, 1 << 64)
    return None if abs(x) < 64 else x - one if x > 0 else x + one


def _shrunk(x: Fraction) -> Fraction:
    return x if abs(x) > Fraction(1, 2) else Fraction(0)


def _softly_shrunk(x: Fraction) -> Fraction:
    return x - clamped(x, Fraction(-1, 2), Fraction(1, 2))


_rational = partial(unary, real=exactly.never, zeros=True)

ACTIVATIONS: tuple[Function, ...] = (
    unary("sigmoid", "1 / (1 + e^-x)", (0.0, Fraction(1, 2), Fraction(1, 2), Fraction(1)),
          lambda c, x: 1 / (1 + c.exp(-x)), estimates.sigmoid),
    unary("logsigmoid", "-log(1 + e^-x)", (-_INF, None, None, -0.0),
          lambda c, x: -_softplus(c, -x), lambda x: -estimates.softplus(-x),
          torch=f"{_F}logsigmoid"),
    unary("softplus", "log(1 + e^x)", (0.0, None, None, _INF), lambda c, x: _softplus(c, x),
          estimates.softplus, torch=f"{_F}softplus"),
    unary("gelu", "x (1 + erf(x / sqrt(2))) / 2", (-0.0, -0.0, 0.0, _INF),
          lambda c, x: x * _ndtr(c, x), estimates.gelu, torch=f"{_F}gelu"),
    unary("gelu_tanh", "x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2",
          (-0.0, -0.0, 0.0, _INF), _gelu_tanh, estimates.gelu_tanh, torch=f"{_F}gelu",
          keywords=(("approximate", "tanh"),)),
    unary("silu", "x / (1 + e^-x)", (-0.0, -0.0, 0.0, _INF), lambda c, x: x / (1 + c.exp(-x)),
          estimates.silu, torch=f"{_F}silu"),
    unary("mish", "x tanh(log(1 + e^x))", (-0.0, -0.0, 0.0, _INF), _mish, estimates.mish,
          torch=f"{_F}mish"),
    unary("elu", "x above 0, else e^x - 1", (Fraction(-1), -0.0, 0.0, _INF),
          lambda c, x: c.expm1(x), _estimated_elu, at=_positive(Fraction(1)), torch=f"{_F}elu"),
    unary("celu", "x above 0, else e^x - 1", (Fraction(-1), -0.0, 0.0, _INF),
          lambda c, x: c.expm1(x), _estimated_elu, at=_positive(Fraction(1)), torch=f"{_F}celu"),
    unary("selu", "s x above 0, else s a (e^x - 1), with torch's constants s and a",
          (-_SCALED, -0.0, 0.0, _INF), lambda c, x: _of(c, _SCALED) * c.expm1(x),
          _estimated_selu, at=_positive(_SCALE), torch=f"{_F}selu"),
    unary("tanhshrink", "x - tanh(x)", (-_INF, -0.0, 0.0, _INF), _tanhshrink,
          estimates.tanhshrink, at=_large_tanhshrink, torch=f"{_F}tanhshrink"),
    _rational("relu", "x above 0, else 0", (0.0, 0.0, 0.0, _INF),
              at=_unsigned(lambda x: max(x, Fraction(0))), estimate=lambda x: np.maximum(x, 0),
              any_zero=True, torch=f"{_F}relu"),
    _rational("relu6", "x from 0 to 6, else the nearer of these", (0.0, 0.0, 0.0, Fraction(6)),
              at=_unsigned(lambda x: clamped(x, 0, 6)), estimate=lambda x: np.clip(x, 0, 6),
              any_zero=True, torch=f"{_F}relu6"),
    _rational("leaky_relu", "x above 0, else x / 100", (-_INF, -0.0, 0.0, _INF),
              at=exactly.rational(lambda x: x if x > 0 else x / 100),
              estimate=lambda x: np.where(x > 0, x, x / 100), torch=f"{_F}leaky_relu"),
    _rational("hardtanh", "x from -1 to 1, else the nearer of these",
              (Fraction(-1), -0.0, 0.0, Fraction(1)),
              at=exactly.rational(lambda x: clamped(x, -1, 1)),
              estimate=lambda x: np.clip(x, -1, 1), torch=f"{_F}hardtanh"),
    _rational("hardsigmoid", "x + 3 from 0 to 6, divided by 6",
              (0.0, Fraction(1, 2), Fraction(1, 2), Fraction(1)),
              at=_unsigned(lambda x: clamped(x + 3, 0, 6) / 6),
              estimate=lambda x: np.clip(x + 3, 0, 6) / 6, torch=f"{_F}hardsigmoid"),
    _rational("hardswish", "x hardsigmoid(x)", (0.0, -0.0, 0.0, _INF),
              at=exactly.rational(lambda x: x * clamped(x + 3, 0, 6) / 6),
              estimate=lambda x: x * np.clip(x + 3, 0, 6) / 6, any_zero=True,
              torch=f"{_F}hardswish"),
    _rational("softsign", "x / (1 + |x|)", (Fraction(-1), -0.0, 0.0, Fraction(1)),
              at=exactly.rational(lambda x: x / (1 + abs(x))),
              estimate=lambda x: x / (1 + np.abs(x)), torch=f"{_F}softsign"),
    _rational("hardshrink", "x beyond 1/2 on either side, else 0", (-_INF, 0.0, 0.0, _INF),
              at=_unsigned(_shrunk), estimate=lambda x: np.where(np.abs(x) > 0.5, x, 0.0),
              any_zero=True, torch=f"{_F}hardshrink"),
    _rational("softshrink", "x less 1/2 towards 0, else 0", (-_INF, 0.0, 0.0, _INF),
              at=_unsigned(_softly_shrunk), estimate=lambda x: x - np.clip(x, -0.5, 0.5),
              any_zero=True, torch=f"{_F}softshrink"),
)  # fmt: skip
"""Of torch.nn.functional, and sigmoid."""
