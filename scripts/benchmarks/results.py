"""What a row of the benchmark promises, what was found, and whether that is enough."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

MET, NOT_MET, NOT_RUN = "met", "not met", "not run"


class NotRunError(Exception):
    """A row cannot be measured here; the message says why."""


class Sizes(NamedTuple):
    """How much is measured.

    Attributes:
        elements: of a tensor.
        tensors: of so many elements in a large file; files that are compared have half of them.
        slices: of 2^32 codes, one of so many parts is verified, and its time multiplied.
        values: lines of a stream.
        rounds: turns that each competitor has.
    """

    elements: int
    tensors: int
    slices: int
    values: int
    rounds: int


FULL = Sizes(elements=1 << 27, tensors=12, slices=1, values=1_000_000, rounds=7)
QUICK = Sizes(elements=1 << 24, tensors=8, slices=16, values=100_000, rounds=3)


class Target(NamedTuple):
    """What a figure has to reach.

    Attributes:
        figure: what the figure is, in words.
        bound: its least value.
        at_most: whether `bound` is its greatest value instead.
    """

    figure: str
    bound: float
    at_most: bool = False

    def outcome(self, figure: float) -> str:
        """MET or NOT_MET; what is no number meets nothing."""
        met = figure <= self.bound if self.at_most else figure >= self.bound
        return MET if met else NOT_MET

    @property
    def says(self) -> str:
        """`at least 1.3`."""
        return f"at {'most' if self.at_most else 'least'} {shown(self.bound)}"


@dataclass(frozen=True)
class Found:
    """What a row measured.

    Attributes:
        figures: one for each target, in their order.
        beside: what the figures are made of and what peers take, by name; None is not installed.
        unit: of what is beside.
        note: what else to know.
    """

    figures: tuple[float, ...]
    beside: Mapping[str, float | None] = field(default_factory=dict)
    unit: str = "GB/s"
    note: str = ""


class Row(NamedTuple):
    """A row of the benchmark.

    Attributes:
        name: what `--only` calls it.
        what: is measured.
        targets: of its figures.
        measure: finds them; raises NotRunError where that cannot be.
    """

    name: str
    what: str
    targets: tuple[Target, ...]
    measure: Callable[[Sizes], Found]


class Result(NamedTuple):
    """A row, and what was found or why nothing was."""

    row: Row
    found: Found | None
    reason: str = ""

    @property
    def outcomes(self) -> tuple[str, ...]:
        """Of each target, in their order."""
        if self.found is None:
            return tuple(NOT_RUN for _ in self.row.targets)
        pairs = zip(self.row.targets, self.found.figures, strict=True)
        return tuple(target.outcome(figure) for target, figure in pairs)


def run(row: Row, sizes: Sizes) -> Result:
    """Measures a row."""
    try:
        return Result(row, row.measure(sizes))
    except NotRunError as error:
        return Result(row, None, str(error))


def shown(number: float) -> str:
    """A figure as people read it: three digits, or all of a whole number's."""
    return f"{number:,.0f}" if abs(number) >= 100 else f"{number:.3g}"
