"""Rounding of many numbers at once, as replays need it: to any precision, in any mode.

Sums are first rounded to odd in float64, which loses nothing that a second rounding to 51 bits or
fewer would need (Boldo and Melquiond, "Emulation of FMA and correctly rounded sums using rounding
to odd", IEEE Transactions on Computers 57(4), 2008).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fpx.core.policy import Rounding

Numbers = NDArray[np.float64]

MOST = 51
"""The largest precision that sums are rounded to; float64's own, 53, is its plain addition."""

_LOWEST = -1100  # an exponent below every spacing of float64


def add_to_odd(x: Numbers, y: Numbers) -> Numbers:
    """x + y, rounded to odd in float64; finite numbers without overflow."""
    total = x + y
    back = total - x
    error = (x - (total - back)) + (y - back)
    even = (total.view(np.int64) & 1) == 0
    toward = np.where(error > 0, np.inf, -np.inf)
    return np.where((error != 0) & even, np.nextafter(total, toward), total)


def rounded(x: Numbers, precision: int, rounding: Rounding, quantum: int | None = None) -> Numbers:
    """Numbers to a precision, and to multiples of 2^quantum if it is given."""
    exponent = np.frexp(x)[1] - precision
    if quantum is not None:
        exponent = np.maximum(exponent, quantum)
    return on_grid(x, exponent, rounding)


def on_grid(x: Numbers, exponent: NDArray[Any], rounding: Rounding) -> Numbers:
    """Numbers to multiples of 2^exponent."""
    scaled = np.ldexp(x, -exponent)
    whole = np.ldexp(_integers(scaled, rounding), exponent)
    return np.where(np.isfinite(x), np.copysign(whole, x), x)


def _integers(x: Numbers, rounding: Rounding) -> Numbers:
    if rounding is Rounding.TIES_TO_EVEN:
        return np.rint(x)
    if rounding is Rounding.TOWARD_ZERO:
        return np.trunc(x)
    if rounding is Rounding.TOWARD_POSITIVE:
        return np.ceil(x)
    if rounding is Rounding.TOWARD_NEGATIVE:
        return np.floor(x)
    if rounding is Rounding.TIES_TO_AWAY:
        return np.copysign(np.floor(np.abs(x) + 0.5), x)
    down = np.trunc(x)
    inexact_even = (down != x) & (np.fmod(down, 2) == 0)
    return np.where(inexact_even, down + np.copysign(1.0, x), down)
