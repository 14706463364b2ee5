"""Stochastic rounding of elements with scales: their probabilities, and what a draw makes of them.

Scales are chosen as ever; a number over its step (scale x global scale) then goes to either of the
elements around it. Distances are float64, rounded so that they stay on their side of every multiple
of 2^-33: what up to 32 random bits make of them is exact.
"""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor

from fpx.casts.quotient import quotient
from fpx.casts.scaling import Elements, product, quantum_of
from fpx.core.elements import Codebook, largest
from fpx.core.scaling import ScaledFormat

_FINEST = 33  # bits of a distance at which rounding by up to 32 random bits turns
_FEW = 48  # bits of where rounding turns: an element's and `_FINEST`
_UNSURE = 2.0**-12  # of 2^-33: more than the error of a distance between the values of a table


class ElementChances(NamedTuple):
    """Numbers between two elements; tensors (n,), all magnitudes.

    Attributes:
        live: bools: finite numbers at a finite scale that is not 0. Nothing is left to chance of
            the others.
        ratio: float64, the number over its step.
        nearer: float64, the element that is nearer to zero; the largest of what is beyond it.
        gap: float64, from there to the next.
        distance: float64, from there in gaps, below 1.
        beyond: bools: what every draw takes beyond the largest element.
        last: bools: what some draws do.
    """

    live: Tensor
    ratio: Tensor
    nearer: Tensor
    gap: Tensor
    distance: Tensor
    beyond: Tensor
    last: Tensor


def element_chances(
    x: Tensor, elements: Elements, target: ScaledFormat, low: Tensor | None = None
) -> ElementChances:
    """Between which elements numbers are.

    Args:
        x: float64 (n,).
        elements: what they become to nearest.
        target: of that.
        low: float64, what `x` lacks of the numbers; None is nothing.
    """
    element, step, top = target.element, elements.step, float(largest(target.element))
    live = x.isfinite() & step.isfinite() & (step != 0)
    negative = x < 0
    if low is not None:
        low = torch.where(live, low * x.sign(), 0.0)
    x, step = torch.where(live, x, 0.0).abs(), torch.where(live, step, 1.0)
    ratio = quotient(x, step, _FEW, low)
    if isinstance(element, Codebook) and element.fraction_bits is None:
        nearer, gap = _around(ratio, negative, element)
        beyond = ratio > top
        distance = _settled((ratio - nearer) / gap, x, low, step, nearer, gap)
        distance.masked_fill_(beyond, 0.0)
        last = torch.zeros_like(beyond)
    else:
        gap = quantum_of(ratio, target)
        nearer = (ratio / gap).floor_().mul_(gap)
        beyond = nearer > top
        distance = ((ratio - nearer) / gap).masked_fill_(beyond, 0.0)
        last = (nearer == top) & (distance != 0)
    return ElementChances(live, ratio, nearer.clamp_(max=top), gap, distance, beyond, last)


def drawn(elements: Elements, found: ElementChances, up: Tensor, target: ScaledFormat) -> Elements:
    """Elements where some numbers are rounded away from zero, the others toward it.

    Args:
        elements: what they become to nearest, whose scales and whose infinities and NaNs stay.
        found: between which elements they are.
        up: which go away from zero, bools (n,).
        target: of both.
    """
    magnitude = (found.nearer + up * found.gap).clamp_(max=float(largest(target.element)))
    signed = torch.copysign(magnitude, elements.ratio) + 0.0  # of zeros no sign is kept
    element = torch.where(found.live, signed, elements.element)
    result, low = product(element, elements.step, target)
    result = torch.where(found.live, result, elements.result)
    return replace(elements, element=element, result=result, low=low)


# -- tables of values ------------------------------------------------------------------------------


def _around(ratio: Tensor, negative: Tensor, element: Codebook) -> tuple[Tensor, Tensor]:
    """The magnitudes of a table's values next to some, toward zero, and the gaps from there on."""
    sides = [
        (values[found], gaps[found])
        for values, gaps in _magnitudes(element, ratio.device)
        for found in [torch.bucketize(ratio, values, right=True) - 1]
    ]
    (up, above), (down, below) = sides
    return torch.where(negative, down, up), torch.where(negative, below, above)


@lru_cache(maxsize=64)
def _magnitudes(element: Codebook, device: torch.device) -> list[tuple[Tensor, Tensor]]:
    """The magnitudes of positive values, then of negative ones, from 0 on, and the gaps above."""
    found = []
    for sign in (1, -1):
        values = sorted(float(sign * value) for value, _ in element.ordered if sign * value >= 0)
        gaps = [above - below for below, above in pairwise(values)]
        table = torch.tensor([values, [*gaps, gaps[-1]]], dtype=torch.float64, device=device)
        found.append((table[0], table[1]))
    return found


def _settled(
    distance: Tensor, x: Tensor, low: Tensor | None, step: Tensor, nearer: Tensor, gap: Tensor
) -> Tensor:
    """Distances ((x + low) / step - nearer) / gap, on their side of every multiple of 2^-33.

    Few are close enough to one for their float64s to be in doubt; fractions tell of those.
    """
    words = torch.ldexp(distance, torch.tensor(_FINEST))
    turns = words.round()
    unsure = ((words - turns).abs() < _UNSURE) & (distance != 0)
    settled = distance.clone()
    for at in unsure.nonzero().view(-1).tolist():
        number, size, least, width = (Fraction(float(each[at])) for each in (x, step, nearer, gap))
        if low is not None:
            number += Fraction(float(low[at]))
        exact = (number / size - least) / width
        turn = math.ldexp(float(turns[at]), -_FINEST)
        if exact != Fraction(turn):
            turn = math.nextafter(turn, math.inf if exact > turn else -math.inf)
        settled[at] = turn
    return settled
