"""Mean and standard deviation of numbers that come in blocks.

Of each block the mean is found first, then the squares of what is left: "corrected two-pass".
Blocks merge by the formula of Chan, Golub and LeVeque (The American Statistician 37, 1983,
242-247). Means are kept as a sum of two floats, so that numbers far from zero and near to each
other lose nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from torch import Tensor

from fpx.measure.squares import ScaledSquares

_LARGE = 2.0**900  # sums of a block's numbers below it do not overflow
_SHIFT = 128  # binades by which larger ones are scaled down

_NOTHING = ScaledSquares()


@dataclass(frozen=True)
class Moments:
    """How many numbers, their mean, and the squares of their distances to it.

    Attributes:
        count: numbers.
        mean: a sum of two floats, to about 106 bits.
        squares: the sum of (x - mean)².
    """

    count: int = 0
    mean: Fraction = Fraction(0)
    squares: ScaledSquares = _NOTHING

    @classmethod
    def of(cls, values: Tensor, largest: float) -> Moments:
        """Those of finite float64 numbers whose largest magnitude is `largest`."""
        if not len(values):
            return cls()
        shift = _SHIFT if largest > _LARGE else 0
        scaled = values * 2.0**-shift if shift else values
        middle = float(scaled.mean())
        apart = scaled - middle
        correction = float(apart.mean())
        apart = apart - correction
        squares = ScaledSquares.of(apart, float(apart.abs().max()))
        mean = (Fraction(middle) + Fraction(correction)) * 2**shift
        return cls(len(values), mean, squares._replace(exponent=squares.exponent + shift))

    def __add__(self, other: Moments) -> Moments:
        """Those of both."""
        if not self.count or not other.count:
            return self if self.count else other
        count = self.count + other.count
        apart = other.mean - self.mean
        between = _square(apart, self.count * (other.count / count))
        mean = self.mean + apart * Fraction(other.count, count)
        high = float(mean)
        pair = Fraction(high) + Fraction(float(mean - Fraction(high)))
        return Moments(count, pair, self.squares + other.squares + between)

    def std(self, largest: float) -> float:
        """The standard deviation of the numbers themselves: the squares over their count.

        Args:
            largest: their largest magnitude, which it cannot exceed.
        """
        try:
            return min(self.squares.root(self.count), largest)
        except OverflowError:  # by half an ulp, of the largest numbers that there are
            return largest


def _square(x: Fraction, weight: float) -> ScaledSquares:
    """weight × x²."""
    if not x:
        return ScaledSquares()
    exponent = x.numerator.bit_length() - x.denominator.bit_length()
    return ScaledSquares(float(x / Fraction(2) ** exponent) ** 2 * weight, exponent)
