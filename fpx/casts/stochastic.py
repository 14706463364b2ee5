"""Stochastic rounding of whole tensors: probabilities, and the codes that random words choose.

As `fpx.core.stochastic` has it of single numbers. Distances are float64, which is exact but for
integers of more than 53 bits: theirs stay on their side of every number of fewer.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from fpx.casts.random_words import WORD_BITS
from fpx.casts.rounding import check_rounds
from fpx.casts.unpacked import Numbers, coded, floored, unpack
from fpx.core.policy import Overflow, Scheme, Stochastic, check_overflow
from fpx.core.spec import FormatSpec
from fpx.tensors.dtypes import Origin, container


class Chances(NamedTuple):
    """Numbers between two neighbours; tensors (n,).

    Attributes:
        numbers: the numbers, in parts.
        magnitude: int64, of the neighbour nearer to zero, as if exponents had no end.
        above: int64, binades over the target's smallest normal number.
        distance: float64, from that neighbour in ulps, below 1; 0 of what is no number.
        certain: bools: what has no two neighbours, though it may not be exact: infinities, NaNs,
            numbers below all values of the target.
    """

    numbers: Numbers
    magnitude: Tensor
    above: Tensor
    distance: Tensor
    certain: Tensor


def chances(codes: Tensor, origin: Origin, target: FormatSpec) -> Chances:
    """Where an origin's codes, 1-D in its container, are between a target's values.

    Raises:
        UnavailableError: the formats are too wide.
    """
    check_rounds(origin)
    check_rounds(target)
    x = unpack(codes, origin)
    found = floored(x, target)
    certain = x.nan | x.infinite
    if not target.zero:
        certain |= (found.above < 0) | (x.significand == 0)
    if not target.signed:
        certain |= x.negative & (found.magnitude > 0)
    # in two steps, since 2^-1074 is the least that float64 has
    half = found.dropped >> 1
    distance = _to_odd(found.rest) * _power(half) * _power(found.dropped - half)
    distance.masked_fill_(certain, 0.0)
    return Chances(x, found.magnitude, found.above, distance, certain)


def _to_odd(rest: Tensor) -> Tensor:
    """Integers below 2^62 as float64; what that lacks becomes the neighbour whose last bit is 1."""
    near = rest.to(torch.float64)
    lost = rest - near.to(torch.int64)
    return (near.view(torch.int64) - (lost < 0).to(torch.int64) | (lost != 0)).view(torch.float64)


def _power(exponent: Tensor) -> Tensor:
    """2^-exponent, of exponents from 0 up to 1022; what is less is 0."""
    field = (1023 - exponent).clamp_(min=0)
    return (field << 52).view(torch.float64)


def away(distance: Tensor, rounding: Stochastic) -> Tensor:
    """The probability of each number to be rounded away from zero, float64 (n,).

    Args:
        distance: from the neighbours nearer to zero, as of `Chances`.
        rounding: how probabilities follow.
    """
    if rounding.bits is None:
        return distance
    return _words_away(distance, rounding) * 2.0**-rounding.bits


def _words_away(distance: Tensor, rounding: Stochastic) -> Tensor:
    """Of how many words a number is rounded away from zero, as float64; all steps are exact."""
    assert rounding.bits is not None
    words = distance * 2.0**rounding.bits
    if rounding.scheme is Scheme.A:
        return words.floor_()
    if rounding.scheme is Scheme.B:
        floor = words.floor()
        return floor + (words - floor >= 0.5)
    return words.round_()  # ties to even


def goes_away(distance: Tensor, rounding: Stochastic, words: Tensor) -> Tensor:
    """Whether the words take the numbers away from zero, bools (n,).

    Args:
        distance: of the numbers, as of `away`.
        rounding: of r bits, the upper r bits of a word count; the ideal one takes all 63.
        words: int64 (n,), as `words_at` gives them.
    """
    bits = WORD_BITS if rounding.bits is None else rounding.bits
    if rounding.bits is None:
        often = (distance * 2.0**bits).to(torch.int64)
    else:
        often = _words_away(distance, rounding).to(torch.int64)
    if bits == WORD_BITS:
        return words < often
    return (words >> (WORD_BITS - bits)) >= (1 << bits) - often


def round_away(
    found: Chances, up: Tensor, target: FormatSpec, overflow: Overflow = Overflow.IEEE
) -> Tensor:
    """The target's codes where some numbers are rounded away from zero, the others toward it.

    Raises:
        InputError: overflow to NaN in a format without one.
    """
    check_overflow(target, overflow)
    codes = coded(found.numbers, found.magnitude + up, found.above, target, overflow)
    return codes.to(container(target))
