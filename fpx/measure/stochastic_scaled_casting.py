"""A scaled cast by draws: scales as ever, elements rounded stochastically, what is expected."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from fpx.casts.device import Device, find_device
from fpx.casts.random_words import words_at
from fpx.casts.scaled_stochastic import ElementChances, drawn, element_chances
from fpx.casts.scaling import Elements, quantum_of
from fpx.casts.stochastic import away, goes_away
from fpx.core.policy import Stochastic
from fpx.core.scaling import ScaledFormat
from fpx.measure.block import SourceBlock
from fpx.measure.casting import Where
from fpx.measure.measurement import Measurement
from fpx.measure.scaled_casting import ScaledCasting, ScaledMeasurer
from fpx.measure.stochastic_casting import nowhere
from fpx.tensors.dtypes import Origin


class Draws(NamedTuple):
    """Draws of the elements of a tensor, which depend on these and their positions alone.

    Attributes:
        rounding: what they follow.
        seed: of all of them.
        tensor: the name, by which tensors draw differently.
        first: position in the tensor where the part of it begins that is cast.
    """

    rounding: Stochastic
    seed: int = 0
    tensor: str = ""
    first: int = 0


class StochasticScaledCasting(ScaledCasting):
    """One scaled cast of a tensor, by draws.

    Scales, those of `4over6` too, are those that rounding to nearest has.

    Args:
        origin, target, shape, device: as of every scaled cast.
        draws: of its elements, whose positions are in row-major order.
    """

    def __init__(
        self,
        origin: Origin,
        target: ScaledFormat,
        shape: tuple[int, ...],
        device: Device,
        draws: Draws,
    ) -> None:
        super().__init__(origin, target, shape, device)
        self._draws = draws
        if self.on_cpu is not None:
            cpu = find_device("cpu")
            self.on_cpu = StochasticScaledCasting(origin, target, shape, cpu, draws)

    def elements(self, source: SourceBlock, start: int) -> Elements:
        """As of every scaled cast; takes in what is expected of all draws."""
        nearest = super().elements(source, start)
        found = element_chances(source.value, nearest, self.target, source.low)
        draws = self._draws
        words = words_at(draws.seed, draws.tensor, draws.first + start, len(source.x))
        up = goes_away(found.distance, draws.rounding, words.to(found.distance.device))
        more = measure_element_chances(found, source, nearest, up, self.target, draws.rounding)
        self.stats.take(more, nowhere)
        return drawn(nearest, found, up, self.target)

    def measured(
        self, source: SourceBlock, start: int, where: Where, measure: ScaledMeasurer
    ) -> Callable[[], object]:
        """As of every scaled cast, which no other measurer makes by draws."""
        return partial(self.take, source, start, where)


def measure_element_chances(
    found: ElementChances,
    source: SourceBlock,
    nearest: Elements,
    up: Tensor,
    target: ScaledFormat,
    rounding: Stochastic,
) -> Measurement:
    """As `fpx.measure.stochastic_casting.measure_chances`, of elements with scales.

    Errors are in gaps between elements, times the step. Where a scale is 0, everything becomes 0.

    Args:
        found: the numbers, between their elements.
        source: the same.
        nearest: the elements nearest to them.
        up: which ones a draw took away from zero, bools (n,).
        target, rounding: of the cast.
    """
    ratio, chance = nearest.ratio, away(found.distance, rounding)
    dead = (nearest.step == 0) & ratio.isfinite()
    within = dead | (found.live & ~found.beyond & ~found.last)
    error = torch.where(dead, -ratio.abs() / quantum_of(ratio, target), chance - found.distance)
    error = torch.copysign(torch.ones_like(ratio), ratio) * error
    to_nearest = (nearest.element - ratio) / quantum_of(ratio, target)
    to_zero = (dead | found.live) & (found.nearer == 0) & (source.value != 0)

    def total(values: Tensor, where: Tensor) -> float:
        return float(torch.where(where, values, 0.0).sum(dtype=torch.float64))

    def count(where: Tensor) -> int:
        return int(where.count_nonzero())

    return Measurement(
        counts={
            "steady_count": count(within),
            "nearest_underflow_count": count(to_zero & (nearest.element == 0)),
            "drawn_overflow_count": count(found.beyond | (found.last & up)),
        },
        sums={
            "expected_error_ulp": total(error, within),
            "nearest_error_ulp": total(to_nearest, within),
            "expected_underflow_count": total(1.0 - chance, to_zero),
            "expected_overflow_count": float(count(found.beyond)) + total(chance, found.last),
        },
    )
