"""Sums of squares that neither over- nor underflow."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

_SAFE_EXPONENT = 400  # squares of numbers within 2^±400 neither over- nor underflow


def is_safe(largest: float) -> bool:
    """Whether squares of numbers of which that is the largest can be added up as they are."""
    return not largest or -_SAFE_EXPONENT < math.frexp(largest)[1] < _SAFE_EXPONENT


class ScaledSquares(NamedTuple):
    """A sum of squares, total * 4^exponent, that does not overflow where the norm does not."""

    total: float = 0.0
    exponent: int = 0

    @classmethod
    def of(cls, values: Tensor, largest: float, weights: Tensor | None = None) -> ScaledSquares:
        """The sum of the squares of finite values with that largest magnitude, in float64.

        `weights`, if given, are float64 and multiply the squares.
        """
        if largest == 0:
            return cls()
        values = values.to(torch.float64)
        exponent = 0
        if not is_safe(largest):  # in two steps: 2^-exponent itself may be out of range
            exponent = math.frexp(largest)[1]
            half = exponent // 2
            values = values * 2.0**-half * 2.0 ** (half - exponent)
        weighted = values if weights is None else values * weights
        return cls(float(torch.dot(values, weighted)), exponent)

    def __add__(self, other: object) -> ScaledSquares:
        if not isinstance(other, ScaledSquares):
            return NotImplemented
        if not self.total or not other.total:
            return self if self.total else other
        above = other.exponent - self.exponent
        if not above:
            return ScaledSquares(self.total + other.total, self.exponent)
        if above > 0:
            return ScaledSquares(math.ldexp(self.total, -2 * above) + other.total, other.exponent)
        return ScaledSquares(self.total + math.ldexp(other.total, 2 * above), self.exponent)

    def root(self, count: int = 1) -> float:
        """sqrt(sum / count)."""
        return math.ldexp(math.sqrt(self.total / count), self.exponent)

    def ratio_db(self, other: ScaledSquares) -> float:
        """10 log10(self / other)."""
        scale = 20 * math.log10(2) * (self.exponent - other.exponent)
        return 10 * (math.log10(self.total) - math.log10(other.total)) + scale
