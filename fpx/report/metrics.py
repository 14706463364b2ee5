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
    FROM_SUMS = "from_sums"
    """It is worked out last, from sums (of squares, say) that add up."""


ELEMENTS = "elements"
"""The unit of a count."""


@dataclass(frozen=True)
class Metric:
    """A number that a cast is judged by.

    Attributes:
        name: its key in JSON, and what a condition calls it.
        unit: `elements`, `ulp` (of the target, at x), `dB`, `1` (a ratio), or `x` (that of the
            tensor's own values).
        says: what it is, in one sentence; x is an element, q what the cast made of it.
        merge: how blocks merge.
        first: the key of where its first element is, if that is kept.
        on_device: whether it compares a device with the CPU, so that the CPU itself has none.
    """

    name: str
    unit: str
    says: str
    merge: Merge = Merge.SUM
    first: str | None = None
    on_device: bool = False

    @property
    def is_count(self) -> bool:
        """Whether it counts elements, so that it can be given as a percentage of them."""
        return self.unit == ELEMENTS

    @property
    def location(self) -> str | None:
        """The key of where its largest or its first element is; None where none is kept."""
        return f"{self.name}_at" if self.merge is Merge.MAX else self.first


def _count(name: str, says: str, first: str | None = None, on_device: bool = False) -> Metric:
    return Metric(name, ELEMENTS, says, first=first, on_device=on_device)


_ROWS = (
    _count("count", "elements"),
    _count(
        "overflow_count",
        "finite x whose correctly rounded magnitude is beyond the target's largest value",
        first="first_overflow",
    ),
    _count("overflow_to_inf_count", "of these, those that became infinite"),
    _count("overflow_to_nan_count", "of these, those that became NaN"),
    _count("saturated_count", "of these, those that became a finite value"),
    _count(
        "unexpected_nonfinite_count",
        "finite x that became infinite or NaN without overflow: the cast is wrong",
    ),
    _count("underflow_count", "non-zero x that became zero"),
    _count("subnormal_count", "results below the target's smallest normal value, zero aside"),
    _count("nan_input_count", "x that is NaN"),
    _count("inf_input_count", "x that is infinite"),
    _count("nan_lost_count", "NaNs that became numbers"),
    _count("exact_count", "q equal to x, infinities included"),
    Metric("max_abs_error", "x", "the largest |q - x|", Merge.MAX),
    Metric("max_rel_error", "1", "the largest |q - x| / |x|", Merge.MAX),
    Metric(
        "max_error_ulp",
        "ulp",
        "the largest |q - x| in units of the target's last place at x",
        Merge.MAX,
    ),
    Metric("rms_error", "x", "the root of the mean of (q - x)^2", Merge.FROM_SUMS),
    Metric("sqnr_db", "dB", "20 log10(|x| / |x - q|) of the whole tensor, in dB", Merge.FROM_SUMS),
    _count(
        "device_mismatch_count",
        "on another device than the CPU: results that differ from the CPU's",
        first="first_device_mismatch",
        on_device=True,
    ),
    _count("device_nan_bits_mismatch_count", "NaNs on both whose bits differ", on_device=True),
)


METRICS: Mapping[str, Metric] = MappingProxyType({row.name: row for row in _ROWS})
"""Every metric by name, in the order of the JSON keys."""


LOCATIONS: tuple[str, ...] = tuple(
    row.location
    for merge in (Merge.MAX, Merge.SUM)
    for row in _ROWS
    if row.merge is merge and row.location is not None
)
"""The keys of where maxima and firsts are, in the order of the JSON keys."""
