"""1 - beta^t, the bias correction of Adam, to any precision: as bounds, which may be one number."""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple

PRECISIONS = tuple(1 << bits for bits in range(8, 21, 2))
"""Bits after the point to try, one after the other."""


class Bounds(NamedTuple):
    """A number between two, which are equal where it is known exactly."""

    low: Fraction
    high: Fraction


@lru_cache(maxsize=256)
def correction(beta: Fraction, step: int, bits: int) -> Bounds:
    """1 - beta^step, exactly where it has no more bits after the point.

    Args:
        beta: at least 0 and below 1; its denominator is a power of two.
        step: at least 1.
        bits: to compute with.
    """
    bits = min(bits, (beta.denominator.bit_length() - 1) * step)
    one = 1 << bits
    low = (beta.numerator << bits) // beta.denominator
    high = -((-beta.numerator << bits) // beta.denominator)
    below = above = one
    for bit in bin(step)[2:]:  # square and multiply, rounded down and up
        below, above = (below * below) >> bits, -((-above * above) >> bits)
        if bit == "1":
            below, above = (below * low) >> bits, -((-above * high) >> bits)
    return Bounds(Fraction(one - above, one), Fraction(one - below, one))
