"""Inputs of a stochastic rounding and what became of them, judged by probabilities."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

from fpx.conformance.binomial import p_value
from fpx.core.stochastic import Distribution

NO_VALUE = -1
"""In place of a code: results that the target has not."""


_SIGNIFICANCE = 1e-6  # over all tests


class Seen(NamedTuple):
    """One input, what should become of it, and what did.

    Attributes:
        code: of the origin.
        negative: its sign.
        nan, infinite: what it is, if it is no number.
        expected: what should become of it, and how probably; of a NaN nothing.
        counts: code of the target (or NO_VALUE) -> how often it came.
    """

    code: int
    negative: bool
    nan: bool
    infinite: bool
    expected: Distribution
    counts: Mapping[int, int]

    @property
    def total(self) -> int:
        """How often it was tried."""
        return sum(self.counts.values())

    @property
    def codes(self) -> tuple[int, ...]:
        """What should become of it: the neighbour nearer to zero first."""
        return tuple(dict.fromkeys(item.rounded.code for item in self.expected.outcomes))

    @property
    def is_left_to_chance(self) -> bool:
        """Whether it may become either of two codes."""
        return len(self.codes) == 2

    @property
    def strays(self) -> list[int]:
        """Results that are none of those."""
        return [code for code in self.counts if code not in self.codes]

    @property
    def asked(self) -> Fraction:
        """How probable it should be that it goes to the last of those."""
        return self.expected.outcomes[-1].probability

    @property
    def may_overflow(self) -> bool:
        """Whether one of those is an overflow."""
        return any(item.rounded.overflow for item in self.expected.outcomes)

    @property
    def away(self) -> int:
        """How often it became the neighbour further from zero."""
        return self.counts.get(self.codes[-1], 0)


class Cause(NamedTuple):
    """A way of going wrong: a name, the same in words, and its inputs."""

    name: str
    reason: str
    inputs: tuple[Seen, ...]


@dataclass(frozen=True)
class Judge:
    """Whether shares are what probabilities say.

    Attributes:
        drawn: whether they come from draws, or of all words.
        tests: how many inputs are tested: what the significance is divided by.
    """

    drawn: bool
    tests: int

    @property
    def significance(self) -> float:
        """What a p-value must not be below, of any one test (Bonferroni's correction)."""
        return _SIGNIFICANCE / max(self.tests, 1)

    def p_value(self, seen: Seen, probability: Fraction) -> float:
        """Of the share that was rounded away from zero."""
        return p_value(seen.away, seen.total, probability)

    def accepts(self, seen: Seen, probability: Fraction) -> bool:
        """Whether the share is that probability, or may come of it."""
        if not self.drawn:
            return Fraction(seen.away, seen.total) == probability
        return self.p_value(seen, probability) >= self.significance
