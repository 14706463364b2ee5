"""What a scaled format gives on normally distributed numbers: what its results are held against.

A format of few bits loses much of any tensor: 4 bits with a scale per 32 give 18.8 dB on normal
numbers, and 9 % of them become zero. So a tensor fits such a format if it does about as well.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import torch

from fpx.casts.device import find_device
from fpx.core.formats import FORMATS
from fpx.core.policy import Stochastic
from fpx.core.scaling import ScaledFormat
from fpx.measure.block import SourceBlock
from fpx.measure.scaled_casting import ScaledCasting
from fpx.measure.stochastic_scaled_casting import Draws, StochasticScaledCasting

_SHAPE = (64, 1024)
_SEED = 1


class Reference(NamedTuple):
    """What normal numbers become.

    Attributes:
        sqnr_db: their SQNR, without what clipping costs.
        underflow_rate: the share of them that becomes zero.
    """

    sqnr_db: float
    underflow_rate: float


@lru_cache(maxsize=256)
def reference_of(target: ScaledFormat, drawn: bool = False) -> Reference:
    """What 65,536 numbers of N(0, 1) in rows of 1,024 become, always the same ones.

    Args:
        target: what they are cast to.
        drawn: whether they are rounded stochastically, by draws that are always the same too.
    """
    generator = torch.Generator().manual_seed(_SEED)
    x = torch.randn(_SHAPE[0] * _SHAPE[1], generator=generator, dtype=torch.float64)
    cast = FORMATS["float64"], target, _SHAPE, find_device("cpu")
    casting = StochasticScaledCasting(*cast, Draws(Stochastic())) if drawn else ScaledCasting(*cast)
    source = SourceBlock(x)
    casting.survey(source, 0)
    casting.prepare()
    casting.take(source, 0, lambda at: ("", (at,)))
    stats = casting.stats
    signal, noise = stats.squares("signal"), stats.squares("unclipped_noise")
    return Reference(
        signal.ratio_db(noise), stats.counts["underflow_count"] / stats.counts["count"]
    )
