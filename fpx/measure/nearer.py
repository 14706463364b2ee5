"""Which of two casts of a group has the smaller error, exactly."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable
from fractions import Fraction

import torch
from torch import Tensor

from fpx.measure.scaled import ScaledPair

_UNSURE = 2.0**-40
"""Relative distance of sums of squares in float64 of which one may be the larger for rounding."""


def first_is_nearer(
    first: ScaledPair,
    second: ScaledPair,
    summed: Callable[[Tensor], Tensor],
    spread: Callable[[Tensor], Tensor],
) -> Tensor:
    """Where the sum of (q - x)^2 over a group is smaller in the first, of what is finite: bools.

    Sums too near to each other for float64 are added up as fractions.

    Args:
        first, second: a block before and after.
        summed: float64 of elements -> their sum over each group, which has up to 4096.
        spread: numbers of groups -> of elements.
    """
    one, other = (summed(pair.signed_error**2) for pair in (first, second))
    nearer = one < other
    unsure = (one - other).abs() <= _UNSURE * (one + other)
    if not bool(unsure.any()):
        return nearer
    apart = (first.result - second.result).abs() > 0  # false of NaN
    unsure &= summed(apart.to(torch.float64)) > 0
    if not bool(unsure.any()):
        return nearer
    groups = spread(torch.arange(len(unsure), device=unsure.device))
    excess: dict[int, Fraction] = defaultdict(Fraction)
    for at in unsure[groups].nonzero().view(-1).tolist():
        x, *results = first.source.x[at].item(), float(first.result[at]), float(second.result[at])
        if all(map(math.isfinite, (x, *results))):
            here, there = (Fraction(result) - Fraction(x) for result in results)
            excess[int(groups[at])] += here**2 - there**2
    for group, more in excess.items():
        nearer[group] = more < 0
    return nearer
