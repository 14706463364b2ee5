"""Weights, and a step of one size for all of them: who cannot be moved by it."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from fpx.core.policy import Stochastic
from fpx.core.spec import FormatSpec
from fpx.report.step_rows import GivenStepRow
from fpx.tensors.dtypes import origin_of
from fpx.tensors.entry import TensorEntry
from fpx.tensors.progress import Progress
from fpx.training.chance import probability
from fpx.training.steps import Counts, rounded

BLOCK = 1 << 17
"""Elements that are read at a time."""

_HALF, _MOST = Fraction(1, 2), Fraction(99, 100)


def counted(entry: TensorEntry, targets: Sequence[FormatSpec], progress: Progress) -> list[Counts]:
    """The weights of a tensor in each of some formats, by class.

    Raises:
        InputError: damage that shows only in its data.
    """
    found = [Counts(spec) for spec in targets]
    for block in entry.blocks(BLOCK):
        for counts in found:
            counts.take(rounded(block, counts.spec))
        progress.advance(len(block))
    return found


def step_row(
    source: str,
    tensor: str,
    from_: str,
    counts: Counts,
    step: Fraction,
    still_rate: float,
    rounding: Stochastic | None,
) -> GivenStepRow:
    """The row of some weights.

    Args:
        source, tensor, from_: as of the row.
        counts: the weights.
        step: at least 0.
        still_rate: as of the row.
        rounding: of the expectation; None is none.
    """
    found = counts.under(step)
    half, most = (counts.step_that_moves(share) for share in (_HALF, _MOST))
    expected, never = (None, None) if rounding is None else _by_chance(counts, step, rounding)
    return GivenStepRow(
        source, tensor, from_, counts.spec.name,
        count=found.finite + counts.not_finite,
        not_finite_count=counts.not_finite,
        unmoved_count=found.unmoved,
        one_way_count=found.one_way,
        half_step=None if half is None else float(half),
        most_step=None if most is None else float(most),
        still_rate=still_rate,
        expected_moved_count=expected,
        never_moved_count=never,
    )  # fmt: skip


def _by_chance(counts: Counts, step: Fraction, rounding: Stochastic) -> tuple[float, int]:
    """How many weights move on the average, and how many never do."""
    expected, never = Fraction(0), 0
    for its, count in counts.reaches():
        both = [probability(its, step, toward, rounding) for toward in (False, True)]
        expected += count * sum(both, Fraction(0)) / 2
        never += count * (not any(both))
    return float(expected), never


def name_of_type(entry: TensorEntry) -> str:
    """The format that a tensor is stored in."""
    return origin_of(entry.dtype).name
