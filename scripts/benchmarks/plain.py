"""The metrics of a cast as one writes them down: torch operations on whole tensors, in float64."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from fpx.core.spec import FormatSpec
from fpx.core.thresholds import Thresholds
from fpx.report.cast_row import CastRow
from fpx.tensors.dtypes import origin_of

_BIAS, _FIELD = 1023, 52  # float64's, and where it has its exponent
_SLACK = 1e-9  # relative, of sums in another order


class Plain(NamedTuple):
    """What was measured.

    Attributes:
        exact: counts and maxima by the names of the metrics.
        sums: metrics made of sums, which depend on the order of the elements.
        exponents: count of finite non-zero inputs by exponent.
        places: where the first or the largest are, by the keys of locations.
    """

    exact: Mapping[str, float]
    sums: Mapping[str, float]
    exponents: Mapping[int, int]
    places: Mapping[str, int | None]


def plain(x: Tensor, dtype: torch.dtype) -> Plain:
    """The metrics of `x.to(dtype)`.

    Args:
        x: 1-D, of a floating dtype, with a number that stays finite and is not 0.
        dtype: what it is cast to.
    """
    spec = origin_of(dtype)
    assert isinstance(spec, FormatSpec)
    limits = Thresholds.of(spec)
    value, result = x.to(torch.float64), x.to(dtype).to(torch.float64)
    size, after = value.abs(), result.abs()
    finite, kept = size < math.inf, after < math.inf
    beyond = size > limits.overflow if limits.tie_stays else size >= limits.overflow
    over = finite & beyond
    destroyed = finite & ~kept
    both = finite & kept
    error = torch.where(both, result - value, 0.0)
    field = size.view(torch.int64) >> _FIELD  # the biased exponent
    ulp = field.clamp(spec.emin + _BIAS, spec.emax + _BIAS) - spec.fraction_bits
    in_ulps = error * ((2 * _BIAS - ulp) << _FIELD).view(torch.float64)
    relative = torch.where(size > 0, error.abs() / size, 0.0)
    magnitude = torch.where(finite, size, 0.0)
    exponents = torch.bincount(field, minlength=2 * _BIAS + 2)[:-1]  # the last is not finite
    exponents[0] -= (size == 0).count_nonzero()
    maxima = {
        "max_abs": magnitude,
        "surviving_max_abs_error": error.abs(),
        "surviving_max_rel_error": relative,
        "surviving_max_error_ulp": in_ulps.abs(),
    }
    counts = {
        "count": torch.ones_like(finite),
        "overflow_count": over,
        "overflow_to_inf_count": over & (after == math.inf),
        "overflow_to_nan_count": over & result.isnan(),
        "saturated_count": over & kept,
        "unexpected_nonfinite_count": destroyed & ~over,
        "destroyed_count": destroyed,
        "underflow_count": (result == 0) & (value != 0),
        "subnormal_count": (after < limits.smallest_normal) & (result != 0),
        "nan_input_count": value.isnan(),
        "inf_input_count": size == math.inf,
        "nan_lost_count": value.isnan() & ~result.isnan(),
        "exact_count": value == result,
    }
    signal = torch.where(both, value, 0.0).square().sum()
    noise = error.square().sum()
    survivors = int(both.count_nonzero())
    return Plain(
        exact={
            **{name: int(where.count_nonzero()) for name, where in counts.items()},
            **{name: float(numbers.max()) for name, numbers in maxima.items()},
            "min_abs": float(torch.where(size > 0, size, math.inf).min()),
        },
        sums={
            "surviving_rms_error": float((noise / survivors).sqrt()),
            "surviving_sqnr_db": float(10 * (signal / noise).log10()),
            "mean_error_ulp": math.nan if destroyed.any() else float(in_ulps.sum() / survivors),
        },
        exponents={at - _BIAS: n for at, n in enumerate(exponents.tolist()) if n},
        places={
            "max_abs_location": int(magnitude.argmax()),
            "first_overflow": int(over.to(torch.uint8).argmax()) if over.any() else None,
            "first_destroyed": int(destroyed.to(torch.uint8).argmax()) if destroyed.any() else None,
        },
    )


def check(row: CastRow, told: Plain) -> None:
    """Holds a row of fpx, of a 1-D tensor, to the same.

    Raises:
        ValueError: they differ.
    """
    for name, value in {**told.exact, **told.sums}.items():
        found = row.metrics[name]
        slack = _SLACK * max(abs(value), 1.0) if name in told.sums else 0.0
        if found is None or not _equal(found, value, slack):
            raise ValueError(f"{row.from_} to {row.to}: {name} is {found}, and plainly {value}")
    if dict(row.exponent_histogram) != told.exponents:
        raise ValueError(f"{row.from_} to {row.to}: exponents differ")
    for name, place in told.places.items():
        location = row.locations[name]
        if (None if location is None else location.index[0]) != place:
            raise ValueError(f"{row.from_} to {row.to}: {name} is {location}, and plainly {place}")


def _equal(a: float, b: float, slack: float) -> bool:
    if math.isnan(a) or math.isnan(b):
        return math.isnan(a) and math.isnan(b)
    return a == b or abs(a - b) <= slack
