"""Who is moved by an update: the weights of a parameter in some formats, exactly.

Float64 decides where its error cannot matter; the few weights that are as good as halfway between
two values are decided by exact arithmetic.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor

from fpx.casts.values import values
from fpx.core.policy import Stochastic
from fpx.core.spec import FormatSpec
from fpx.tensors.entry import TensorEntry
from fpx.training.chance import probabilities
from fpx.training.optimizers import Optimizer
from fpx.training.steps import class_count, classes, finite_classes, reach, rounded

_SUBTRACTION = 2.0**-50  # a distance of two float64s is known to that part of them


@dataclass
class Moved:
    """What updates did to the weights of a parameter in one format.

    Attributes:
        spec: the format.
        count: all weights.
        undefined: those whose weight, moments or update are no finite numbers.
        zero: those whose update is 0.
        lost: those that stay although it is not.
        expected: how many move on the average, if sums are rounded stochastically.
    """

    spec: FormatSpec
    count: int = 0
    undefined: int = 0
    zero: int = 0
    lost: int = 0
    expected: float = 0.0

    def add(self, other: Moved) -> None:
        """Takes in what was found of others."""
        self.count += other.count
        self.undefined += other.undefined
        self.zero += other.zero
        self.lost += other.lost
        self.expected += other.expected


@dataclass
class Largest:
    """The largest step of an optimizer, without the decay of weights, over the learning rate.

    Attributes:
        value: it; None while there is none.
    """

    value: float | None = None

    def take(self, step: Tensor, lr: Fraction) -> None:
        """Takes in steps, of which those that are NaN do not count."""
        if not lr:
            return
        sizes = step.abs() / float(lr)
        sizes = sizes[sizes.isfinite()]
        if len(sizes):
            largest = float(sizes.max())
            self.value = largest if self.value is None else max(self.value, largest)

    def add(self, other: Largest) -> None:
        """Takes in what was found of others."""
        if other.value is not None:
            self.value = other.value if self.value is None else max(self.value, other.value)


class Limits(NamedTuple):
    """By class of values: the step that it takes to move them, float64, and whether more than it.

    A limit that float64 has no room for is NaN.
    """

    away: Tensor
    toward: Tensor
    closed: Tensor


@lru_cache(maxsize=64)
def limits(spec: FormatSpec) -> Limits:
    """Those of a format."""
    away = torch.full((class_count(spec),), torch.nan, dtype=torch.float64)
    toward, closed = away.clone(), torch.zeros_like(away, dtype=torch.bool)
    for number in finite_classes(spec):
        its = reach(number, spec)
        away[number] = torch.inf if its.away is None else _exact(its.away)
        toward[number] = _exact(its.toward)
        closed[number] = its.closed
    return Limits(away, toward, closed)


def _exact(length: Fraction) -> float:
    return found if (found := float(length)) == length else torch.nan


class Moving:
    """The weights of one parameter, and what its updates do to them in a format.

    Args:
        optimizer: whose updates.
        spec: the format that weights are rounded to first.
        rounding: of the sums, for `Moved.expected`; None is to nearest alone.
    """

    def __init__(
        self, optimizer: Optimizer, spec: FormatSpec, rounding: Stochastic | None = None
    ) -> None:
        self.optimizer, self.moved, self.rounding = optimizer, Moved(spec), rounding

    def take(self, weights: Tensor, moments: Sequence[Tensor]) -> None:
        """Takes in a block.

        Args:
            weights: of shape (n,), as they are stored.
            moments: float64 of shape (n,) each.
        """
        spec, found = self.moved.spec, self.moved
        codes = rounded(weights, spec)
        kinds, held = classes(codes, spec), values(codes, spec)
        update = self.optimizer.update(held, moments)
        defined = held.isfinite() & ~update.total.isnan()
        for moment in moments:
            defined &= moment.isfinite()
        size = update.total.abs()
        table = limits(spec)
        toward = ((update.total > 0) != (held > 0)) & (held != 0)
        limit = torch.where(toward, table.toward[kinds], table.away[kinds])
        slack = update.error + (size + limit) * _SUBTRACTION
        stays = size < limit
        zero = (update.step == 0) & (size == 0)
        # an update that is 0 is far from every limit; one that may be is looked at
        near = ~((size - limit).abs() > slack) & ~limit.isinf() & ~zero
        unsure = defined & (near | ~update.sure | ((size <= update.error) & ~zero))
        found.count += len(codes)
        found.undefined += int((~defined).count_nonzero())
        clear = defined & ~unsure
        found.zero += int((clear & zero).count_nonzero())
        found.lost += int((clear & stays & ~zero).count_nonzero())
        if self.rounding is not None:
            moves = probabilities(size / (2 * limit), toward, self.rounding)
            found.expected += float(moves[defined].nansum())
        if unsure.any():
            self._decide(held[unsure], [moment[unsure] for moment in moments], kinds[unsure])

    def _decide(self, held: Tensor, moments: Sequence[Tensor], kinds: Tensor) -> None:
        """Takes in weights one by one, exactly; those that agree in everything once."""
        rows = torch.stack([part.view(torch.int64) for part in (held, *moments)] + [kinds])
        once, counts = torch.unique(rows, dim=1, return_counts=True)
        numbers = once[:-1].contiguous().view(torch.float64).T.tolist()
        for row, kind, count in zip(numbers, once[-1].tolist(), counts.tolist(), strict=True):
            weight, *rest = map(Fraction, row)
            compared = self.optimizer.compare(weight, rest, Fraction(0))
            if compared == 0:
                self.moved.zero += count
            elif not self._leaves(weight, rest, kind, compared):
                self.moved.lost += count

    def _leaves(self, weight: Fraction, moments: Sequence[Fraction], kind: int, sign: int) -> bool:
        """Whether an update of that sign takes a weight to another value."""
        its = reach(kind, self.moved.spec)
        length = its.toward if (sign > 0) != (weight > 0) else its.away
        if length is None:
            return False
        beyond = sign * self.optimizer.compare(weight, moments, sign * length)
        return beyond > 0 or (beyond == 0 and not its.closed)


def together(
    entries: Sequence[TensorEntry], limit: int, multiple_of: int = 1
) -> Iterator[list[Tensor]]:
    """Blocks of tensors of one shape, in row-major order, side by side and of one length.

    Args:
        entries: the tensors.
        limit: elements of a block, at most.
        multiple_of: as of `TensorEntry.blocks`.

    Raises:
        InputError: damage that shows only in their data.
    """
    sides = [entry.blocks(limit, row_major=True, multiple_of=multiple_of) for entry in entries]
    left = entries[0].count
    held: list[Tensor | None] = [None] * len(sides)
    while left:
        blocks = [
            next(blocks) if rest is None else rest for blocks, rest in zip(sides, held, strict=True)
        ]
        length = min(map(len, blocks))
        yield [block[:length] for block in blocks]
        left -= length
        held = [block[length:] if len(block) > length else None for block in blocks]
