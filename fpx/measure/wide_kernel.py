"""The measurements of a block and its cast in one pass, in float64: functions for numba.

Importing this imports numba. Errors are float64's, as torch's measurer has them wherever float32
does not do: q - x rounded at most once, and scaled by powers of two. A stretch of a block at a time
goes through three short loops, so that it comes from the nearest cache in all but the first, and
those without a table vectorise. Maxima are kept as bits, which order magnitudes as integers.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from fpx.measure.compiled import STRETCH, Array, add, compiled, tally

EXPONENTS: Final = 1 << 11
"""Exponent fields of float64."""


FIELD: Final = 52
"""Where float64 has its exponent field."""


INFINITY: Final = (EXPONENTS - 1) << FIELD
"""The code of float64's infinity, and the mask of its exponent field."""


# where `measure_block` leaves what it found
COUNTS: Final = (
    "overflow_count", "overflow_to_inf_count", "overflow_to_nan_count", "destroyed_count",
    "underflow_count", "subnormal_count", "nan_input_count", "inf_input_count", "nan_lost_count",
    "exact_count", "finite_count",
)  # fmt: skip
MAXIMA: Final = (
    "max_abs", "surviving_max_abs_error", "surviving_max_rel_error", "surviving_max_error_ulp",
)  # fmt: skip
SUMS: Final = ("signal", "noise", "normal_noise", "error_ulp")


@compiled
def _bits(number: float) -> int:
    """The code of a float64."""
    return int(np.float64(number).view(np.int64))


@compiled
def _number(bits: int) -> float:
    """What a code of float64 stands for."""
    return float(np.int64(bits).view(np.float64))


@compiled
def _error_of(v: float, q: float) -> float:
    """q - x; 0 where either is not finite."""
    return q - v if (abs(v) < np.inf) & (abs(q) < np.inf) else 0.0


@compiled
def relative(error: float, v: float) -> float:
    """|error| / |x|; 0 where x is 0 or NaN."""
    magnitude = abs(v)
    return abs(error / (magnitude if magnitude > 0 else np.inf))


@compiled
def _in_ulps(error: float, v: float, low: int, high: int, unit: float) -> float:
    """The error in ulps of the target at x: products with powers of two, so exact.

    The scale is 2^(1 - exponent), whose bits are those of the exponent turned round.
    """
    field = min(max(_bits(abs(v)) & INFINITY, low), high)
    return _number(INFINITY ^ field) * error * unit


@compiled
def _count(x: Array, q: Array, overflow: float, smallest_normal: float, counts: Array) -> None:
    """Adds to the counts, which are those of COUNTS."""
    zero = np.int32(0)  # as wide as most numbers here, so that more fit a vector
    over = to_inf = to_nan = destroyed = under = small = nan = inf = lost = exact = both = zero
    for i in range(len(x)):
        before, after = abs(x[i]), abs(q[i])
        beyond = (before < np.inf) & (before >= overflow)
        over += np.int32(beyond)
        to_inf += np.int32(beyond & (after == np.inf))
        to_nan += np.int32(beyond & (after != after))
        destroyed += np.int32((before < np.inf) & (not (after < np.inf)))
        under += np.int32((after == 0) & (before != 0))
        small += np.int32((after < smallest_normal) & (after != 0))
        nan += np.int32(before != before)
        inf += np.int32(before == np.inf)
        lost += np.int32((before != before) & (after == after))
        exact += np.int32(x[i] == q[i])
        both += np.int32((before < np.inf) & (after < np.inf))
    counts[0] += over
    counts[1] += to_inf
    counts[2] += to_nan
    counts[3] += destroyed
    counts[4] += under
    counts[5] += small
    counts[6] += nan
    counts[7] += inf
    counts[8] += lost
    counts[9] += exact
    counts[10] += both


@compiled
def _errors(
    x: Array, q: Array, smallest_normal: float, low: int, high: int, unit: float, maxima: Array,
    sums: Array, fields: Array,
) -> int:  # fmt: skip
    """Raises the maxima, adds to the sums, and writes the exponent fields of x.

    Returns:
        The bits of the smallest |x| that is not 0; infinity's where there is none.
    """
    most = largest = worst = ulps = 0
    least = INFINITY
    signal = noise = normal_noise = error_ulp = 0.0
    for i in range(len(x)):
        v, result = np.float64(x[i]), np.float64(q[i])
        magnitude = _bits(abs(v))
        error = _error_of(v, result)
        in_ulps = _in_ulps(error, v, low, high, unit)
        fields[i] = magnitude >> FIELD
        most = max(most, magnitude if magnitude < INFINITY else 0)
        least = min(least, magnitude if magnitude > 0 else INFINITY)
        largest = max(largest, _bits(abs(error)))
        worst = max(worst, _bits(relative(error, v)))
        ulps = max(ulps, _bits(abs(in_ulps)))
        kept = v if (magnitude < INFINITY) & (abs(result) < np.inf) else 0.0
        normal = error if abs(v) >= smallest_normal else 0.0
        signal = add(signal, kept * kept)
        noise = add(noise, error * error)
        normal_noise = add(normal_noise, normal * normal)
        error_ulp = add(error_ulp, in_ulps)
    maxima[0] = max(maxima[0], most)
    maxima[1] = max(maxima[1], largest)
    maxima[2] = max(maxima[2], worst)
    maxima[3] = max(maxima[3], ulps)
    sums[0] += signal
    sums[1] += noise
    sums[2] += normal_noise
    sums[3] += error_ulp
    return least


@compiled
def measure_block(
    x: Array, q: Array, overflow: float, smallest_normal: float, low: int, high: int, unit: float,
    counts: Array, maxima: Array, sums: Array, exponents: Array,
) -> int:  # fmt: skip
    """Measures a block.

    Args:
        x: the numbers before the cast, float32 or float64.
        q: those after it, float32.
        overflow: the smallest magnitude, of the dtype of `x`, that overflows.
        smallest_normal: the target's, float32.
        low, high: the target's smallest and largest exponent, where float64 has its exponent field.
        unit: what errors, times 2^(1 - exponent), are multiplied by to be in ulps.
        counts, maxima, sums: int64, int64 and float64; where to add to, in the order of COUNTS,
            MAXIMA (bits) and SUMS.
        exponents: int32 of shape (4, EXPONENTS): how often each exponent field occurs, to be added.

    Returns:
        The bits of the smallest magnitude that is not 0; infinity's where there is none.
    """
    fields = np.empty(STRETCH, np.uint16)
    least = INFINITY
    for start in range(0, len(x), STRETCH):
        some, results = x[start : start + STRETCH], q[start : start + STRETCH]
        _count(some, results, overflow, smallest_normal, counts)
        here = _errors(some, results, smallest_normal, low, high, unit, maxima, sums, fields)
        least = min(least, here)
        tally(fields[: len(some)], exponents)
    return least


OVERFLOW: Final = len(MAXIMA)
DESTROYED: Final = OVERFLOW + 1
WHICH: Final = {"overflow_count": OVERFLOW, "destroyed_count": DESTROYED}
"""Counts whose first element `find` finds."""


@compiled
def find(
    x: Array, q: Array, which: int, bits: int, overflow: float, low: int, high: int, unit: float
) -> int:
    """The position of the first element that a block has of something; -1 where it has none.

    Args:
        x, q, overflow, low, high, unit: as of `measure_block`.
        which: a position in MAXIMA, OVERFLOW or DESTROYED.
        bits: of a maximum: that maximum.
    """
    for i in range(len(x)):
        v, result = np.float64(x[i]), np.float64(q[i])
        error = _error_of(v, result)
        finite = abs(v) < np.inf
        found = False
        if which == 0:
            found = bool(finite and _bits(abs(v)) == bits)
        elif which == 1:
            found = _bits(abs(error)) == bits
        elif which == 2:
            found = _bits(relative(error, v)) == bits
        elif which == 3:
            found = _bits(abs(_in_ulps(error, v, low, high, unit))) == bits
        elif which == OVERFLOW:
            found = bool(finite and abs(v) >= overflow)
        else:
            found = bool(finite and not abs(result) < np.inf)
        if found:
            return i
    return -1
