"""Which of two casts of a group has the smaller error, exactly."""

from __future__ import annotations

import math
from collections import defaultdict
from fractions import Fraction

import torch
from torch import Tensor

from fpx.measure.scaled import ScaledPair

_UNSURE = 2.0**-40
"""Relative distance of sums of squares in float64 of which one may be the larger for rounding."""

_TINY = 2.0**-1000
"""More than what squares lose that underflow."""


def first_is_nearer(first: ScaledPair, second: ScaledPair, groups: Tensor, count: int) -> Tensor:
    """Where the sum of (q - x)^2 over a group is smaller in the first, of what is finite: bools.

    Sums too near to each other for float64 are added up as fractions.

    Args:
        first, second: a block before and after.
        groups: the group of each element, int64 of shape (n,).
        count: of groups; each has up to 4096 elements.
    """
    one, other = (
        torch.zeros(count, dtype=torch.float64, device=groups.device).index_add_(
            0, groups, pair.signed_error**2
        )
        for pair in (first, second)
    )
    nearer = one < other
    sure = (one - other).abs() > _UNSURE * (one + other) + _TINY  # false of infinities
    differs = (first.result - second.result).abs() > 0  # false of NaN
    unsure = torch.zeros_like(sure)
    unsure[groups[differs]] = True
    unsure &= ~sure
    if not bool(unsure.any()):
        return nearer
    excess: dict[int, Fraction] = defaultdict(Fraction)
    for at in unsure[groups].nonzero().view(-1).tolist():
        x, *results = first.source.x[at].item(), float(first.result[at]), float(second.result[at])
        if all(map(math.isfinite, (x, *results))):
            here, there = (Fraction(result) - Fraction(x) for result in results)
            excess[int(groups[at])] += here**2 - there**2
    for group, more in excess.items():
        nearer[group] = more < 0
    return nearer
