"""The magnitudes that tell overflows and subnormals of a format."""

from __future__ import annotations

import math
from functools import cache
from typing import NamedTuple

from fpx.core.interval import rounding_interval
from fpx.core.spec import FormatSpec


class Thresholds(NamedTuple):
    """The magnitudes, as float64, that tell overflows and subnormals of a format.

    All are exact: they have at most one bit more than the format's significand.
    """

    overflow: float
    tie_stays: bool
    """Whether a magnitude of exactly `overflow` is still rounded to max_finite."""
    smallest_normal: float

    @classmethod
    @cache
    def of(cls, spec: FormatSpec) -> Thresholds:
        """The thresholds of a format (rounding to nearest, ties to even)."""
        interval = rounding_interval(spec.max_finite_magnitude, spec)
        if interval is None or interval.high is None:  # no infinity, no NaN: still beyond the range
            value = spec.max_finite
            significand, exponent = 2 * value.significand + 1, value.exponent - 1
            stays = spec.max_finite_magnitude % 2 == 0
        else:
            significand, exponent = interval.high
            stays = interval.high_closed
        return cls(_float(significand, exponent), stays, _float(*spec.smallest_normal))


def _float(significand: int, exponent: int) -> float:
    try:
        return math.ldexp(significand, exponent)
    except OverflowError:
        return math.inf
