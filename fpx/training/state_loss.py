"""What the moments of an optimizer become in another format, and what that makes of its update."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from fpx.casts.device import find_device
from fpx.casts.values import values
from fpx.core.scaling import ScaledFormat
from fpx.core.spec import FormatSpec
from fpx.core.targets import Target
from fpx.measure.block import SourceBlock
from fpx.measure.scaled_casting import ScaledCasting
from fpx.tensors.dtypes import origin_of
from fpx.tensors.entry import TensorEntry
from fpx.training.decay import stuck
from fpx.training.optimizers import Optimizer
from fpx.training.steps import rounded
from fpx.training.updates import Largest


@dataclass
class Lost:
    """What became of moments in a format.

    Attributes:
        count: elements of each.
        not_finite: elements of which a moment that was finite is not any more.
        first_zero, second_zero: moments that became 0.
        second_lost: second moments that became 0 where the first is not 0: it is divided by eps.
        first_stuck, second_stuck: moments that the next steps cannot make smaller.
        first_left, second_left: moments that are not 0 there, of which those are.
    """

    count: int = 0
    not_finite: int = 0
    first_zero: int = 0
    second_zero: int = 0
    second_lost: int = 0
    first_stuck: int = 0
    second_stuck: int = 0
    first_left: int = 0
    second_left: int = 0

    def add(self, other: Lost) -> None:
        """Takes in what was found of others."""
        for item in fields(self):
            setattr(self, item.name, getattr(self, item.name) + getattr(other, item.name))


class Keeping:
    """The moments of one parameter, kept in a format.

    Args:
        optimizer: whose moments.
        target: the format, which may have scales.
        entries: the moments, of one shape.
    """

    def __init__(
        self, optimizer: Optimizer, target: Target, entries: Sequence[TensorEntry]
    ) -> None:
        self.optimizer, self.target = optimizer, target
        self.lost, self.largest = Lost(), Largest()
        self._start = 0
        self._casts: list[ScaledCasting] = []
        if isinstance(target, ScaledFormat):
            cpu = find_device("cpu")
            self._casts = [
                ScaledCasting(origin_of(entry.dtype), target, entry.shape, cpu) for entry in entries
            ]

    @property
    def needs_survey(self) -> bool:
        """Whether the moments have to be seen before they are taken."""
        return any(cast.needs_survey for cast in self._casts)

    @property
    def width(self) -> int:
        """A block has whole groups of so many elements."""
        return next((cast.width for cast in self._casts if cast.width is not None), 1)

    def survey(self, blocks: Sequence[Tensor], start: int) -> None:
        """Looks at blocks that begin there."""
        for cast, block in zip(self._casts, blocks, strict=True):
            cast.survey(SourceBlock(block), start)

    def prepare(self) -> None:
        """Works out scales, once everything was surveyed."""
        for cast in self._casts:
            cast.prepare()

    def take(self, blocks: Sequence[Tensor], moments: Sequence[Tensor]) -> None:
        """Takes in blocks.

        Args:
            blocks: the moments as they are stored, of shape (n,).
            moments: the same as float64.
        """
        found = self.lost
        kept = [self._kept(at, block) for at, block in enumerate(blocks)]
        broken = torch.zeros_like(moments[0], dtype=torch.bool)
        for before, after in zip(moments, kept, strict=True):
            broken |= before.isfinite() & ~after.isfinite()
        found.count += len(broken)
        found.not_finite += int(broken.count_nonzero())
        zero = [after == 0 for after in kept]
        gone = [none & (before != 0) for none, before in zip(zero, moments, strict=True)]
        left = [~none & after.isfinite() for none, after in zip(zero, kept, strict=True)]
        found.first_zero += int(gone[0].count_nonzero())
        found.first_left += int(left[0].count_nonzero())
        if len(kept) > 1:
            found.second_zero += int(gone[1].count_nonzero())
            found.second_left += int(left[1].count_nonzero())
            found.second_lost += int((gone[1] & left[0]).count_nonzero())
        self.largest.take(self.optimizer.update(torch.zeros_like(kept[0]), kept).step,
                          self.optimizer.lr)  # fmt: skip
        self._start += len(broken)

    def _kept(self, at: int, block: Tensor) -> Tensor:
        """What a block of one of the moments becomes, float64; counts what is stuck in it."""
        if self._casts:
            return self._casts[at].take(SourceBlock(block), self._start, lambda place: ("", ()))
        assert isinstance(self.target, FormatSpec)
        codes = rounded(block, self.target)
        decay = self.optimizer.decays[at]
        if decay is not None:
            count = int(stuck(codes, self.target, decay).count_nonzero())
            if at:
                self.lost.second_stuck += count
            else:
                self.lost.first_stuck += count
        return values(codes, self.target)
