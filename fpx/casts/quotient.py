"""Quotients in float64 that stay on their side of every number of few bits."""

from __future__ import annotations

import torch
from torch import Tensor

_SPLITTER = (1 << 27) + 1.0  # halves a float64's significand (Dekker, 1971)


def quotient(x: Tensor, divisor: Tensor, bits: int) -> Tensor:
    """x / divisor in float64, on its side of every number of up to so many significant bits.

    A quotient that is rounded to such a number without being it is moved off it by an ulp.

    Args:
        x: float64, finite or not.
        divisor: float64 of the shape of `x`, above 0.
        bits: 1 to 52.
    """
    y = x / divisor
    held = y.view(torch.int64)
    few = (held & ((1 << (53 - bits)) - 1)) == 0
    if not few.any():
        return y
    back = y * divisor  # exact where both have few bits
    long = few & ((divisor.view(torch.int64) & ((1 << bits) - 1)) != 0)
    if not (long | (few & (back != x))).any():
        return y
    rest = x.abs() - back.abs_()
    if long.any():
        at = long.nonzero().view(-1)
        rest[at] = _rest(y[at].abs_(), x[at].abs_(), divisor[at])
    outward = torch.where(few & y.isfinite(), rest, 0.0).sign_().to(torch.int64)
    return (held + outward).view(torch.float64)


def _rest(y: Tensor, x: Tensor, divisor: Tensor) -> Tensor:
    """x - y * divisor up to a positive factor; its sign is exact.

    The product's error is Dekker's ("A floating-point technique for extending the available
    precision", Numerische Mathematik 18, 1971), of significands alone: none overflows.
    """
    (x, of_x), (y, of_y), (divisor, of_divisor) = map(torch.frexp, (x, y, divisor))
    product = y * divisor
    (high, low), (other_high, other_low) = _halves(y), _halves(divisor)
    error = ((high * other_high - product) + high * other_low + low * other_high) + low * other_low
    apart = (of_x - of_y - of_divisor).clamp_(-64, 64)  # more than 1 where the quotient underflows
    return (torch.ldexp(x, apart) - product) - error


def _halves(x: Tensor) -> tuple[Tensor, Tensor]:
    """Two numbers of up to 26 bits each whose sum it is."""
    scaled = x * _SPLITTER
    high = scaled - (scaled - x)
    return high, x - high
