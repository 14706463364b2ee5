"""Rows of `fpx step-compare`: what steps, updates and trainings do to weights, or to states."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from fractions import Fraction
from types import MappingProxyType
from typing import ClassVar

from fpx.report.base import JsonValue, share, to_json
from fpx.words import escape

STILL_RATE = 0.5
"""Share of the weights from which on they stand still, where nobody says another."""


class Motion(Enum):
    """Whether weights move, in a word; the better one first."""

    MOVES = "moves"
    STANDS_STILL = "stands still"


class Survival(Enum):
    """Whether the state of an optimizer can be kept in a format, in words; the best first."""

    SURVIVES = "survives"
    CANNOT_DECAY = "cannot decay"
    """So many values of a moment are such that no step can make them smaller."""
    VANISHES = "vanishes"
    """So many first moments become 0 that there is hardly an update."""
    BREAKS = "breaks"
    """A moment is infinite or NaN, or a second moment became 0 under a first one that did not."""


def decimal(value: float) -> Fraction:
    """A number as the JSON entry writes it: a share of 9 in 10 is 0.9, and not above it."""
    return Fraction(value) if isinstance(value, int) else Fraction(repr(value))


@dataclass(frozen=True)
class StepRow:
    """A row of any kind.

    Attributes:
        kind: which.
        measured: the names of its numbers; 1 of those that had better be small, -1 of those that
            had better be large, and 0.
        verdicts: what it may come to, the best first.
        flags: those but the best, as conditions name them.
        source, tensor: whose row it is.
        from_, to: the format that the numbers are stored in, and that which they would be kept in.
        count: all elements.
    """

    kind: ClassVar[str]
    measured: ClassVar[Mapping[str, int]]
    verdicts: ClassVar[type[Motion | Survival]]
    flags: ClassVar[tuple[str, ...]]

    source: str
    tensor: str
    from_: str
    to: str
    count: int

    @property
    def verdict(self) -> Motion | Survival:
        """What it comes to."""
        raise NotImplementedError(f"{type(self).__name__} has no verdict")

    @property
    def title(self) -> str:
        """Which row it is, in a line."""
        return escape(f"{self.source} {self.tensor} -> {self.to}")

    def identity(self) -> dict[str, JsonValue]:
        """The keys of its JSON entry that tell which row it is."""
        return {
            "kind": self.kind, "source": self.source, "tensor": self.tensor, "from": self.from_,
            "to": self.to,
        }  # fmt: skip

    def numbers(self) -> Mapping[str, Fraction | int | None]:
        """What conditions may be about: `measured` where there is such a number, and `flags`."""
        found = {name: getattr(self, name) for name in (*self.measured, *self.flags)}
        return {name: decimal(value) for name, value in found.items() if value is not None}

    def to_dict(self) -> dict[str, JsonValue]:
        """Its JSON entry."""
        return {
            **self.identity(),
            "verdict": self.verdict.value,
            "count": self.count,
            **{name: to_json(getattr(self, name)) for name in self.measured},
        }

    def badness(self) -> tuple[float, ...]:
        """Sort key: the worst first."""
        raise NotImplementedError(f"{type(self).__name__} has no order")


@dataclass(frozen=True)
class WeightRow(StepRow):
    """A row on weights, of which some move and others do not.

    Attributes:
        unmoved_count: weights that stay what they are.
        still_rate: share of them from which on the tensor stands still.
    """

    verdicts = Motion
    flags = ("stands_still",)

    unmoved_count: int
    still_rate: float

    @property
    def comparable_count(self) -> int:
        """The elements of which it can be said whether they move."""
        return self.count

    @property
    def unmoved_rate(self) -> float:
        """The share of unmoved weights, 0 to 1."""
        return share(self.unmoved_count, self.comparable_count)

    @property
    def stands_still(self) -> bool:
        """Whether the tensor does."""
        return self.unmoved_count > 0 and self.unmoved_rate >= self.still_rate

    @property
    def verdict(self) -> Motion:
        """Whether they move."""
        return Motion.STANDS_STILL if self.stands_still else Motion.MOVES

    def badness(self) -> tuple[float, ...]:
        """Sort key: the largest share that stands still first, then the largest tensor."""
        return (-self.unmoved_rate, -self.count)


@dataclass(frozen=True)
class GivenStepRow(WeightRow):
    """What a step of a given size does to the weights of a tensor.

    The weights are rounded to the format; then the step is added or subtracted exactly, and the
    result rounded once more, to nearest, ties to even. Unmoved are those that stay either way.

    Attributes:
        not_finite_count: weights that are infinite or NaN there, of which nothing else is counted.
        one_way_count: weights that move in one direction alone: the first of each binade has its
            neighbours at two distances.
        half_step, most_step: every longer step moves at least half, or 99 %, of the weights, up or
            down; None where there are none.
        expected_moved_count: how many weights move on the average, up or down alike, if sums are
            rounded stochastically; None where that was not asked for.
        never_moved_count: those that then never move, since random bits are too few.
    """

    kind = "step"
    measured = MappingProxyType({
        "not_finite_count": 1, "unmoved_count": 1, "unmoved_rate": 1, "one_way_count": 0,
        "half_step": 1, "most_step": 1, "expected_moved_count": -1, "never_moved_count": 1,
    })  # fmt: skip

    not_finite_count: int
    one_way_count: int
    half_step: float | None
    most_step: float | None
    expected_moved_count: float | None = None
    never_moved_count: int | None = None

    @property
    def comparable_count(self) -> int:
        """The finite weights."""
        return self.count - self.not_finite_count


@dataclass(frozen=True)
class UpdateRow(WeightRow):
    """What an optimizer's update does to the weights of a parameter.

    Attributes:
        optimizer: whose update.
        undefined_count: elements whose weight, moments or update are no finite numbers, of which
            nothing else is counted.
        lost_count: of the unmoved weights, those whose update is not 0.
        max_update: the largest step of the optimizer, the decay of weights aside, over the learning
            rate; None where there is none.
        expected_moved_count: as of `GivenStepRow`, measured in float64.
    """

    kind = "update"
    measured = MappingProxyType({
        "undefined_count": 1, "unmoved_count": 1, "unmoved_rate": 1, "lost_count": 1,
        "max_update": 0, "expected_moved_count": -1,
    })  # fmt: skip

    optimizer: str
    undefined_count: int
    lost_count: int
    max_update: float | None
    expected_moved_count: float | None = None

    @property
    def comparable_count(self) -> int:
        """The weights whose update is a number."""
        return self.count - self.undefined_count


@dataclass(frozen=True)
class ChangeRow(WeightRow):
    """What became of the weights of a tensor between two checkpoints.

    Attributes:
        lost_count: weights whose stored value changed, and not their code in the format.
        special_count: of those that moved, weights that are infinite or NaN before or after.
        zero_sign_count: zeros that changed their sign, which count as moved.
        distances: how many of all others that moved did so by how many codes, by powers of two: up
            to 1, up to 2, up to 4, ….
        max_distance: the most codes.
        change_bytes: what it takes to tell the change: by `change_form`.
        change_form: `places` is the codes that moved, each with its place (4 bytes; 8 from 2^32
            elements on); `bits` is a bit for each place, and the codes that moved; `whole` is all
            codes; `mixed` is of several tensors.
        whole_bytes: all codes.
    """

    kind = "change"
    measured = MappingProxyType({
        "moved_count": 0, "unmoved_count": 1, "unmoved_rate": 1, "lost_count": 1,
        "special_count": 1, "zero_sign_count": 0, "max_distance": 0, "change_bytes": 0,
        "whole_bytes": 0,
    })  # fmt: skip

    lost_count: int
    special_count: int
    zero_sign_count: int
    distances: Mapping[int, int]
    max_distance: int
    change_bytes: int
    change_form: str
    whole_bytes: int

    @property
    def moved_count(self) -> int:
        """The weights whose code changed."""
        return self.count - self.unmoved_count

    def to_dict(self) -> dict[str, JsonValue]:
        """Its JSON entry."""
        return {
            **super().to_dict(),
            "change_form": self.change_form,
            "distances": to_json(self.distances),
        }


@dataclass(frozen=True)
class StateRow(StepRow):
    """What the moments of a parameter become in a format.

    The first moment is `exp_avg` or `momentum_buffer`, the second `exp_avg_sq` (with amsgrad
    `max_exp_avg_sq`). Of an optimizer without a second moment, what is said of it is None.

    Attributes:
        optimizer: whose state.
        not_finite_count: elements of which a moment becomes infinite or NaN.
        first_zero_count, second_zero_count: moments that become 0.
        second_lost_count: of the latter, those whose first moment stays another number than 0.
        first_stuck_count, second_stuck_count: moments, not 0, that a multiplication by their beta
            leaves as they are; None where they are not multiplied, and of formats with scales.
        first_left_count, second_left_count: moments that are finite there and not 0.
        max_update: the largest step that the optimizer makes of them, the decay of weights aside,
            over the learning rate; None where there is none.
        eps_is_zero: whether eps rounds to 0; None where there is no eps, or no plain format.
        still_rate: share of moments that is too much, of those that become 0 or are stuck.
    """

    kind = "state"
    verdicts = Survival
    measured = MappingProxyType({
        "not_finite_count": 1, "first_zero_count": 1, "second_zero_count": 1,
        "second_lost_count": 1, "first_stuck_count": 1, "second_stuck_count": 1,
        "first_left_count": 0, "second_left_count": 0, "stuck_rate": 1, "max_update": 0,
        "eps_is_zero": 1,
    })  # fmt: skip
    flags = ("breaks", "vanishes", "cannot_decay")

    optimizer: str
    not_finite_count: int
    first_zero_count: int
    second_zero_count: int | None
    second_lost_count: int | None
    first_stuck_count: int | None
    second_stuck_count: int | None
    first_left_count: int
    second_left_count: int | None
    max_update: float | None
    eps_is_zero: bool | None
    still_rate: float

    @property
    def stuck_rate(self) -> float:
        """The larger share of either moment that is stuck, 0 to 1."""
        return max(
            share(self.first_stuck_count or 0, self.first_left_count),
            share(self.second_stuck_count or 0, self.second_left_count or 0),
        )

    @property
    def breaks(self) -> bool:
        """Whether a moment is no number any more, or is divided by eps alone."""
        return self.not_finite_count > 0 or (self.second_lost_count or 0) > 0

    @property
    def vanishes(self) -> bool:
        """Whether it does not break, and too many first moments become 0."""
        rate = share(self.first_zero_count, self.first_zero_count + self.first_left_count)
        return not self.breaks and 0 < rate >= self.still_rate

    @property
    def cannot_decay(self) -> bool:
        """Whether it does neither, and too many moments are stuck."""
        kept = not (self.breaks or self.vanishes)
        return kept and 0 < self.stuck_rate >= self.still_rate

    @property
    def verdict(self) -> Survival:
        """Whether the state survives."""
        if self.breaks:
            return Survival.BREAKS
        if self.vanishes:
            return Survival.VANISHES
        return Survival.CANNOT_DECAY if self.cannot_decay else Survival.SURVIVES

    @property
    def title(self) -> str:
        """Which row it is, in a line."""
        return escape(f"{self.source} {self.tensor}: state -> {self.to}")

    def badness(self) -> tuple[float, ...]:
        """Sort key: the worst verdict first, then the largest share that breaks or is stuck."""
        lost = self.not_finite_count + (self.second_lost_count or 0)
        rank = tuple(self.verdicts).index(self.verdict)
        return (-rank, -share(lost, self.count), -self.stuck_rate, -self.count)


ROWS: tuple[type[StepRow], ...] = (GivenStepRow, UpdateRow, ChangeRow, StateRow)
"""Every kind of row."""
