"""What float64 drops where it rounds, itself a float64: error-free transformations.

Exact where nothing over- or underflows.
"""

from __future__ import annotations

from torch import Tensor

_SPLITTER = (1 << 27) + 1.0  # halves a float64's significand (Dekker, 1971)


def of_difference(x: Tensor, y: Tensor, difference: Tensor) -> Tensor:
    """x - y less that difference, which is it rounded.

    Knuth, The Art of Computer Programming 2, 4.2.2, theorem B.
    """
    subtracted = x - difference
    return (x - (difference + subtracted)) + (subtracted - y)


def of_product(x: Tensor, y: Tensor, product: Tensor) -> Tensor:
    """x * y less that product, which is it rounded.

    Dekker, "A floating-point technique for extending the available precision", Numerische
    Mathematik 18, 1971.
    """
    (high, low), (other_high, other_low) = _halves(x), _halves(y)
    return ((high * other_high - product) + high * other_low + low * other_high) + low * other_low


def _halves(x: Tensor) -> tuple[Tensor, Tensor]:
    """Two numbers of up to 26 bits each whose sum it is."""
    scaled = x * _SPLITTER
    high = scaled - (scaled - x)
    return high, x - high
