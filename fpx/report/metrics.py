"""The metrics of casts: one row each, from which conditions, JSON keys and help derive.

How a metric is measured is a row of its name in `fpx.measure.metrics`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType


class Merge(Enum):
    """How a metric of several blocks, tensors or devices follows from those of each."""

    SUM = "sum"
    """The numbers add up."""
    MAX = "max"
    """The largest one counts, with where it is; the first of equals."""
    MIN = "min"
    """The smallest one counts."""
    DERIVED = "derived"
    """It is worked out last, from what merges (sums of squares, say)."""


ELEMENTS = "elements"
"""The unit of a count."""


BLOCKS = "blocks"
"""The unit of a count of what shares a scale: blocks, channels, whole tensors."""


RATIO = "1"
"""The unit of a share of all elements, of a relative error."""


ULP = "ulp"
"""The unit of errors in units of the target's last place at x."""


DECIBELS = "dB"
"""The unit of ratios of squares."""


@dataclass(frozen=True)
class Metric:
    """A number that a cast is judged by.

    Attributes:
        name: its key in JSON, and what a condition calls it.
        unit: `elements`, `ulp` (of the target, at x), `dB`, `1` (a ratio), or `x` (that of the
            tensor's own values).
        says: what it is, in one sentence; x is an element, q what the cast made of it.
        merge: how blocks merge.
        location: the key of where its largest or its first element is; None where none is kept.
        on_device: whether it compares a device with the CPU, so that the CPU itself has none.
        of_scales: whether it is of scaled targets, so that plain formats have none.
        worse: 1 if a larger one is worse, -1 if a smaller one is, 0 if neither.
        of_draws: whether it is of stochastic rounding, so that other casts have none.
    """

    name: str
    unit: str
    says: str
    merge: Merge = Merge.SUM
    location: str | None = None
    on_device: bool = False
    worse: int = 1
    of_scales: bool = False
    of_draws: bool = False

    @property
    def is_of_all(self) -> bool:
        """Whether every cast has it, on every device."""
        return not (self.on_device or self.of_scales or self.of_draws)

    @property
    def is_count(self) -> bool:
        """Whether it counts elements or blocks, so that it can be given as a percentage of them."""
        return self.unit in (ELEMENTS, BLOCKS)


def _count(
    name: str,
    says: str,
    location: str | None = None,
    on_device: bool = False,
    worse: int = 1,
) -> tuple[Metric, Metric]:
    """A count, and the share of all elements that it is."""
    of = "all elements"
    if name == "underflow_count":
        of = "the finite elements that are not zero"
    return (
        Metric(name, ELEMENTS, says, Merge.SUM, location, on_device, worse),
        Metric(rate_of(name), RATIO, f"{name} over {of}", Merge.DERIVED, None, on_device, worse),
    )


def _of_scales(name: str, says: str, unit: str = BLOCKS, worse: int = 1) -> tuple[Metric, Metric]:
    """A count of scaled targets, and its share of all blocks or elements."""
    rate = f"{name} over all {unit}"
    return (
        Metric(name, unit, says, worse=worse, of_scales=True),
        Metric(rate_of(name), RATIO, rate, Merge.DERIVED, worse=worse, of_scales=True),
    )


def _of_draws(name: str, says: str) -> tuple[Metric, Metric]:
    """A count of stochastic rounding, and its share; `expected` ones are sums of probabilities."""
    of = "the finite elements that are not zero" if "underflow" in name else "all elements"
    return (
        Metric(name, ELEMENTS, says, of_draws=True),
        Metric(rate_of(name), RATIO, f"{name} over {of}", Merge.DERIVED, of_draws=True),
    )


def rate_of(count: str) -> str:
    """The name of the rate that belongs to a count: `overflow_rate` to `overflow_count`."""
    return f"{count.removesuffix('_count')}_rate"


_COUNTS = (
    _count(
        "overflow_count",
        "finite x whose correctly rounded magnitude is beyond the target's largest value",
        location="first_overflow",
    ),
    _count("overflow_to_inf_count", "of these, those that became infinite"),
    _count("overflow_to_nan_count", "of these, those that became NaN"),
    _count("saturated_count", "of these, those that became a finite value"),
    _count(
        "unexpected_nonfinite_count",
        "finite x that became infinite or NaN without overflow: the target has no value for them, "
        "or the cast is wrong",
    ),
    _count("destroyed_count", "finite x that became infinite or NaN", location="first_destroyed"),
    _count("underflow_count", "finite non-zero x that became zero"),
    _count("subnormal_count", "results below the target's smallest normal value, zero aside"),
    _count("nan_input_count", "x that is NaN"),
    _count("inf_input_count", "x that is infinite"),
    _count("nan_lost_count", "NaNs that became numbers"),
    _count("exact_count", "q equal to x, infinities included", worse=-1),
    _count(
        "device_mismatch_count",
        "on another device than the CPU: results that differ from the CPU's",
        location="first_device_mismatch",
        on_device=True,
    ),
    _count("device_nan_bits_mismatch_count", "NaNs on both whose bits differ", on_device=True),
)
_SCALE_COUNTS = (
    _of_scales("clipped_count", "x beyond the largest element at the scale of its block", ELEMENTS),
    _of_scales("clipped_block_count", "blocks with such an x"),
    _of_scales("zero_block_count", "blocks of zeros alone", worse=0),
    _of_scales("zero_scale_count", "other blocks whose scale is 0, so that all of it is lost"),
    _of_scales("subnormal_scale_count", "blocks whose scale is subnormal, so that it is coarse"),
    _of_scales("nan_scale_count", "blocks whose scale is NaN, because of a NaN or an infinity"),
)
_DRAW_COUNTS = (
    _of_draws(
        "expected_overflow_count",
        "of stochastic rounding: the x beyond the target's largest value on average of all draws",
    ),
    _of_draws("drawn_overflow_count", "those in this draw"),
    _of_draws(
        "expected_underflow_count",
        "of stochastic rounding: the non-zero x that become zero on average of all draws",
    ),
    _of_draws("nearest_underflow_count", "those that rounding to nearest makes zero"),
)
_SURVIVING = "of the x that stayed finite: "
_ROWS = (
    Metric("count", ELEMENTS, "elements", worse=0),
    *(count for count, _ in _COUNTS),
    *(rate for _, rate in _COUNTS),
    Metric(
        "block_count", BLOCKS, "blocks, channels or tensors with a scale", worse=0, of_scales=True
    ),
    *(count for count, _ in _SCALE_COUNTS),
    *(rate for _, rate in _SCALE_COUNTS),
    *(count for count, _ in _DRAW_COUNTS),
    *(rate for _, rate in _DRAW_COUNTS),
    Metric(
        "expected_mean_error_ulp",
        ULP,
        "of stochastic rounding: the mean of q - x in ulps, with its sign, over all draws, "
        "of the x that none takes beyond the largest value",
        Merge.DERIVED,
        worse=0,
        of_draws=True,
    ),
    Metric(
        "nearest_mean_error_ulp",
        ULP,
        "of the same x: that mean where they are rounded to nearest",
        Merge.DERIVED,
        worse=0,
        of_draws=True,
    ),
    Metric("max_abs", "x", "the largest |x|", Merge.MAX, "max_abs_location", worse=0),
    Metric("min_abs", "x", "the smallest |x| that is not 0", Merge.MIN, worse=0),
    Metric(
        "headroom_binades",
        "binades",
        "log2 of the target's largest value over the largest |x|: below 0, something is beyond it",
        Merge.DERIVED,
        worse=-1,
    ),
    Metric(
        "max_abs_error",
        "x",
        "the largest |q - x|; infinite where an x was destroyed",
        Merge.DERIVED,
        "max_abs_error_location",
    ),
    Metric(
        "max_rel_error",
        RATIO,
        "the largest |q - x| / |x|; infinite where an x was destroyed",
        Merge.DERIVED,
        "max_rel_error_location",
    ),
    Metric(
        "max_error_ulp",
        ULP,
        "the largest |q - x| in units of the target's last place at x; infinite where an x was "
        "destroyed",
        Merge.DERIVED,
        "max_error_ulp_location",
    ),
    Metric(
        "mean_error_ulp",
        ULP,
        "the mean of q - x in those units, with its sign: the bias; undefined where an x was "
        "destroyed",
        Merge.DERIVED,
        worse=0,
    ),
    Metric(
        "rms_error",
        "x",
        "the root of the mean of (q - x)^2; infinite where an x was destroyed",
        Merge.DERIVED,
    ),
    Metric(
        "sqnr_db",
        DECIBELS,
        "20 log10(|x| / |x - q|) of the whole tensor, in dB; minus infinity where an x was "
        "destroyed",
        Merge.DERIVED,
        worse=-1,
    ),
    Metric("surviving_max_abs_error", "x", f"{_SURVIVING}the largest |q - x|", Merge.MAX),
    Metric("surviving_max_rel_error", RATIO, f"{_SURVIVING}the largest |q - x| / |x|", Merge.MAX),
    Metric("surviving_max_error_ulp", ULP, f"{_SURVIVING}the largest |q - x| in ulps", Merge.MAX),
    Metric("surviving_rms_error", "x", f"{_SURVIVING}rms_error", Merge.DERIVED),
    Metric("surviving_sqnr_db", DECIBELS, f"{_SURVIVING}sqnr_db", Merge.DERIVED, worse=-1),
    Metric(
        "small_value_loss_db",
        DECIBELS,
        "by how much the SQNR is below what the target gives on data in its range, because values "
        "below its smallest normal one keep fewer digits or none; 0 if it is not. Of a scaled "
        "target, without what clipping costs: below reference_sqnr_db",
        Merge.DERIVED,
    ),
    Metric(
        "clipping_loss_db",
        DECIBELS,
        "by how much the SQNR would be better without the errors of x beyond the largest element "
        "at the scale of its block",
        Merge.DERIVED,
        of_scales=True,
    ),
    Metric(
        "underflow_excess",
        RATIO,
        "underflow_rate above twice what it is of normally distributed numbers; 0 if it is not",
        Merge.DERIVED,
        of_scales=True,
    ),
    Metric(
        "reference_sqnr_db",
        DECIBELS,
        "the SQNR, without what clipping costs, that the target gives on normally distributed "
        "numbers: what small_value_loss_db is measured from",
        Merge.DERIVED,
        worse=0,
        of_scales=True,
    ),
)


METRICS: Mapping[str, Metric] = MappingProxyType({row.name: row for row in _ROWS})
"""Every metric by name, in the order of the JSON keys."""


LOCATIONS: tuple[str, ...] = tuple(row.location for row in _ROWS if row.location is not None)
"""The keys of where maxima and firsts are, in the order of the JSON keys."""
