"""Functions in float64, for arrays, close enough that few results need more digits.

Every one has a relative error of some units of 2^-53, where `Function.absolute` does not say
otherwise; 2^-40 is what is counted on. The terms below do not cancel, so no error grows by more
than the condition of its function: 200 in erfc, at the end of float32's range.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

_TINY, _HUGE = 1e-300, 1e300


def tiny(sign: Any, y: Any) -> Any:
    """What became 0 because float64 ends, as a number of that sign below those of all targets."""
    return np.where(np.abs(y) < _TINY, np.copysign(_TINY, sign), y)


def _each(function: Callable[[float], float]) -> Callable[[Any], Any]:
    def apply(x: Any) -> Any:
        return np.fromiter(map(function, x.tolist()), np.float64, len(x))

    return apply


erf = _each(math.erf)
erfc = _each(math.erfc)
_SQRT2 = math.sqrt(2)


def exp(x: Any) -> Any:
    """e^x."""
    return tiny(1.0, np.exp(x))


def exp2(x: Any) -> Any:
    """2^x."""
    return tiny(1.0, np.exp2(x))


def erfc_above_zero(x: Any) -> Any:
    """1 - erf x."""
    return tiny(1.0, erfc(x))


def sigmoid(x: Any) -> Any:
    """1 / (1 + e^-x)."""
    return tiny(1.0, 1 / (1 + np.exp(-x)))


def softplus(x: Any) -> Any:
    """log(1 + e^x)."""
    return tiny(1.0, np.logaddexp(0, x))


def gelu(x: Any) -> Any:
    """x (1 + erf(x / sqrt 2)) / 2."""
    return tiny(x, x * erfc(-x / _SQRT2) / 2)


def gelu_tanh(x: Any) -> Any:
    """x / (1 + e^-2u) with u = sqrt(2 / pi) (x + 0.044715 x^3), which is x (1 + tanh u) / 2."""
    u = math.sqrt(2 / math.pi) * (x + 0.044715 * x * x * x)
    return tiny(x, x / (1 + np.exp(-2 * u)))


def silu(x: Any) -> Any:
    """x / (1 + e^-x)."""
    return tiny(x, x / (1 + np.exp(-x)))


def mish(x: Any) -> Any:
    """x / (1 + 2 / n) with n = e^x (e^x + 2), which is x tanh(log(1 + e^x))."""
    e = np.exp(x)
    return tiny(x, x / (1 + 2 / (e * (e + 2))))


def logit(x: Any) -> Any:
    """log(x / (1 - x)), where 2x - 1 is exact as soon as its logarithm is small."""
    near = np.log1p((2 * x - 1) / (1 - x))
    return np.where(np.abs(x - 0.5) < 0.25, near, np.log(x) - np.log1p(-x))


def sinc(x: Any) -> Any:
    """sin(pi x) / (pi x), by the distance to the nearest integer, which is exact."""
    whole = np.rint(x)
    y = np.sin(math.pi * (x - whole)) / (math.pi * x)
    return np.where(np.fmod(whole, 2) == 0, y, -y)


# x - tanh x = x^3 (1/3 - 2/15 x^2 + ...): the next term is below 2^-45 of it where x^2 < 1/64
_TANHSHRINK = (
    1 / 3, -2 / 15, 17 / 315, -62 / 2835, 1382 / 155925, -21844 / 6081075, 929569 / 638512875,
)  # fmt: skip


def tanhshrink(x: Any) -> Any:
    """x - tanh x, by its series where that cancels."""
    series = x**3 * np.polynomial.polynomial.polyval(x * x, _TANHSHRINK)
    return np.where(np.abs(x) < 0.125, tiny(x, series), x - np.tanh(x))


def i0(x: Any) -> Any:
    """I0(x)."""
    return np.i0(np.clip(x, -700, 700)) * np.where(np.abs(x) > 700, _HUGE, 1)


def _lgamma(x: float) -> float:
    try:
        return math.lgamma(x)
    except (OverflowError, ValueError):  # beyond float64; a pole
        return math.inf


lgamma = _each(_lgamma)


# Bernoulli's numbers over 2n: digamma x = log x - 1 / (2 x) - the sum of these over x^2n
_DIGAMMA = (1 / 12, -1 / 120, 1 / 252, -1 / 240, 1 / 132, -691 / 32760, 1 / 12)


def digamma(x: Any) -> Any:
    """gamma'(x) / gamma(x), by its asymptotic series from 10 up, its recurrence, its reflection."""
    left = x < 0.5
    y = np.where(left, 1 - x, x)
    shift = np.zeros_like(y)
    for _ in range(10):
        low = y < 10
        shift += np.where(low, 1 / y, 0)
        y = np.where(low, y + 1, y)
    square = 1 / (y * y)
    series = square * np.polynomial.polynomial.polyval(square, _DIGAMMA)
    found = np.log(y) - 0.5 / y - series - shift
    return np.where(left, found - math.pi / np.tan(math.pi * (x - np.rint(x))), found)


def erfinv(x: Any) -> Any:
    """y with erf y = x, by Newton's steps from a formula; towards 1 by erfc y = 1 - |x|."""
    a = np.abs(x)
    log = np.log1p(-a * a)
    half = 2 / (math.pi * 0.147) + log / 2
    y = np.sqrt(np.sqrt(half * half - log / 0.147) - half)
    for _ in range(4):
        residue = np.where(a < 0.5, erf(y) - a, (1 - a) - erfc(y))
        step = residue * math.sqrt(math.pi) / 2 * np.exp(y * y)
        y = y - step / (1 + y * step)
    series = math.sqrt(math.pi) / 2 * a * (1 + math.pi * a * a / 12)
    return np.copysign(np.where(a < 1e-6, series, y), x)
