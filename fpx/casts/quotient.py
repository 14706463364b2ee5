"""Quotients in float64 that stay on their side of every number of few bits."""

from __future__ import annotations

import torch
from torch import Tensor

from fpx.casts import residuals


def quotient(x: Tensor, divisor: Tensor, bits: int, low: Tensor | None = None) -> Tensor:
    """x / divisor in float64, on its side of every number of up to so many significant bits.

    A quotient that is rounded to such a number without being it is moved off it by an ulp.

    Args:
        x: float64, finite or not.
        divisor: float64 of the shape of `x`, above 0.
        bits: 1 to 50.
        low: float64, what `x` lacks of the numbers to be divided, at most half an ulp of it; None
            is nothing.
    """
    y = x / divisor
    held = y.view(torch.int64)
    rest = (1 << (53 - bits)) - 1
    if low is None:
        turn, few = held, (held & rest) == 0
    else:  # such a number may be an ulp to either side of what a rounded number gives
        turn = (held + 1) & ~rest
        few = (held - turn).abs() <= 1
    if not few.any():
        return y
    back = turn.view(torch.float64) * divisor  # exact where both have few bits
    long = few & ((divisor.view(torch.int64) & ((1 << bits) - 1)) != 0)
    if low is None and not (long | (few & (back != x))).any():
        return y
    sign = x.sign()
    left = (x - back) * sign if low is None else ((x - back) + low) * sign
    if long.any():
        at = long.nonzero().view(-1)
        number, side = turn[at].view(torch.float64), sign[at]
        beside = None if low is None else low[at] * side
        left[at] = _left(number.abs(), x[at].abs(), divisor[at], beside)
    moved = turn + left.sign().to(torch.int64)
    return torch.where(few & y.isfinite(), moved, held).view(torch.float64)


def _left(y: Tensor, x: Tensor, divisor: Tensor, low: Tensor | None) -> Tensor:
    """x + low - y * divisor up to a positive factor; its sign is exact.

    Of significands alone, so that no product overflows.
    """
    (x, of_x), (y, of_y), (divisor, of_divisor) = map(torch.frexp, (x, y, divisor))
    product = y * divisor
    dropped = residuals.of_product(y, divisor, product)
    if low is not None:
        dropped -= torch.ldexp(low, -of_y - of_divisor)
    apart = (of_x - of_y - of_divisor).clamp_(-64, 64)  # more than 1 where the quotient underflows
    return (torch.ldexp(x, apart) - product) - dropped
