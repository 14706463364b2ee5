"""The magnitudes that tell overflows and subnormals of a format."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

from fpx.core.interval import midpoint_above
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
    @lru_cache(maxsize=256)
    def of(cls, spec: FormatSpec) -> Thresholds:
        """The thresholds of a format (rounding to nearest, ties to even)."""
        top = spec.max_finite_magnitude
        limit = midpoint_above(top, spec)
        return cls(_float(*limit), top % 2 == 0, _float(*spec.smallest_normal))


def _float(significand: int, exponent: int) -> float:
    try:
        return math.ldexp(significand, exponent)
    except OverflowError:
        return math.inf
