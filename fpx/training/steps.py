"""Which steps move a value of a format, that is rounded after them: to nearest, ties to even.

How far a value is from those that round to its neighbours depends on its binade, on whether it is
the first of it, and on whether its code is even. Codes that agree in these share a *class*, so that
a tensor of any size is a short table of counts, of which every question is answered exactly.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor

from fpx.casts.rounding import round_codes
from fpx.core.dyadic import Dyadic
from fpx.core.interval import midpoint_above, rounding_interval
from fpx.core.spec import FormatSpec
from fpx.errors import InputError
from fpx.measure.apart import finite
from fpx.tensors.dtypes import codes_of, origin_of

KINDS = 4
"""Classes of a binade: its first value, odd ones, other even ones, the largest of the format."""


class Reach(NamedTuple):
    """How far a finite value can be stepped from and rounds to itself.

    Attributes:
        away: the longest such step to larger magnitudes; None if no step is too long.
        toward: the longest such step to zero and beyond; for zero the same as `away`.
        closed: whether a step of exactly that length is one.
        zero: whether the value is 0, from which every step leads away.
    """

    away: Fraction | None
    toward: Fraction
    closed: bool
    zero: bool = False

    def stays(self, step: Fraction, toward: bool) -> bool:
        """Whether the value stays under a step of that length, at least 0, towards zero or away."""
        limit = self.toward if toward else self.away
        return limit is None or step < limit or (self.closed and step == limit)


def check_steps(spec: FormatSpec) -> None:
    """Refuses a format that no weights are kept in.

    Raises:
        InputError: it has no sign or no zero.
    """
    if not (spec.signed and spec.zero):
        raise InputError(
            f"{spec.name} has no {'zero' if spec.signed else 'sign'}: numbers that take steps "
            "need both"
        )


def class_count(spec: FormatSpec) -> int:
    """How many classes there are, that of what is not finite among them: it is the last."""
    return (KINDS << spec.exponent_bits) + 1


def finite_classes(spec: FormatSpec) -> Iterator[int]:
    """The classes that have values, which are finite ones."""
    for field in range((spec.max_finite_magnitude >> spec.fraction_bits) + 1):
        for kind in range(min(KINDS - 1, 1 << spec.fraction_bits)):
            if (field << spec.fraction_bits) + kind < spec.max_finite_magnitude:
                yield field * KINDS + kind
    yield _class_of_largest(spec)


def classes(codes: Tensor, spec: FormatSpec) -> Tensor:
    """The class of each code.

    Args:
        codes: of shape (n,), in the format's `container`.
        spec: see `check_steps`.

    Returns:
        int64 of shape (n,), from 0 to `class_count` - 1.
    """
    magnitude = codes.to(torch.int64) & spec.magnitude_mask
    fraction = magnitude & ((1 << spec.fraction_bits) - 1)
    found = (magnitude >> spec.fraction_bits) * KINDS
    found += torch.where(fraction == 0, 0, 2 - (fraction & 1))
    found.masked_fill_(magnitude == spec.max_finite_magnitude, _class_of_largest(spec))
    return found.masked_fill_(~finite(codes, spec), class_count(spec) - 1)


def significands(codes: Tensor, spec: FormatSpec) -> Tensor:
    """Each finite value in ulps of its binade, without its sign: int64 of shape (n,)."""
    magnitude = codes.to(torch.int64) & spec.magnitude_mask
    fraction = magnitude & ((1 << spec.fraction_bits) - 1)
    return fraction + ((magnitude >> spec.fraction_bits != 0).to(torch.int64) << spec.fraction_bits)


def _class_of_largest(spec: FormatSpec) -> int:
    return (spec.max_finite_magnitude >> spec.fraction_bits) * KINDS + 3


@lru_cache(maxsize=1 << 16)
def reach(number: int, spec: FormatSpec) -> Reach:
    """The reach of the values of a class, one of `finite_classes`."""
    field, kind = divmod(number, KINDS)
    magnitude = (field << spec.fraction_bits) + kind  # the first of the binade, and two after it
    if kind == 3:
        magnitude = spec.max_finite_magnitude
    if magnitude == 0:  # both zeros are one value
        half = midpoint_above(0, spec).fraction
        return Reach(half, half, closed=True, zero=True)
    interval = rounding_interval(magnitude, spec)
    assert interval is not None
    assert interval.low is not None
    value = spec.finite(magnitude)
    return Reach(
        None if interval.high is None else _length(value, interval.high),
        _length(interval.low, value),
        interval.low_closed,
    )


def _length(low: Dyadic, high: Dyadic) -> Fraction:
    return high.minus(low).fraction


def rounded(block: Tensor, spec: FormatSpec) -> Tensor:
    """A block of a tensor in a format: correctly rounded codes, in the format's `container`."""
    origin = origin_of(block.dtype)
    codes = codes_of(block)
    return codes if origin == spec else round_codes(codes, origin, spec)


class Standing(NamedTuple):
    """What a step does to values, either way.

    Attributes:
        unmoved: values that it moves neither up nor down.
        one_way: values that it moves in one of the two directions alone.
        finite: all that are numbers.
    """

    unmoved: int
    one_way: int
    finite: int


class Counts:
    """How many values of a format are in each class.

    Args:
        spec: the format.
    """

    def __init__(self, spec: FormatSpec) -> None:
        check_steps(spec)
        self.spec = spec
        self.table = torch.zeros(class_count(spec), dtype=torch.int64)

    def take(self, codes: Tensor) -> None:
        """Takes in codes of shape (n,), in the format's `container`."""
        self.table += torch.bincount(classes(codes, self.spec), minlength=len(self.table))

    def add(self, other: Counts) -> None:
        """Takes in what somebody else counted."""
        self.table += other.table

    @property
    def not_finite(self) -> int:
        """Infinities and NaNs."""
        return int(self.table[-1])

    def reaches(self) -> Iterable[tuple[Reach, int]]:
        """How far finite values reach, and how many of them so far."""
        for number in self.table[:-1].nonzero().view(-1).tolist():
            yield reach(number, self.spec), int(self.table[number])

    def under(self, step: Fraction) -> Standing:
        """What a step of that length, at least 0, does to them."""
        unmoved = one_way = total = 0
        for found, count in self.reaches():
            stay = [found.stays(step, toward) for toward in (False, True)]
            unmoved += count * all(stay)
            one_way += count * (any(stay) and not all(stay))
            total += count
        return Standing(unmoved, one_way, total)

    def step_that_moves(self, share: Fraction) -> Fraction | None:
        """The number above which every step moves at least that share of them, up or down.

        None where there are none.
        """
        # no value reaches further towards zero than away from it
        found = sorted((reach.toward, count) for reach, count in self.reaches())
        wanted = share * sum(count for _, count in found)
        moved = 0
        for length, count in found:
            moved += count
            if moved >= wanted:
                return length
        return None
