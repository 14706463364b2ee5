"""The report of `fpx cast-compare`: one row per tensor and target, totals, and checks on them."""

from __future__ import annotations

import operator
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from fpx.errors import InputError
from fpx.report.base import JsonValue, Report, to_json
from fpx.words import listed, quoted


@dataclass(frozen=True)
class Location:
    """Where something happened.

    Attributes:
        tensor: the tensor's name.
        index: its multi-index there; empty for a scalar.
        value: the source's value.
        result: what the cast made of it.
    """

    tensor: str
    index: tuple[int, ...]
    value: float
    result: float


@dataclass(frozen=True)
class CastRow:
    """What one cast did to one tensor (or, in a total, to all of them).

    Counts are numbers of elements. Errors are taken in float64 against the source's value, over
    pairs that are finite on both sides; ulps are the target's, at the source's value.

    Attributes:
        source: the file or distribution.
        tensor: the tensor's name in it.
        from_, to: source and target format.
        backend, device: who cast, and where.
        count: elements.
        overflow_count: finite inputs whose correctly rounded magnitude is beyond max_finite.
        overflow_to_inf_count, overflow_to_nan_count, saturated_count: what became of those.
        unexpected_nonfinite_count: finite inputs that do not overflow, yet came out inf or NaN.
        underflow_count: non-zero inputs that became zero.
        subnormal_count: results that are subnormal.
        nan_input_count, inf_input_count: such inputs.
        nan_lost_count: NaN inputs whose result is no NaN.
        exact_count: results equal to their input (an infinity kept counts, a NaN does not).
        max_abs_error, max_rel_error, max_error_ulp: largest errors.
        rms_error: root mean square error.
        sqnr_db: 20 log10(|x| / |x - q|) in dB; inf without error, NaN without data.
        device_mismatch_count: results that differ bit for bit from the CPU's cast, NaNs compared by
            class; None where the device is the CPU.
        device_nan_bits_mismatch_count: NaNs on both sides with other bits; None likewise.
        max_abs_error_at, max_rel_error_at, max_error_ulp_at: where the largest errors are.
        first_overflow: the first overflow.
        first_device_mismatch: the first result that differs from the CPU's.
        exponent_histogram: finite non-zero inputs by unbiased exponent.
    """

    source: str
    tensor: str
    from_: str
    to: str
    backend: str
    device: str
    count: int
    overflow_count: int
    overflow_to_inf_count: int
    overflow_to_nan_count: int
    saturated_count: int
    unexpected_nonfinite_count: int
    underflow_count: int
    subnormal_count: int
    nan_input_count: int
    inf_input_count: int
    nan_lost_count: int
    exact_count: int
    max_abs_error: float
    max_rel_error: float
    max_error_ulp: float
    rms_error: float
    sqnr_db: float
    device_mismatch_count: int | None = None
    device_nan_bits_mismatch_count: int | None = None
    max_abs_error_at: Location | None = None
    max_rel_error_at: Location | None = None
    max_error_ulp_at: Location | None = None
    first_overflow: Location | None = None
    first_device_mismatch: Location | None = None
    exponent_histogram: Mapping[int, int] = field(default_factory=dict)

    def share(self, metric: str) -> float:
        """A count as a share of all elements, 0 to 1; 0 for an empty tensor."""
        return float(getattr(self, metric)) / self.count if self.count else 0.0

    def badness(self) -> tuple[float, ...]:
        """Sort key: what hurts most first (values lost to overflow, then underflow, then noise)."""
        sqnr = self.sqnr_db if self.sqnr_db == self.sqnr_db else float("inf")
        return (
            -self.share("overflow_count"),
            -self.share("unexpected_nonfinite_count"),
            -float(self.device_mismatch_count or 0),
            -self.share("underflow_count"),
            sqnr,
        )


_COMPARISONS = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
}


METRICS = tuple(
    name
    for name, type_ in CastRow.__annotations__.items()
    if type_ in ("int", "float", "int | None")
)
"""The numbers of a row that a condition may ask about."""


_CONDITION = re.compile(
    r"\s*([a-z_0-9]+)\s*(>=|<=|==|!=|>|<)\s*([+-]?[0-9.]+(?:e[+-]?[0-9]+)?)(%?)\s*"
)


@dataclass(frozen=True)
class Condition:
    """A failure condition such as `overflow_count>0` or `underflow_count>1%` (of all elements)."""

    metric: str
    comparison: str
    limit: float
    percent: bool
    text: str

    def holds(self, row: CastRow) -> bool:
        """Whether the row meets the condition; a metric that was not measured does not."""
        value = getattr(row, self.metric)
        if value is None:
            return False
        if self.percent:
            value = 100 * row.share(self.metric)
        return bool(_COMPARISONS[self.comparison](value, self.limit))


def parse_condition(text: str) -> Condition:
    """The condition that `METRIC OPERATOR NUMBER[%]` means.

    Raises:
        InputError: not of that form, or no such metric; counts alone take a percentage.
    """
    match = _CONDITION.fullmatch(text)
    if match is None:
        raise InputError(
            f"{quoted(text)} is no condition: write METRIC OPERATOR NUMBER, as in "
            "'overflow_count>0', 'underflow_count>1%' or 'sqnr_db<50'"
        )
    metric, comparison, number, percent = match.groups()
    if metric not in METRICS:
        raise InputError(f"{quoted(metric)} is no metric: use one of {listed(METRICS, 40)}")
    if percent and not metric.endswith("_count"):
        raise InputError(f"{quoted(text)}: only counts take a percentage, {metric} does not")
    try:
        limit = float(number)
    except ValueError:
        raise InputError(f"{quoted(number)} in {quoted(text)} is not a number") from None
    return Condition(metric, comparison, limit, bool(percent), text.strip())


@dataclass(frozen=True, repr=False)
class CastReport(Report):
    """What casts did to tensors.

    Attributes:
        rows: one per tensor and target, in the order of the sources.
        totals: one per target, over all tensors.
        details: versions, device, threads and seed that produced the numbers.
        errors: one line per source that could not be read; the rest was still done.
        notes: one line per tensor that was passed over, and why.
        partial: whether the work was interrupted; the last row then tells of a part of its tensor.
    """

    schema: ClassVar[str] = "fpx.cast-compare/1"

    rows: tuple[CastRow, ...]
    totals: tuple[CastRow, ...]
    details: Mapping[str, JsonValue]
    errors: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    partial: bool = False

    def parts(self) -> tuple[CastRow, ...]:
        """The rows."""
        return self.rows

    def results(self) -> list[dict[str, JsonValue]]:
        """One entry per row."""
        return [to_json(row) for row in self.rows]

    def environment(self) -> dict[str, JsonValue]:
        """Versions, device, threads and seed."""
        return dict(self.details)

    def beside(self) -> dict[str, JsonValue]:
        """`totals`, `errors`, `notes` and `partial`."""
        return {
            "totals": to_json(self.totals),
            "errors": list(self.errors),
            "notes": list(self.notes),
            "partial": self.partial,
        }

    def worst_first(self) -> list[CastRow]:
        """The rows, what hurts most first."""
        return sorted(self.rows, key=CastRow.badness)

    def failures(self, conditions: Iterable[Condition]) -> list[str]:
        """One line for each row and condition that it meets."""
        return [
            f"{row.source} {row.tensor} -> {row.to}: {condition.text} holds "
            f"({condition.metric} is {getattr(row, condition.metric):.6g})"
            for condition in conditions
            for row in self.worst_first()
            if condition.holds(row)
        ]
