"""Which numbers round to a code."""

from typing import NamedTuple

from fpx.core.codec import is_nan
from fpx.core.dyadic import Dyadic
from fpx.core.policy import (
    Direction,
    Overflow,
    Rounding,
    direction_of,
    special_codes,
    with_sign,
)
from fpx.core.spec import FormatSpec


class Interval(NamedTuple):
    """Real numbers from `low` to `high`; None is minus or plus infinity."""

    low: Dyadic | None
    high: Dyadic | None
    low_closed: bool
    high_closed: bool


def rounding_interval(
    code: int,
    spec: FormatSpec,
    rounding: Rounding = Rounding.TIES_TO_EVEN,
    overflow: Overflow = Overflow.IEEE,
) -> Interval | None:
    """The real numbers that `encode` turns into `code`; None if there are none.

    None is also the answer for a code that only itself becomes: an infinity that no finite number
    overflows to, a -0 that no non-zero number underflows to; and for a NaN without a sign, which
    numbers beyond both ends become (see `is_out_of_range`). The number 0 belongs to +0; the
    interval of -0 is open there. A bound at infinity is closed if the infinity itself becomes this
    code.
    """
    if code == spec.nan_code and with_sign(code, True, spec) == code:
        return None
    negative = bool(code & spec.sign_mask)
    magnitude = code & spec.magnitude_mask
    interval = _magnitude_interval(magnitude, spec, direction_of(rounding, negative), overflow)
    if interval is None:
        return None
    low, high, low_closed, high_closed = interval
    if magnitude == 0 and not spec.signed and special_codes(spec, overflow).invalid == 0:
        return Interval(None, high, True, high_closed)
    if magnitude == 0 and spec.zero:
        if negative and high is not None and high.significand == 0:
            return None
        if negative:
            return Interval(_negated(high), low, high_closed, False)
        if not spec.has_negative_zero:
            mirror = _magnitude_interval(0, spec, direction_of(rounding, True), overflow)
            assert mirror is not None
            return Interval(_negated(mirror.high), high, mirror.high_closed, high_closed)
    if negative:
        return Interval(_negated(high), _negated(low), high_closed, low_closed)
    return interval


def is_out_of_range(
    code: int,
    spec: FormatSpec,
    rounding: Rounding = Rounding.TIES_TO_EVEN,
    overflow: Overflow = Overflow.IEEE,
) -> bool:
    """Whether a code is the NaN that real numbers become which the format has no value near."""
    if not is_nan(code, spec):
        return False
    if not spec.signed and code == special_codes(spec, overflow).invalid:
        return True
    for sign in (False, True) if spec.signed else (False,):
        beyond = special_codes(spec, overflow, direction_of(rounding, sign)).beyond
        if beyond is not None and with_sign(beyond, sign, spec) == code:
            return True
    return False


def _negated(bound: Dyadic | None) -> Dyadic | None:
    return None if bound is None else bound.negated


def _magnitude_interval(
    magnitude: int, spec: FormatSpec, direction: Direction, overflow: Overflow
) -> Interval | None:
    """The non-negative numbers that round to a magnitude, 0 included where it belongs."""
    largest = spec.max_finite_magnitude
    special = special_codes(spec, overflow, direction) if magnitude >= largest else None
    takes_rest = special is not None and magnitude == special.beyond
    takes_infinity = special is not None and magnitude == special.infinity
    if magnitude > largest:
        if not takes_rest:
            return None
        magnitude = largest + 1  # where its numbers begin, an infinity or a NaN
    even = magnitude % 2 == 0
    if magnitude == 0:
        low, low_closed = Dyadic(0, 0), spec.zero
    elif direction is Direction.EVEN:
        low, low_closed = midpoint_above(magnitude - 1, spec), even
    elif direction is Direction.AWAY_ON_TIE:
        low, low_closed = midpoint_above(magnitude - 1, spec), True
    elif direction is Direction.UP or (direction is Direction.ODD and not even):
        low, low_closed = spec.finite(magnitude - 1), False
    else:
        low, low_closed = spec.finite(magnitude), True
    if takes_rest:
        return Interval(low, None, low_closed, takes_infinity)
    if direction is Direction.EVEN:
        return Interval(low, midpoint_above(magnitude, spec), low_closed, even)
    if direction is Direction.AWAY_ON_TIE:
        return Interval(low, midpoint_above(magnitude, spec), low_closed, False)
    if direction is Direction.DOWN or (direction is Direction.ODD and not even):
        return Interval(low, spec.finite(magnitude + 1), low_closed, False)
    return Interval(low, spec.finite(magnitude), low_closed, True)


def midpoint_above(magnitude: int, spec: FormatSpec) -> Dyadic:
    """Halfway between a finite magnitude and the next one, as if the format had one."""
    significand, exponent = spec.finite(magnitude)
    return Dyadic(2 * significand + 1, exponent - 1)
