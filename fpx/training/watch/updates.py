"""Whether updates move weights: in their own format, and were they stored in others.

A weight w that is stored in a format t is t(w) there. An update u moves it if t(t(w) + u) is
another number, that is if u goes beyond half of the gap to the next value of t. What
the optimizer added is u = after - before, exactly, and is compared with that half unrounded.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor

from fpx.casts.rounding import round_codes
from fpx.core.dyadic import Dyadic
from fpx.core.interval import midpoint_above
from fpx.core.policy import Overflow, special_codes
from fpx.core.spec import FormatSpec
from fpx.tensors.dtypes import container, wrapped


@dataclass(frozen=True)
class Moves:
    """What a step did to weights as a format holds them.

    Attributes:
        count: weights that were finite in it before the step.
        moved_count: those of them that are another number after it.
        lost_update_count: those that are not, although they were to move: their gradient is not
            zero, or they moved in their own format.
        nonfinite_count: those of them that the step made infinite or NaN, in their own format.
    """

    count: int
    moved_count: int
    lost_update_count: int
    nonfinite_count: int


MOVES = len(fields(Moves))


class Halves(NamedTuple):
    """Half the gaps of a format's magnitudes to the next one up and down, float64 tensors (n,).

    What is beyond the largest finite value has none: NaN.
    """

    up: Tensor
    down: Tensor


@lru_cache(maxsize=64)
def halves(target: FormatSpec, device: torch.device) -> Halves:
    """The halves of a format, exactly: they differ from binade to binade only.

    The largest finite value moves where it overflows; in a format that overflows to that value
    itself it never moves up.
    """
    top = target.max_finite_magnitude
    size = target.magnitude_mask + 1
    up = torch.full((size,), torch.nan, dtype=torch.float64, device="cpu")
    down = up.clone()
    for low in range(0, top + 1, 1 << target.fraction_bits):
        end = min(low + (1 << target.fraction_bits), top + 1)
        gap = _value(midpoint_above(low, target).minus(target.finite(low)))
        up[low:end] = down[low:end] = gap
        if low:
            down[low] = _value(target.finite(low).minus(midpoint_above(low - 1, target)))
    if special_codes(target, Overflow.IEEE).beyond == top:
        up[top] = torch.inf
    return Halves(up.to(device), down.to(device))


def _value(gap: Dyadic) -> float:
    return float(gap.fraction)


def moves(
    before: Tensor, after: Tensor, wanted: Tensor, own: FormatSpec, targets: tuple[FormatSpec, ...]
) -> Tensor:
    """What a step did, in the weights' own format and in others.

    Args:
        before, after: the weights, 1-D, of that format.
        wanted: bools: whose gradient is not zero.
        own: their format.
        targets: others, of at most float64's precision less a few bits.

    Returns:
        int64 (1 + len(targets), MOVES) on their device: the attributes of `Moves` in their order,
        of the own format first.
    """
    dtype = container(own)
    old, new = before.view(dtype), after.view(dtype)
    mask = wrapped(own.magnitude_mask, dtype)
    was, is_ = old & mask, new & mask
    top = own.max_finite_magnitude
    held, finite = was <= top, is_ <= top
    differs = (old != new) & ((was | is_) != 0)  # a zero that changes its sign stays what it is
    wanted = wanted | differs
    rows = [_counted(held, differs, wanted, finite)]
    if targets:
        # Knuth's TwoSum: rest is exactly what float64 rounds off the difference
        a, b = after.to(torch.float64), before.to(torch.float64)
        change = a - b
        part = change - a
        rest = (a - (change - part)) - (b + part)
        negative = (old & wrapped(own.sign_mask, dtype)) != 0
        outward, outward_rest = _turned(change, negative), _turned(rest, negative)
    for target in targets:
        codes = round_codes(was, own, target).to(torch.int64) & ((1 << target.bits) - 1)
        odd = (codes & 1).bool()
        up, down = (each[codes & target.magnitude_mask] for each in halves(target, codes.device))
        raised = _beyond(outward, outward_rest, up, odd)
        lowered = _beyond(-outward, -outward_rest, down, odd)
        here = held & (codes <= target.max_finite_magnitude)
        rows.append(_counted(here, raised | lowered | ~finite, wanted, finite))
    return torch.stack(rows)


def _counted(held: Tensor, moved: Tensor, wanted: Tensor, finite: Tensor) -> Tensor:
    told = (held, held & moved, held & wanted & ~moved, held & ~finite)
    return torch.stack([each.sum() for each in told])


def _turned(x: Tensor, negative: Tensor) -> Tensor:
    return torch.where(negative, -x, x)


def _beyond(change: Tensor, rest: Tensor, half: Tensor, odd: Tensor) -> Tensor:
    """Whether change + rest goes beyond half of a gap: a tie goes to what is even."""
    return (change > half) | ((change == half) & ((rest > 0) | ((rest == 0) & odd)))
