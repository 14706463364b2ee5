"""Scales of up to 8 bits by the largest magnitude of a group, looked up."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from fpx.casts.scaling import scales_of
from fpx.core.scaling import ScaledFormat

Array = np.ndarray[Any, Any]

BEGINNING = 23 - 4
"""Bits of a float32 after those by which a scale is looked up, near which it is then."""


_CODES = 1 << 8
_INFINITY = 0x7F800000
"""The code of float32's infinity, which is beyond the magnitudes that are looked up."""


class ScaleTable(NamedTuple):
    """Which scale a group gets, by the code of its largest magnitude as a float32.

    The scales are those of `fpx.casts.scaling.scales_of`, which was asked where each begins: they
    never become smaller as magnitudes grow.

    Attributes:
        begins: int32 of shape (257,): code of a scale -> the first magnitude that gets it or a
            larger one; the last is beyond all.
        starts: uint8 of shape (4080,): the first bits of a magnitude, its exponent and four more ->
            the scale of the first number that begins so and is not 0.
        steps: float64 of shape (256,): code of a scale -> scale x global scale.
        zero: the scale of groups of zeros.
        zero_step: its step.
    """

    begins: Array
    starts: Array
    steps: Array
    zero: int
    zero_step: float


def fits(target: ScaledFormat) -> bool:
    """Whether its scales have few codes, and do not begin with another that stands for 0."""
    return target.scale.bits <= 8 and target.encoding.zero_scale is None


@lru_cache(maxsize=64)
def scale_table(target: ScaledFormat, global_: float) -> ScaleTable:
    """The scales of a target that `fits`, beside that global scale of the tensor."""

    def scales(magnitudes: Tensor) -> tuple[Tensor, Tensor]:
        amax = magnitudes.to(torch.int32).view(torch.float32).to(torch.float64)
        found = scales_of(amax, None, target, global_)
        return found.codes.to(torch.int64), found.steps

    wanted = torch.arange(_CODES).unsqueeze(1)
    below = torch.zeros_like(wanted)  # magnitudes before the one that is looked for, digit by digit
    for shift in range(28, -1, -4):
        probes = below + (torch.arange(1, 16) << shift)
        inside = probes < _INFINITY
        smaller = scales(probes.clamp(max=_INFINITY - 1))[0] < wanted
        below += (inside & smaller).sum(1, keepdim=True) << shift
    begins = below.view(-1) + 1
    firsts = torch.arange(_INFINITY >> BEGINNING) << BEGINNING
    firsts[0] = 1
    used = begins < _INFINITY
    steps = torch.zeros(_CODES, dtype=torch.float64)
    steps[used] = scales(begins[used])[1]  # of codes that are passed over, the next one's
    zero, zero_step = scales(torch.zeros(1, dtype=torch.int64))
    return ScaleTable(
        np.append(begins.numpy(), 0x7FFFFFFF).astype(np.int32),
        scales(firsts)[0].to(torch.uint8).numpy(),
        steps.numpy(),
        int(zero),
        float(zero_step),
    )
