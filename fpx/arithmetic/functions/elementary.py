"""Powers, logarithms, the trigonometric functions and their kin: a row for each.

That their exact cases are all there are is a theorem: e^x, sin x and the like, and their inverses,
are transcendental of every algebraic number but 0, or 1 (Lindemann); 2^x, log2 x and log10 x are
rational at integers and powers alone (Gelfond and Schneider). Of erf, lgamma, digamma and I0 it is
believed; a counterexample would be an ArithmeticError.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np

from fpx.arithmetic.functions import estimates, exactly
from fpx.arithmetic.functions.function import Function, unary

_INF, _NAN = math.inf, math.nan
_ONE, _MINUS = Fraction(1), Fraction(-1)


def _positive(x: Any) -> Any:
    return x > 0


def _inside(x: Any) -> Any:
    return abs(x) <= 1


def _no_pole(x: Any) -> Any:
    """Towards a pole of digamma its values have no limit: -infinity and +infinity."""
    return (x > 0) | (x % 1 != 0)


def _lgamma(c: Any, x: Any) -> Any:
    return c.re(c.loggamma(x))


def _logit(c: Any, x: Any) -> Any:
    if abs(2 * x - 1) < 0.5:
        return c.log1p((2 * x - 1) / (1 - x))
    return c.log(x) - c.log1p(-x)


# name, definition, values at -inf, -0, +0 and +inf, in mpmath, in float64
ELEMENTARY: tuple[Function, ...] = (
    unary("exp", "e^x", (0.0, _ONE, _ONE, _INF), lambda c, x: c.exp(x), estimates.exp,
          numpy="exp"),
    unary("exp2", "2^x", (0.0, _ONE, _ONE, _INF), lambda c, x: c.power(2, x), estimates.exp2,
          at=exactly.exp2, numpy="exp2"),
    unary("expm1", "e^x - 1", (_MINUS, -0.0, 0.0, _INF), lambda c, x: c.expm1(x), np.expm1,
          numpy="expm1"),
    unary("log", "natural logarithm", (_NAN, -_INF, -_INF, _INF), lambda c, x: c.log(x), np.log,
          at=exactly.points({1: 0.0}), domain=_positive, numpy="log"),
    unary("log2", "logarithm to base 2", (_NAN, -_INF, -_INF, _INF),
          lambda c, x: c.log(x) / c.ln2, np.log2, at=exactly.log2, domain=_positive, numpy="log2"),
    unary("log10", "logarithm to base 10", (_NAN, -_INF, -_INF, _INF),
          lambda c, x: c.log(x) / c.ln10, np.log10, at=exactly.log10, domain=_positive,
          numpy="log10"),
    unary("log1p", "log(1 + x)", (_NAN, -0.0, 0.0, _INF), lambda c, x: c.log1p(x), np.log1p,
          at=exactly.points({-1: -_INF}), domain=lambda x: x >= -1, numpy="log1p"),
    unary("sqrt", "square root", (_NAN, -0.0, 0.0, _INF), lambda c, x: c.sqrt(x), np.sqrt,
          at=exactly.sqrt, domain=_positive, numpy="sqrt"),
    unary("rsqrt", "1 / sqrt(x)", (_NAN, -_INF, _INF, 0.0), lambda c, x: 1 / c.sqrt(x),
          lambda x: 1 / np.sqrt(x), at=exactly.rsqrt, domain=_positive),
    unary("reciprocal", "1 / x", (-0.0, -_INF, _INF, 0.0), exactly.never, lambda x: 1 / x,
          at=lambda x: 1 / x, numpy="reciprocal"),
    unary("square", "x^2", (_INF, 0.0, 0.0, _INF), exactly.never, lambda x: x * x,
          at=lambda x: x * x, numpy="square"),
    unary("sin", "sine", (_NAN, -0.0, 0.0, _NAN), lambda c, x: c.sin(x), np.sin, numpy="sin"),
    unary("cos", "cosine", (_NAN, _ONE, _ONE, _NAN), lambda c, x: c.cos(x), np.cos, numpy="cos"),
    unary("tan", "tangent", (_NAN, -0.0, 0.0, _NAN), lambda c, x: c.tan(x), np.tan, numpy="tan"),
    unary("asin", "inverse of sin, from -pi/2 to pi/2", (_NAN, -0.0, 0.0, _NAN),
          lambda c, x: c.asin(x), np.arcsin, domain=_inside, numpy="arcsin"),
    unary("acos", "inverse of cos, from 0 to pi", (_NAN, None, None, _NAN),
          lambda c, x: c.acos(x), np.arccos, at=exactly.points({1: 0.0}), domain=_inside,
          numpy="arccos"),
    unary("atan", "inverse of tan, from -pi/2 to pi/2", (None, -0.0, 0.0, None),
          lambda c, x: c.atan(x), np.arctan, numpy="arctan"),
    unary("sinh", "(e^x - e^-x) / 2", (-_INF, -0.0, 0.0, _INF), lambda c, x: c.sinh(x), np.sinh,
          numpy="sinh"),
    unary("cosh", "(e^x + e^-x) / 2", (_INF, _ONE, _ONE, _INF), lambda c, x: c.cosh(x), np.cosh,
          numpy="cosh"),
    unary("tanh", "(e^x - e^-x) / (e^x + e^-x)", (_MINUS, -0.0, 0.0, _ONE),
          lambda c, x: c.tanh(x), np.tanh, numpy="tanh"),
    unary("asinh", "inverse of sinh", (-_INF, -0.0, 0.0, _INF), lambda c, x: c.asinh(x),
          np.arcsinh, numpy="arcsinh"),
    unary("acosh", "inverse of cosh, from 0 up", (_NAN, _NAN, _NAN, _INF),
          lambda c, x: c.acosh(x), np.arccosh, at=exactly.points({1: 0.0}),
          domain=lambda x: x >= 1, numpy="arccosh"),
    unary("atanh", "inverse of tanh", (_NAN, -0.0, 0.0, _NAN), lambda c, x: c.atanh(x),
          np.arctanh, at=exactly.points({1: _INF, -1: -_INF}), domain=_inside, numpy="arctanh"),
    unary("sinc", "sin(pi x) / (pi x)", (0.0, _ONE, _ONE, 0.0),
          lambda c, x: c.sinpi(x) / (c.pi * x), estimates.sinc, at=exactly.sinc, any_zero=True,
          numpy="sinc"),
    unary("deg2rad", "x pi / 180", (-_INF, -0.0, 0.0, _INF), lambda c, x: x * c.pi / 180,
          lambda x: x * (math.pi / 180), numpy="deg2rad"),
    unary("rad2deg", "180 x / pi", (-_INF, -0.0, 0.0, _INF), lambda c, x: 180 * x / c.pi,
          lambda x: x * (180 / math.pi), numpy="rad2deg"),
    unary("erf", "2 / sqrt(pi) times the integral of e^-t^2 from 0 to x",
          (_MINUS, -0.0, 0.0, _ONE), lambda c, x: c.erf(x), estimates.erf),
    unary("erfc", "1 - erf(x)", (Fraction(2), _ONE, _ONE, 0.0), lambda c, x: c.erfc(x),
          estimates.erfc_above_zero),
    unary("erfinv", "inverse of erf", (_NAN, -0.0, 0.0, _NAN), lambda c, x: c.erfinv(x),
          estimates.erfinv, at=exactly.points({1: _INF, -1: -_INF}), domain=_inside),
    unary("lgamma", "log |gamma(x)|", (_INF, _INF, _INF, _INF), _lgamma, estimates.lgamma,
          at=exactly.lgamma, absolute=True),
    unary("digamma", "gamma'(x) / gamma(x)", (_NAN, _INF, -_INF, _INF),
          lambda c, x: c.digamma(x), estimates.digamma, domain=_no_pole, absolute=True),
    unary("i0", "modified Bessel function of the first kind, of order 0",
          (_INF, _ONE, _ONE, _INF), lambda c, x: c.besseli(0, x), estimates.i0, numpy="i0"),
    unary("logit", "log(x / (1 - x))", (_NAN, -_INF, -_INF, _NAN),
          _logit, estimates.logit,
          at=lambda x: {_ONE: _INF, Fraction(1, 2): 0.0}.get(x),
          domain=lambda x: (x > 0) & (x <= 1)),
    unary("floor", "the next integer at or below x", (-_INF, -0.0, 0.0, _INF), exactly.never,
          np.floor, at=exactly.rational(lambda x: Fraction(math.floor(x))), zeros=True,
          numpy="floor"),
    unary("ceil", "the next integer at or above x", (-_INF, -0.0, 0.0, _INF), exactly.never,
          np.ceil, at=exactly.rational(lambda x: Fraction(math.ceil(x))), zeros=True,
          numpy="ceil"),
    unary("trunc", "the next integer towards 0", (-_INF, -0.0, 0.0, _INF), exactly.never,
          np.trunc, at=exactly.rational(lambda x: Fraction(math.trunc(x))), zeros=True,
          numpy="trunc"),
    unary("round", "the nearest integer, ties to even", (-_INF, -0.0, 0.0, _INF), exactly.never,
          np.rint, at=exactly.rational(lambda x: Fraction(round(x))), zeros=True, numpy="rint"),
)  # fmt: skip
"""Of torch's own names."""
