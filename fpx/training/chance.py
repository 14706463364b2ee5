"""How probably a step moves a value, if results are rounded stochastically.

Without a limit on random bits, a weight moves on the average by just the step, wherever it is: it
moves by a whole gap with the probability that is the step's share of it.
"""

from __future__ import annotations

from fractions import Fraction

import torch
from torch import Tensor

from fpx.core.policy import Rounding, Scheme, Stochastic, find_rounding
from fpx.errors import InputError
from fpx.training.steps import Reach


def stochastic(name: str) -> Stochastic | None:
    """The rounding of updates by its name; None of that to nearest, which counts who moves.

    Raises:
        InputError: another rounding, or none.
    """
    found = find_rounding(name)
    if isinstance(found, Stochastic):
        return found
    if found is not Rounding.TIES_TO_EVEN:
        raise InputError(
            f"`rounding` is {Rounding.TIES_TO_EVEN.value} or stochastic here, not {found.value}"
        )
    return None


def probability(its: Reach, step: Fraction, toward: bool, rounding: Stochastic) -> Fraction:
    """How probably a value becomes another one.

    Args:
        its: the value's reach: half the distances to its neighbours.
        step: at least 0.
        toward: whether it is towards zero.
        rounding: of the sum.
    """
    half = its.toward if toward else its.away
    if half is None or not step:
        return Fraction(0)
    share = step / (2 * half)
    if share >= 1:
        return Fraction(1)
    return rounding.away(share) if its.zero or not toward else 1 - rounding.away(1 - share)


def probabilities(share: Tensor, toward: Tensor, rounding: Stochastic) -> Tensor:
    """The same of many values, in float64.

    Args:
        share: steps over the distances to the neighbours, at least 0.
        toward: which are towards zero, bool.
        rounding: of the sums.
    """
    share = share.clamp(max=1)
    if rounding.bits is None:
        return share
    words = 2.0**rounding.bits
    distance = torch.where(toward, 1 - share, share) * words
    if rounding.scheme is Scheme.A:
        distance = distance.floor()
    elif rounding.scheme is Scheme.B:
        distance = (distance + 0.5).floor()
    else:
        distance = distance.round()
    return torch.where(toward, 1 - distance / words, distance / words)
