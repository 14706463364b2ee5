"""The magnitudes that tell overflows and subnormals of a format."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

from fpx.core.interval import midpoint_above
from fpx.core.spec import FormatSpec

_LONGEST = 53  # bits of a float64's significand


class Thresholds(NamedTuple):
    """The magnitudes, as float64, that tell overflows and subnormals of a format.

    They have at most one bit more than the format's significand, and are exact but for formats of
    float64's own: there `overflow` is the first float64 that does.
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
        stays, normal = top % 2 == 0, _float(*spec.smallest_normal)
        if spec.precision == _LONGEST:
            return cls(math.nextafter(_float(*spec.max_finite), math.inf), False, normal)
        return cls(_float(*midpoint_above(top, spec)), stays, normal)


def _float(significand: int, exponent: int) -> float:
    try:
        return math.ldexp(significand, exponent)
    except OverflowError:
        return math.inf
