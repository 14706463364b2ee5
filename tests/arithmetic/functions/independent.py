"""The functions once more, by other formulas and at one precision that is far too high."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

from mpmath import MPContext

from fpx.core.spec import FormatSpec
from tests import oracle

c = MPContext()
c.prec = 500


def _erfc(x: Any) -> Any:
    tail = c.gammainc(c.mpf(1) / 2, x * x) / c.sqrt(c.pi)
    return tail if x > 0 else 2 - tail


def _sigmoid(x: Any) -> Any:
    return c.exp(x) / (1 + c.exp(x))


def _asin(x: Any) -> Any:
    return c.sign(x) * c.pi / 2 if abs(x) == 1 else c.atan(x / c.sqrt(1 - x * x))


def _tanh(x: Any) -> Any:
    return (c.exp(2 * x) - 1) / (c.exp(2 * x) + 1)


def _erfinv(x: Any) -> Any:
    if abs(x) >= 1:
        raise ValueError(x)
    y = c.mpf(0)
    for _ in range(3000):  # from 0 Newton's steps stay on the side where they converge
        step = (c.erf(y) - x) * c.sqrt(c.pi) / 2 * c.exp(y * y)
        y -= step
        if abs(step) < c.mpf(2) ** -450:
            return y
    raise AssertionError(x)


_SELU = c.mpf("1.0507009873554804934193349852946"), c.mpf("1.6732632423543772848170429916717")

FORMULAS: Mapping[str, Callable[..., Any]] = {
    "exp": lambda x: c.e**x,
    "exp2": lambda x: c.exp(x * c.log(2)),
    "expm1": lambda x: c.exp(x) - 1,
    "log": lambda x: 2 * c.atanh((x - 1) / (x + 1)),
    "log2": lambda x: c.log(x, 2),
    "log10": lambda x: c.log(x, 10),
    "log1p": lambda x: c.log(1 + x),
    "sqrt": lambda x: c.exp(c.log(x) / 2),
    "rsqrt": lambda x: c.exp(-c.log(x) / 2),
    "reciprocal": lambda x: 1 / x,
    "square": lambda x: x**2,
    "sin": lambda x: c.im(c.expj(x)),
    "cos": lambda x: c.re(c.expj(x)),
    "tan": lambda x: c.im(c.expj(x)) / c.re(c.expj(x)),
    "asin": _asin,
    "acos": lambda x: c.pi / 2 - _asin(x),
    "atan": lambda x: c.arg(c.mpc(1, x)),
    "sinh": lambda x: (c.exp(x) - c.exp(-x)) / 2,
    "cosh": lambda x: (c.exp(x) + c.exp(-x)) / 2,
    "tanh": _tanh,
    "asinh": lambda x: c.sign(x) * c.log(abs(x) + c.sqrt(x * x + 1)),
    "acosh": lambda x: c.log(x + c.sqrt(x * x - 1)),
    "atanh": lambda x: c.log((1 + x) / (1 - x)) / 2,
    "sinc": lambda x: c.sin(c.pi * x) / (c.pi * x),
    "deg2rad": lambda x: x * c.pi / 180,
    "rad2deg": lambda x: x * 180 / c.pi,
    "erf": lambda x: 1 - _erfc(x),
    "erfc": _erfc,
    "erfinv": _erfinv,
    "lgamma": lambda x: c.log(abs(c.gamma(x))),
    "digamma": lambda x: c.harmonic(x - 1) - c.euler,
    "i0": lambda x: c.hyp0f1(1, x * x / 4),
    "logit": lambda x: c.log(x) - c.log(1 - x),
    "sigmoid": _sigmoid,
    "logsigmoid": lambda x: c.log(_sigmoid(x)),
    "softplus": lambda x: c.log(1 + c.exp(x)),
    "gelu": lambda x: x * (1 + c.erf(x / c.sqrt(2))) / 2,
    "gelu_tanh": lambda x: x * (1 + _tanh(c.sqrt(2 / c.pi) * (x + c.mpf("0.044715") * x**3))) / 2,
    "silu": lambda x: x * _sigmoid(x),
    "mish": lambda x: x * _tanh(c.log(1 + c.exp(x))),
    "elu": lambda x: x if x > 0 else c.exp(x) - 1,
    "celu": lambda x: max(x, 0) + min(0, c.exp(x) - 1),
    "selu": lambda x: _SELU[0] * (x if x > 0 else _SELU[1] * (c.exp(x) - 1)),
    "tanhshrink": lambda x: x - _tanh(x),
    "floor": lambda x: c.floor(x),
    "ceil": lambda x: c.ceil(x),
    "trunc": lambda x: c.sign(x) * c.floor(abs(x)),
    "round": lambda x: c.nint(x),
    "relu": lambda x: (x + abs(x)) / 2,
    "relu6": lambda x: sorted([0, x, 6])[1],
    "leaky_relu": lambda x: x if x > 0 else x / 100,
    "hardtanh": lambda x: sorted([-1, x, 1])[1],
    "hardsigmoid": lambda x: sorted([0, x / 6 + c.mpf(1) / 2, 1])[1],
    "hardswish": lambda x: x * sorted([0, x / 6 + c.mpf(1) / 2, 1])[1],
    "softsign": lambda x: 1 / (1 / abs(x) + 1) * c.sign(x),
    "hardshrink": lambda x: x if x > 0.5 or x < -0.5 else 0,
    "softshrink": lambda x: max(x - 0.5, 0) + min(x + 0.5, 0),
    "add": lambda x, y: x + y,
    "sub": lambda x, y: x - y,
    "mul": lambda x, y: x * y,
    "div": lambda x, y: x / y,
    "pow": lambda x, y: x**y,
    "fmod": lambda x, y: c.sign(x) * (abs(x) - abs(y) * c.floor(abs(x / y))),
    "remainder": lambda x, y: x - y * c.floor(x / y),
    "atan2": lambda y, x: c.arg(c.mpc(x, y)),
    "hypot": lambda x, y: abs(c.mpc(x, y)),
    "maximum": max,
    "minimum": min,
    "fmax": max,
    "fmin": min,
}
"""By name; of finite operands that are not zero and have a result."""


def rounded(name: str, operands: tuple[Fraction, ...], spec: FormatSpec) -> int | None:
    """The code of a result, by those formulas; None where there is none.

    What is closer to where rounding changes than 2^-400 is taken to lie there.
    """
    numbers = [c.mpf(x.numerator) / x.denominator for x in operands]
    try:
        result = FORMULAS[name](*numbers)
    except (ZeroDivisionError, ValueError):
        return None
    if isinstance(result, c.mpc) or not c.isfinite(result):
        return None
    scale = 1 << 200
    nearby = Fraction(int(c.nint(c.ldexp(result, 200))), scale)
    close = abs(result - c.mpf(nearby.numerator) / nearby.denominator)
    exact = nearby if close < abs(result) * c.mpf(2) ** -400 else _fraction(result)
    if not exact:
        return 0
    code = oracle.encode(exact, spec, "ties_to_even", "ieee")
    assert code is not None
    return code


def _fraction(result: Any) -> Fraction:
    man, exp = c.mpf(result).man_exp
    return (-1 if result < 0 else 1) * abs(int(man)) * Fraction(2) ** int(exp)
