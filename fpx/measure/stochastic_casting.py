"""A cast that rounds stochastically: one draw, beside what is expected and what nearest does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from fpx.casts.random_words import words_at
from fpx.casts.stochastic import Chances, away, chances, goes_away, round_away
from fpx.casts.values import numbers
from fpx.core.policy import Stochastic
from fpx.core.spec import FormatSpec
from fpx.measure.block import SourceBlock
from fpx.measure.casting import Casting, Where
from fpx.measure.measurement import Measurement, Measurer
from fpx.report.cast_row import Location
from fpx.tensors.dtypes import container


@dataclass
class StochasticCasting(Casting):
    """One cast of a tensor, by draws that depend on seed, name and position alone.

    Attributes:
        rounding: what the draws follow.
        seed: of all of them.
        tensor: the name, by which tensors draw differently.
    """

    rounding: Stochastic = Stochastic()  # noqa: RUF009 - it is frozen
    seed: int = 0
    tensor: str = ""

    @property
    def elementwise(self) -> bool:
        """As `Casting.elementwise`: a draw is of a position."""
        return False

    def codes(self, x: Tensor, start: int = 0) -> Tensor:
        """As `Casting.codes`."""
        found = self._chances(x)
        return round_away(found, self._up(found, start), self.target)

    def results(self, x: Tensor, start: int = 0) -> Tensor:
        """As `Casting.results`."""
        return numbers(self.codes(x, start), self.target)

    def measured(
        self, source: SourceBlock, q: Tensor, where: Where, measure: Measurer, start: int = 0
    ) -> Callable[[], None]:
        """As `Casting.measured`, with what is expected of all draws."""
        take = super().measured(source, q, where, measure)
        found = self._chances(source.x)
        more = measure_chances(found, self._up(found, start), self.target, self.rounding)

        def take_both() -> None:
            take()
            self.stats.take(more, nowhere)

        return take_both

    def _chances(self, x: Tensor) -> Chances:
        return chances(x.view(container(self.origin)), self.origin, self.target)

    def _up(self, found: Chances, start: int) -> Tensor:
        words = words_at(self.seed, self.tensor, start, len(found.distance))
        return goes_away(found.distance, self.rounding, words.to(found.distance.device))


def nowhere(position: int) -> Location:
    """Where something is of which no place is kept."""
    raise AssertionError("counts and sums are nowhere")


def measure_chances(
    found: Chances, up: Tensor, target: FormatSpec, rounding: Stochastic
) -> Measurement:
    """What a block is expected to become over all draws, and what nearest makes of it.

    Errors are of numbers that no draw takes beyond the largest value; they are in ulps, with the
    sign of q - x. Sums are in float64.

    Args:
        found: the numbers.
        up: which ones a draw took away from zero, bools (n,).
        target, rounding: of the cast.
    """
    x, magnitude, distance = found.numbers, found.magnitude, found.distance
    top = target.max_finite_magnitude
    chance = away(distance, rounding)
    number = ~(x.nan | x.infinite)
    nearest = (distance > 0.5) | ((distance == 0.5) & (magnitude & 1 != 0))
    last = number & (magnitude == top)
    within = ~found.certain & ((magnitude < top) | (last & (distance == 0)))
    if not target.signed:  # what is below zero may become NaN
        within &= ~x.negative
    sign = torch.where(x.negative, -1.0, 1.0).to(torch.float64)
    to_zero = ~found.certain & (magnitude == 0) & (x.significand != 0) & target.zero

    def total(values: Tensor, where: Tensor) -> float:
        return float(torch.where(where, values, 0.0).sum(dtype=torch.float64))

    beyond = number & (magnitude > top)
    return Measurement(
        counts={
            "steady_count": int(within.count_nonzero()),
            "nearest_underflow_count": int((to_zero & ~nearest).count_nonzero()),
            "drawn_overflow_count": int((beyond | (last & up)).count_nonzero()),
        },
        sums={
            "expected_error_ulp": total(sign * (chance - distance), within),
            "nearest_error_ulp": total(sign * (nearest.to(torch.float64) - distance), within),
            "expected_underflow_count": total(1.0 - chance, to_zero),
            "expected_overflow_count": float(beyond.count_nonzero()) + total(chance, last),
        },
    )
