"""What a measurer tells of one block and its cast: plain numbers, and positions in the block."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import NamedTuple, Protocol

from torch import Tensor

from fpx.core.spec import FormatSpec
from fpx.measure.block import SourceBlock
from fpx.measure.squares import ScaledSquares

Sum = float | ScaledSquares
"""What adds up over blocks."""


class Maximum(NamedTuple):
    """The largest of some numbers of a block, and the position of the first that is so large."""

    value: float
    position: int


@dataclass(frozen=True)
class Measurement:
    """What a cast did to one block.

    Two measurers of a block give equal ones, but for the last bits of sums.

    Attributes:
        counts: name -> elements of the block.
        maxima: name -> the largest; none where it is not above what was known, or 0.
        minima: name -> the smallest; none where there is no such element.
        sums: name -> sum over the block.
        firsts: name of a count -> position of the first such element; none where there is none, or
            one was known.
        exponents: unbiased exponent -> count of finite non-zero elements before the cast; float64's
            subnormals count as -1023.
        scales: code of a scale of up to 8 bits, or exponent of a wider one -> how many blocks.
    """

    counts: Mapping[str, int]
    maxima: Mapping[str, Maximum] = field(default_factory=dict)
    minima: Mapping[str, float] = field(default_factory=dict)
    sums: Mapping[str, Sum] = field(default_factory=dict)
    firsts: Mapping[str, int] = field(default_factory=dict)
    exponents: Mapping[int, int] = field(default_factory=dict)
    scales: Mapping[int, int] = field(default_factory=dict)

    @property
    def places(self) -> set[int]:
        """The positions of which it tells."""
        return {*self.firsts.values(), *(largest.position for largest in self.maxima.values())}


class Known(NamedTuple):
    """What the caller of a measurer has from blocks before, so that nobody looks for it again.

    Attributes:
        maxima: name -> the largest so far; 0 where there is none.
        firsts: names of counts whose first element is known.
    """

    maxima: Mapping[str, float] = MappingProxyType({})
    firsts: Collection[str] = ()


NOTHING = Known()


class Measurer(Protocol):
    """Who measures what a cast did to a block."""

    def __call__(
        self, source: SourceBlock, q: Tensor, target: FormatSpec, known: Known = NOTHING
    ) -> Measurement:
        """Measures a block.

        Args:
            source: the block before the cast, not empty.
            q: the numbers after it: 1-D, of a float dtype that has them all, on the same device.
            target: the format that they are in.
            known: what is left out: maxima that are not larger, and firsts.
        """


class SegmentMeasurer(Protocol):
    """Who measures what a cast did to each of several tensors that lie in one block."""

    def __call__(
        self, x: Tensor, q: Tensor, ends: Sequence[int], target: FormatSpec
    ) -> list[Measurement]:
        """Measures each by itself; positions are those in its own segment.

        Args:
            x: the numbers before the cast: 1-D, without gaps, on the CPU.
            q, target: as of `Measurer`.
            ends: where each segment ends, and the next begins; none is empty.
        """
