"""A parameter and its optimizer's state: what the update does in some formats, in one pass."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import lcm

import torch

from fpx.core.policy import Stochastic
from fpx.core.spec import FormatSpec
from fpx.core.targets import Target
from fpx.tensors.entry import TensorEntry
from fpx.tensors.progress import Progress
from fpx.training.optimizers import Optimizer
from fpx.training.state_loss import Keeping, Lost
from fpx.training.updates import Largest, Moved, Moving, together

BLOCK = 1 << 17
"""Elements that are read at a time."""


@dataclass
class Kept:
    """What became of the moments of a parameter in a format.

    Attributes:
        target: the format.
        lost: what it cost them.
        largest: the largest step that they make there.
    """

    target: Target
    lost: Lost
    largest: Largest

    def add(self, other: Kept) -> None:
        """Takes in what was found of others, in the same format."""
        self.lost.add(other.lost)
        self.largest.add(other.largest)


@dataclass
class Found:
    """What was found of a parameter.

    Attributes:
        moved: of each format of weights; none without a weight.
        kept: of each format of the state.
        largest: the largest step with the state as it is stored.
    """

    moved: list[Moved]
    kept: list[Kept]
    largest: Largest

    def add(self, other: Found) -> None:
        """Takes in what was found of another piece of it."""
        for moved, more in zip(self.moved, other.moved, strict=True):
            moved.add(more)
        for kept, others in zip(self.kept, other.kept, strict=True):
            kept.add(others)
        self.largest.add(other.largest)


def followed(
    optimizer: Optimizer,
    weight: TensorEntry | None,
    moments: Sequence[TensorEntry],
    weights_to: Sequence[FormatSpec],
    states_to: Sequence[Target],
    progress: Progress,
    rounding: Stochastic | None = None,
) -> Found:
    """What the update of a parameter does, and what becomes of its state.

    Args:
        optimizer: its optimizer.
        weight: its weight; None where that is not known.
        moments: those of `optimizer.slots`, all of one shape, the weight's.
        weights_to: formats of the weight.
        states_to: formats of the moments.
        progress: hears how far it is.
        rounding: of weights and updates, see `fpx.training.updates.Moving`.

    Raises:
        InputError: damage that shows only in the data, or a scaled format has no such shape.
    """
    moving = [] if weight is None else [Moving(optimizer, spec, rounding) for spec in weights_to]
    keeping = [Keeping(optimizer, target, moments) for target in states_to]
    width = lcm(*(keep.width for keep in keeping))
    surveyed = [keep for keep in keeping if keep.needs_survey]
    if surveyed:
        start = 0
        for blocks in together(moments, BLOCK, width):
            for keep in surveyed:
                keep.survey(blocks, start)
            start += len(blocks[0])
    for keep in keeping:
        keep.prepare()
    largest = Largest()
    sides = [*moments, *([weight] if moving and weight is not None else [])]
    for blocks in together(sides, BLOCK, width):
        stored = blocks[: len(moments)]
        exact = [block.to(torch.float64) for block in stored]
        largest.take(optimizer.update(torch.zeros_like(exact[0]), exact).step, optimizer.lr)
        for move in moving:
            move.take(blocks[-1], exact)
        for keep in keeping:
            keep.take(stored, exact)
        progress.advance(len(exact[0]))
    return Found(
        [move.moved for move in moving],
        [Kept(keep.target, keep.lost, keep.largest) for keep in keeping],
        largest,
    )
