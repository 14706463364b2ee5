"""What a cast's metrics mean for who wants to use the result: outcomes and verdicts.

A verdict is the first of RULES that a tensor breaks, or `fits`. How much is tolerated is a
`Tolerance`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType
from typing import NamedTuple

from fpx.errors import InputError
from fpx.report.metrics import rate_of

Metrics = Mapping[str, int | float | None]
"""The name of each of `fpx.report.metrics.METRICS` -> its value."""


class Outcome(Enum):
    """What a cast did to a tensor, in a word, which says why a metric is null."""

    EXACT = "exact"
    """Every element is what it was, NaNs as NaNs: the SQNR is infinite."""
    ROUNDED = "rounded"
    """Finite elements stayed finite and within the target's range: every metric is a number."""
    SATURATED = "saturated"
    """Some beyond the target's largest value became that value."""
    DESTROYED = "destroyed"
    """Some finite elements became infinite or NaN: errors are infinite, the SQNR minus infinity."""
    EMPTY = "empty"
    """There is no finite element, so there is nothing that errors could be of."""


class Verdict(Enum):
    """Whether a tensor can be kept in a format."""

    FITS = "fits"
    LOSES_RANGE = "loses range"
    """Values are beyond the largest one of the format, or it has no NaN for a NaN."""
    LOSES_SMALL_VALUES = "loses small values"
    """Small values become zero, or keep so few digits that the whole tensor's SQNR suffers."""


SEVERITY: Mapping[Verdict, int] = MappingProxyType(
    {Verdict.FITS: 0, Verdict.LOSES_SMALL_VALUES: 1, Verdict.LOSES_RANGE: 2}
)
"""How bad a verdict is."""


@dataclass(frozen=True)
class Tolerance:
    """How much a tensor may lose and still fit.

    Attributes:
        overflow_rate: share of the elements that may overflow or be destroyed, 0 to 1.
        underflow_rate: share of the finite non-zero elements that may become zero, 0 to 1.
        small_value_loss_db: dB that the SQNR may be below what the format gives on data in its
            range; of a scaled target, on normally distributed numbers.
    """

    overflow_rate: float = 0.0
    underflow_rate: float = 0.01
    small_value_loss_db: float = 3.0

    def __post_init__(self) -> None:
        """Checks the numbers.

        Raises:
            InputError: a rate is not from 0 to 1, or a number of decibels is below 0.
        """
        rates = {"overflow": self.overflow_rate, "underflow": self.underflow_rate}
        for name, rate in rates.items():
            if not 0 <= rate <= 1:
                raise InputError(
                    f"`tolerate_{name}` is a share from 0 to 1 (0% to 100%), not {rate:g}"
                )
        if not self.small_value_loss_db >= 0:
            raise InputError(f"`tolerate_loss` is at least 0, not {self.small_value_loss_db:g}")


USUAL = Tolerance()
"""What is tolerated where nobody says otherwise."""


class Rule(NamedTuple):
    """What a tensor must not exceed to fit.

    Attributes:
        metric: the name of one of METRICS.
        tolerance: the attribute of `Tolerance` that limits it.
        verdict: on a tensor that exceeds it.
    """

    metric: str
    tolerance: str
    verdict: Verdict


_COUNTS = ("destroyed_count", "overflow_count", "nan_lost_count")
RULES = (
    *(Rule(rate_of(name), "overflow_rate", Verdict.LOSES_RANGE) for name in _COUNTS),
    Rule("underflow_rate", "underflow_rate", Verdict.LOSES_SMALL_VALUES),
    Rule("small_value_loss_db", "small_value_loss_db", Verdict.LOSES_SMALL_VALUES),
)
"""The rules of verdicts on plain formats; the first that a tensor breaks decides."""


SCALED_RULES = (
    Rule("destroyed_rate", "overflow_rate", Verdict.LOSES_RANGE),
    Rule("nan_lost_rate", "overflow_rate", Verdict.LOSES_RANGE),
    Rule("clipping_loss_db", "small_value_loss_db", Verdict.LOSES_RANGE),
    Rule("underflow_excess", "underflow_rate", Verdict.LOSES_SMALL_VALUES),
    Rule("small_value_loss_db", "small_value_loss_db", Verdict.LOSES_SMALL_VALUES),
)
"""The rules of verdicts on scaled targets.

Each of those clips some values, or flushes them to zero, of any tensor: what counts is whether it
does so much more than of normally distributed numbers that the tensor suffers.
"""


@dataclass(frozen=True)
class Judgement:
    """A verdict, and what decided it.

    Attributes:
        verdict: on a tensor in a format.
        decided_by: the name of the metric that is beyond what is tolerated; None where it fits.
        value: that metric.
        limit: what is tolerated.
    """

    verdict: Verdict
    decided_by: str | None = None
    value: float | None = None
    limit: float | None = None


def judge(metrics: Metrics, tolerance: Tolerance) -> Judgement:
    """The verdict on a tensor by its metrics; one without finite elements fits."""
    scaled = metrics["block_count"] is not None
    for metric, allowed, verdict in SCALED_RULES if scaled else RULES:
        value, limit = metrics[metric], getattr(tolerance, allowed)
        if value is not None and value > limit:
            return Judgement(verdict, metric, value, limit)
    return Judgement(Verdict.FITS)


def worst(judgements: Iterable[Judgement]) -> Judgement:
    """The judgement on several tensors together: they fit if each of them does."""
    return max(
        judgements, key=lambda found: SEVERITY[found.verdict], default=Judgement(Verdict.FITS)
    )


def outcome(metrics: Metrics) -> Outcome:
    """What a cast did to a tensor, by its metrics."""

    def number(name: str) -> float:
        return metrics[name] or 0

    if number("count") == number("nan_input_count") + number("inf_input_count"):
        return Outcome.EMPTY
    if number("destroyed_count"):
        return Outcome.DESTROYED
    if number("saturated_count"):
        return Outcome.SATURATED
    kept = number("exact_count") + number("nan_input_count") - number("nan_lost_count")
    return Outcome.EXACT if kept == number("count") else Outcome.ROUNDED
