"""What `fpx.measure.wide_kernel` measures, in float32 where that is exact, at a third of the cost.

So it is of finite float32s that do not overflow, with results within an ulp: as `fpx.measure.pair`
says, q - x has no more bits than float32 then. `scan` is of a block by itself, whatever its targets
are. Magnitudes are compared by their bits, as integers.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from fpx.measure.compiled import STRETCH, Array, add, compiled, tally
from fpx.measure.wide_kernel import FIELD as WIDE_FIELD
from fpx.measure.wide_kernel import relative

EXPONENTS: Final = 1 << 8
"""Exponent fields of float32."""


FIELD: Final = 23
"""Where float32 has its exponent field."""


INFINITY: Final[Any] = np.int32((EXPONENTS - 1) << FIELD)
"""The code of float32's infinity, and the mask of its exponent field."""


_SIGNLESS: Final[Any] = np.int32(0x7FFFFFFF)
_ZERO: Final[Any] = np.int32(0)


@compiled
def scan(x: Array, bits: Array, exponents: Array) -> tuple[int, int, float]:
    """Looks at a block before any cast.

    Args:
        x: float32.
        bits: their codes, int32.
        exponents: int32 of shape (4, EXPONENTS): how often each exponent field occurs, to be added.

    Returns:
        The bits of the smallest magnitude that is not 0, or the largest int32; those of the
        largest; the sum of squares.
    """
    least, most, signal = _SIGNLESS, _ZERO, 0.0
    fields = np.empty(STRETCH, np.uint8)
    for start in range(0, len(x), STRETCH):
        some, codes = x[start : start + STRETCH], bits[start : start + STRETCH]
        for i in range(len(codes)):
            magnitude = np.int32(codes[i] & _SIGNLESS)
            most = max(most, magnitude)
            least = min(least, magnitude if magnitude > _ZERO else _SIGNLESS)
            fields[i] = np.uint8(magnitude >> FIELD)
        squares = 0.0
        for i in range(len(some)):
            v = np.float64(some[i])
            squares = add(squares, v * v)
        signal += squares
        tally(fields[: len(some)], exponents)
    return least, most, signal


@compiled
def tally_subnormals(x: Array, bits: Array, exponents: Array) -> None:
    """Counts the exponent fields that float32's subnormals have as float64, of shape (n,)."""
    for i in range(len(x)):
        magnitude = np.int32(bits[i] & _SIGNLESS)
        if _ZERO < magnitude < np.int32(1 << FIELD):
            wide = np.float64(abs(x[i]))
            exponents[np.int64(np.float64(wide).view(np.int64)) >> WIDE_FIELD] += 1


# where `measure_narrow` leaves what it found
FOUND: Final = (
    "surviving_max_abs_error", "surviving_max_error_ulp", "least_result", "exact_count",
    "beyond_count",
)  # fmt: skip


@compiled
def measure_narrow(
    x: Array, bits: Array, q: Array, result_bits: Array, low: int, high: int, unit: float,
    bound: float, found: Array,
) -> tuple[float, float]:  # fmt: skip
    """Measures a cast of a block that was scanned.

    Args:
        x, q: before and after the cast, float32.
        bits, result_bits: their codes, int32.
        low, high: the target's smallest and largest exponent, where float32 has its exponent field.
        unit: float32; what errors, times 2^(1 - exponent), are multiplied by to be in ulps.
        bound: float32; a relative error beyond which elements are counted.
        found: int64; gets the bits of two maxima and of the smallest |q|, and two counts, in the
            order of FOUND.

    Returns:
        The sums of squares of errors, and of errors in ulps.
    """
    largest, worst, least = _ZERO, _ZERO, _SIGNLESS
    exact = beyond = 0
    noise = total = 0.0
    errors, in_ulps = np.empty(STRETCH, np.float32), np.empty(STRETCH, np.float32)
    for start in range(0, len(x), STRETCH):
        some, codes = x[start : start + STRETCH], bits[start : start + STRETCH]
        results, their = q[start : start + STRETCH], result_bits[start : start + STRETCH]
        same = more = _ZERO
        for i in range(len(some)):
            error = results[i] - some[i]
            field = min(max(np.int32(codes[i] & INFINITY), low), high)
            # 2^(1 - exponent): its bits are those of the exponent turned round
            scaled = np.int32(INFINITY ^ field).view(np.float32) * error * unit
            errors[i] = error
            in_ulps[i] = scaled
            largest = max(largest, np.float32(abs(error)).view(np.int32))
            worst = max(worst, np.float32(abs(scaled)).view(np.int32))
            least = min(least, np.int32(their[i] & _SIGNLESS))
            same += np.int32(error == 0)
            more += np.int32(abs(error) > bound * abs(some[i]))
        exact += same
        beyond += more
        squares = ulps = 0.0
        for i in range(len(some)):
            wide = np.float64(errors[i])
            squares = add(squares, wide * wide)
            ulps = add(ulps, np.float64(in_ulps[i]))
        noise += squares
        total += ulps
    found[0], found[1], found[2], found[3], found[4] = largest, worst, least, exact, beyond
    return noise, total


@compiled
def count_small(bits: Array, result_bits: Array, smallest_normal: int) -> tuple[int, int]:
    """How many x other than 0 became 0; how many results are not 0 and below that magnitude."""
    under = small = 0
    for start in range(0, len(bits), STRETCH):
        codes, their = bits[start : start + STRETCH], result_bits[start : start + STRETCH]
        gone = tiny = _ZERO
        for i in range(len(codes)):
            before, after = np.int32(codes[i] & _SIGNLESS), np.int32(their[i] & _SIGNLESS)
            gone += np.int32((after == _ZERO) & (before != _ZERO))
            tiny += np.int32((after < smallest_normal) & (after != _ZERO))
        under += gone
        small += tiny
    return under, small


@compiled
def normal_noise(x: Array, q: Array, smallest_normal: float) -> float:
    """The sum of squares of errors where |x| is not below that, float32."""
    noise = 0.0
    for start in range(0, len(x), STRETCH):
        some, results = x[start : start + STRETCH], q[start : start + STRETCH]
        squares = 0.0
        for i in range(len(some)):
            error = results[i] - some[i]
            wide = np.float64(error if abs(some[i]) >= smallest_normal else np.float32(0))
            squares = add(squares, wide * wide)
        noise += squares
    return noise


@compiled
def largest_relative_error(x: Array, q: Array) -> float:
    """The largest |q - x| / |x|, in float64; 0 where x is 0."""
    most = np.int64(0)
    for i in range(len(x)):
        v = np.float64(x[i])
        most = max(most, np.float64(relative(np.float64(q[i]) - v, v)).view(np.int64))
    return float(np.int64(most).view(np.float64))
