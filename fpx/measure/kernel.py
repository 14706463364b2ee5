"""The measurements of a block and its casts in one pass each, compiled: functions for numba.

Importing this imports numba, which keeps what it compiled until the date of the file changes that a
function is in. So all that call each other are in this one.

Loops are written so that they vectorise: conditions are numbers that add up, integers stay as wide
as they are, and what has a table gets a loop of its own. A stretch of a block at a time goes
through all of them, so that it comes from the nearest cache in all but the first. Maxima are kept
as bits, which order magnitudes as integers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, ParamSpec, TypeVar

import numba
import numpy as np

_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")
Array = np.ndarray[Any, Any]


STRETCH: Final = 1 << 11
"""Elements that are worked on at a time: what a loop writes of them fits the nearest cache."""


def _compiled(function: Callable[_Arguments, _Result]) -> Callable[_Arguments, _Result]:
    """The function, compiled when it is first called, and kept on disk where there is room."""
    return _kept(function, nogil=True)


def _dividing(function: Callable[_Arguments, _Result]) -> Callable[_Arguments, _Result]:
    """The same, of one that divides by what is never 0, and is not asked to look."""
    return _kept(function, nogil=True, error_model="numpy")


def _reordered(function: Callable[_Arguments, _Result]) -> Callable[_Arguments, _Result]:
    """The same, of one whose operations may be done in any order."""
    return _kept(function, nogil=True, fastmath={"reassoc"})


def _kept(function: Callable[_Arguments, _Result], **kinds: Any) -> Callable[_Arguments, _Result]:
    try:
        made: Callable[_Arguments, _Result] = numba.njit(cache=True, **kinds)(function)
    except RuntimeError:  # no folder can be written to, neither beside this file nor the user's own
        made = numba.njit(**kinds)(function)
    return made


@_reordered
def _add(total: float, more: float) -> float:
    """A step of a sum that is added up in whatever order is fast."""
    return total + more


@_compiled
def look_up(codes: Array, table: Array, into: Array) -> None:
    """Writes what stands in a table at each code."""
    for i in range(len(codes)):
        into[i] = table[codes[i]]


@_compiled
def _tally(fields: Array, tables: Array) -> None:
    """Counts numbers, in four tables by turns: equal ones would wait for each other.

    Args:
        fields: unsigned, each less than the length of a table.
        tables: of shape (4, n), to be added up.
    """
    whole = len(fields) - len(fields) % 4
    for i in range(0, whole, 4):
        tables[0, fields[i]] += 1
        tables[1, fields[i + 1]] += 1
        tables[2, fields[i + 2]] += 1
        tables[3, fields[i + 3]] += 1
    for i in range(whole, len(fields)):
        tables[0, fields[i]] += 1


@_compiled
def tally_codes(codes: Array, start: int, counts: Array, first: Array) -> None:
    """Counts codes, and writes down where each occurs first.

    Args:
        codes: unsigned.
        start: position of the first of them.
        counts: int64, by code: to be added to.
        first: int64, by code: written where the count was 0.
    """
    for i in range(len(codes)):
        code = codes[i]
        if counts[code] == 0:
            first[code] = start + i
        counts[code] += 1


# -- in float64 ------------------------------------------------------------------------------------
# Errors are those of torch's measurer wherever float32 does not do: q - x rounded at most once, and
# scaled by powers of two.


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


@_compiled
def _bits(number: float) -> int:
    """The code of a float64."""
    return int(np.float64(number).view(np.int64))


@_compiled
def _number(bits: int) -> float:
    """What a code of float64 stands for."""
    return float(np.int64(bits).view(np.float64))


@_compiled
def _error_of(v: float, q: float) -> float:
    """q - x; 0 where either is not finite."""
    return q - v if (abs(v) < np.inf) & (abs(q) < np.inf) else 0.0


@_compiled
def _relative(error: float, v: float) -> float:
    """|error| / |x|; 0 where x is 0 or NaN."""
    magnitude = abs(v)
    return abs(error / (magnitude if magnitude > 0 else np.inf))


@_compiled
def _in_ulps(error: float, v: float, low: int, high: int, unit: float) -> float:
    """The error in ulps of the target at x: products with powers of two, so exact.

    The scale is 2^(1 - exponent), whose bits are those of the exponent turned round.
    """
    field = min(max(_bits(abs(v)) & INFINITY, low), high)
    return _number(INFINITY ^ field) * error * unit


@_compiled
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
        under += np.int32((after == 0) & (before > 0) & (before < np.inf))
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


@_compiled
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
        worst = max(worst, _bits(_relative(error, v)))
        ulps = max(ulps, _bits(abs(in_ulps)))
        kept = v if (magnitude < INFINITY) & (abs(result) < np.inf) else 0.0
        normal = error if abs(v) >= smallest_normal else 0.0
        signal = _add(signal, kept * kept)
        noise = _add(noise, error * error)
        normal_noise = _add(normal_noise, normal * normal)
        error_ulp = _add(error_ulp, in_ulps)
    maxima[0] = max(maxima[0], most)
    maxima[1] = max(maxima[1], largest)
    maxima[2] = max(maxima[2], worst)
    maxima[3] = max(maxima[3], ulps)
    sums[0] += signal
    sums[1] += noise
    sums[2] += normal_noise
    sums[3] += error_ulp
    return least


@_compiled
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
        _tally(fields[: len(some)], exponents)
    return least


OVERFLOW: Final = len(MAXIMA)
DESTROYED: Final = OVERFLOW + 1
WHICH: Final = {"overflow_count": OVERFLOW, "destroyed_count": DESTROYED}
"""Counts whose first element `find` finds."""


@_compiled
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
            found = _bits(_relative(error, v)) == bits
        elif which == 3:
            found = _bits(abs(_in_ulps(error, v, low, high, unit))) == bits
        elif which == OVERFLOW:
            found = bool(finite and abs(v) >= overflow)
        else:
            found = bool(finite and not abs(result) < np.inf)
        if found:
            return i
    return -1


KNOWN: Final = DESTROYED + 1
"""How many things `find` finds."""


_FIRST_OF: Final = tuple(COUNTS.index(name) for name in WHICH)  # from OVERFLOW on


@_compiled
def measure_segments(
    x: Array, q: Array, ends: Array, overflow: float, smallest_normal: float, low: int, high: int,
    unit: float, known: Array, counts: Array, maxima: Array, sums: Array, least: Array,
    places: Array, fields: Array, elements: Array, stops: Array,
) -> None:  # fmt: skip
    """Measures segments of a block that follow each other, each by itself.

    Args:
        x, q, overflow, smallest_normal, low, high, unit: as of `measure_block`.
        ends: int64 of shape (n,): where each segment ends.
        known: int64 of shape (KNOWN,): bits of maxima above which a position is looked for; of
            OVERFLOW and DESTROYED, 0 where the first element is.
        counts, maxima, sums: as of `measure_block`, with a row for each segment.
        least: int64 of shape (n,): gets what `measure_block` returns.
        places: int64 of shape (n, KNOWN): written where a position was found, from the beginning of
            the segment.
        fields, elements: int64, as long as segments can have different exponent fields: get those
            of finite numbers that are not 0, in ascending order, and how often they occur.
        stops: int64 of shape (n,): gets where those of each segment end.
    """
    exponents = np.zeros((4, EXPONENTS), np.int32)
    start = stop = 0
    for segment in range(len(ends)):
        some, results = x[start : ends[segment]], q[start : ends[segment]]
        start = ends[segment]
        here, most = counts[segment], maxima[segment]
        least[segment] = measure_block(
            some, results, overflow, smallest_normal, low, high, unit, here, most, sums[segment],
            exponents,
        )  # fmt: skip
        for which in range(KNOWN):
            bits = most[which] if which < OVERFLOW else 0
            number = bits if which < OVERFLOW else here[_FIRST_OF[which - OVERFLOW]]
            if number > known[which]:
                places[segment, which] = find(some, results, which, bits, overflow, low, high, unit)
        first, last = least[segment] >> FIELD, most[0] >> FIELD
        if first == 0:  # numbers of which some are subnormal: zeros are counted with those
            for i in range(len(some)):
                exponents[0, 0] -= some[i] == 0
        for field in range(first, last + 1):
            number = 0
            for table in range(len(exponents)):
                number += exponents[table, field]
                exponents[table, field] = 0
            if number > 0:
                fields[stop], elements[stop] = field, number
                stop += 1
        exponents[:, 0] = exponents[:, EXPONENTS - 1] = 0  # zeros; infinities and NaNs
        stops[segment] = stop


# -- in float32 ------------------------------------------------------------------------------------
# The same at a third of the cost where that is exact: of finite float32s that do not overflow, with
# results within an ulp. As `fpx.measure.pair` says, q - x has no more bits than float32 then.


NARROW_EXPONENTS: Final = 1 << 8
"""Exponent fields of float32."""


NARROW_FIELD: Final = 23
"""Where float32 has its exponent field."""


_NARROW_INFINITY: Final[Any] = np.int32((NARROW_EXPONENTS - 1) << NARROW_FIELD)
_SUBNORMAL: Final = 149
"""Less the exponent of float32's smallest number."""


_SIGNLESS: Final[Any] = np.int32(0x7FFFFFFF)
_ZERO: Final[Any] = np.int32(0)


@_compiled
def scan(x: Array, bits: Array, exponents: Array) -> tuple[int, int, int, float]:
    """Looks at a block before any cast.

    Args:
        x: float32.
        bits: their codes, int32.
        exponents: int32 of shape (NARROW_EXPONENTS,): gets how often each exponent field occurs.

    Returns:
        The bits of the smallest magnitude that is not 0, or the largest int32; those of the
        largest; where a stretch begins that has it, and none before; the sum of squares.
    """
    least, most, near, signal = _SIGNLESS, _ZERO, 0, 0.0
    fields = np.empty(STRETCH, np.uint8)
    tables = np.zeros((4, NARROW_EXPONENTS), np.int32)
    for start in range(0, len(x), STRETCH):
        some, codes = x[start : start + STRETCH], bits[start : start + STRETCH]
        here = _ZERO
        for i in range(len(codes)):
            magnitude = np.int32(codes[i] & _SIGNLESS)
            here = max(here, magnitude)
            least = min(least, magnitude if magnitude > _ZERO else _SIGNLESS)
            fields[i] = np.uint8(magnitude >> NARROW_FIELD)
        if here > most:
            most, near = here, start
        squares = 0.0
        for i in range(len(some)):
            v = np.float64(some[i])
            squares = _add(squares, v * v)
        signal += squares
        _tally(fields[: len(some)], tables)
    for field in range(NARROW_EXPONENTS):
        exponents[field] = tables[0, field] + tables[1, field] + tables[2, field] + tables[3, field]
    return least, most, near, signal


@_compiled
def tally_subnormals(bits: Array, exponents: Array) -> int:
    """Counts the exponent fields that float32's subnormals have as float64.

    Args:
        bits: codes of float32, int32.
        exponents: int32 of shape (4, EXPONENTS), to be added to; so are others to the first field.

    Returns:
        How many are 0.
    """
    fields = np.empty(STRETCH, np.uint16)
    zeros = 0
    for start in range(0, len(bits), STRETCH):
        some = bits[start : start + STRETCH]
        for i in range(len(some)):
            magnitude = np.int32(some[i] & _SIGNLESS)
            # how often the smallest subnormal is in it: processors are slow with those themselves
            field = (_bits(np.float64(magnitude)) >> FIELD) - _SUBNORMAL
            subnormal = (magnitude > _ZERO) & (magnitude < np.int32(1 << NARROW_FIELD))
            fields[i] = np.uint16(field if subnormal else 0)
        _tally(fields[: len(some)], exponents)
        here = _ZERO
        for i in range(len(some)):
            here += np.int32(np.int32(some[i] & _SIGNLESS) == _ZERO)
        zeros += here
    return zeros


# where `measure_narrow` and its like leave what they found
NARROW_FOUND: Final = (
    "surviving_max_abs_error", "surviving_max_error_ulp", "exact_count", "underflow_count",
    "subnormal_count",
)  # fmt: skip
NARROW_SUMS: Final = ("noise", "normal_noise", "error_ulp")
NARROW_MAXIMA: Final = (
    "surviving_max_abs_error", "surviving_max_error_ulp", "surviving_max_rel_error"
)  # fmt: skip
_SMALLEST_NORMAL: Final = 2.0**-126


@_compiled
def _bound_of(relative: float, least: float) -> float:
    """A relative error, float32, beyond which all are whose quotient is above one in float64.

    Products with it are rounded in float32, if not with 1; -1 is below everything.

    Args:
        relative: the quotient; of casts that are measured here, none is above 1.
        least: the smallest magnitude that is multiplied and not 0; NaN where there is none.
    """
    if relative >= 1:
        return 1.0
    bound = relative * (1 - 2.0**-22)
    return float(np.float32(bound if least * bound >= _SMALLEST_NORMAL else -1.0))


@_compiled
def _first(values: Array, magnitude: int) -> int:
    """The position of the first float32 whose magnitude has these bits; -1 where none has."""
    for i in range(len(values)):
        if np.float32(abs(values[i])).view(np.int32) == magnitude:
            return i
    return -1


@_compiled
def _raise_relative(x: Array, errors: Array, start: int, largest: Array, places: Array) -> None:
    """Takes in the relative errors of a stretch, which are told in float64.

    Args:
        x, errors: float32.
        start: position of the first of them.
        largest, places: as of `_measure_stretch`.
    """
    bound, beyond = largest[2] * (1 - 2.0**-50), 0  # products round
    for i in range(len(x)):
        beyond += abs(np.float64(errors[i])) > bound * abs(np.float64(x[i]))
    if beyond == 0:
        return
    worst = np.int64(0)
    for i in range(len(x)):
        each = _relative(np.float64(errors[i]), np.float64(x[i]))
        worst = max(worst, np.float64(each).view(np.int64))
    relative = np.int64(worst).view(np.float64)
    if relative > largest[2]:
        largest[2] = relative
        for i in range(len(x)):
            if _relative(np.float64(errors[i]), np.float64(x[i])) == relative:
                places[2] = start + i
                return


@_compiled
def _measure_stretch(
    x: Array, bits: Array, result_bits: Array, start: int, low: int, unit: float,
    smallest_normal: float, smallest: float, errors: Array, in_ulps: Array, found: Array,
    sums: Array, largest: Array, places: Array,
) -> None:  # fmt: skip
    """Measures a stretch of a cast; what is seldom there is looked for where it may be.

    Args:
        x, bits: before the cast, and their codes, float32 and int32.
        result_bits: codes after it, as float32, int32.
        start: position of the first of them.
        low: the target's smallest exponent, where float32 has its exponent field; the largest is no
            bound, as nothing overflows.
        unit: float32; what errors, times 2^(1 - exponent), are multiplied by to be in ulps.
        smallest_normal: the target's, float32.
        smallest: the smallest magnitude in the block that is not 0, float64; NaN where none is.
        errors, in_ulps: float32, to be written over.
        found: int64; gets the bits of two maxima, and counts, in the order of NARROW_FOUND.
        sums: float64; is added to, in the order of NARROW_SUMS.
        largest: float64; the largest that are known, in the order of NARROW_MAXIMA. The last is
            raised.
        places: int64; gets the first position of each that is larger, in the same order.
    """
    results, small = result_bits.view(np.float32), np.float32(smallest_normal).view(np.int32)
    bound = np.float32(_bound_of(largest[2], smallest))
    most, worst, least, least_result = _ZERO, _ZERO, _SIGNLESS, _SIGNLESS
    same = beyond = _ZERO
    for i in range(len(x)):
        error = results[i] - x[i]
        field = max(np.int32(bits[i] & _NARROW_INFINITY), low)
        # 2^(1 - exponent): its bits are those of the exponent turned round
        scaled = np.int32(_NARROW_INFINITY ^ field).view(np.float32) * error * unit
        errors[i] = error
        in_ulps[i] = scaled
        most = max(most, np.float32(abs(error)).view(np.int32))
        worst = max(worst, np.float32(abs(scaled)).view(np.int32))
        least = min(least, np.int32(bits[i] & _SIGNLESS))
        least_result = min(least_result, np.int32(result_bits[i] & _SIGNLESS))
        same += np.int32(error == 0)
        beyond += np.int32(abs(error) > bound * abs(x[i]))
    if most > found[0]:
        found[0] = most
        if np.int32(most).view(np.float32) > largest[0]:
            places[0] = start + _first(errors[: len(x)], most)
    if worst > found[1]:
        found[1] = worst
        if np.int32(worst).view(np.float32) > largest[1]:
            places[1] = start + _first(in_ulps[: len(x)], worst)
    if beyond > 0:
        _raise_relative(x, errors, start, largest, places)
    found[2] += same
    noise = total = 0.0
    for i in range(len(x)):
        wide = np.float64(errors[i])
        noise = _add(noise, wide * wide)
        total = _add(total, np.float64(in_ulps[i]))
    sums[0] += noise
    sums[2] += total
    if least < small:
        noise = 0.0
        for i in range(len(x)):
            wide = np.float64(errors[i] if abs(x[i]) >= smallest_normal else np.float32(0))
            noise = _add(noise, wide * wide)
    sums[1] += noise
    if least_result < small:
        gone = tiny = _ZERO
        for i in range(len(x)):
            before, after = np.int32(bits[i] & _SIGNLESS), np.int32(result_bits[i] & _SIGNLESS)
            gone += np.int32((after == _ZERO) & (before != _ZERO))
            tiny += np.int32((after < small) & (after != _ZERO))
        found[3] += gone
        found[4] += tiny


@_compiled
def measure_narrow(
    x: Array, bits: Array, q: Array, low: int, unit: float, smallest_normal: float,
    smallest: float, found: Array, sums: Array, largest: Array, places: Array,
) -> None:  # fmt: skip
    """Measures a cast of a block that was scanned.

    Args:
        q: codes of float32, int32.
        x, bits, low, unit, smallest_normal, smallest, found, sums, largest, places: as of
            `_measure_stretch`.
    """
    errors, in_ulps = np.empty(STRETCH, np.float32), np.empty(STRETCH, np.float32)
    for start in range(0, len(x), STRETCH):
        here = slice(start, start + STRETCH)
        _measure_stretch(
            x[here], bits[here], q[here], start, low, unit, smallest_normal, smallest, errors,
            in_ulps, found, sums, largest, places,
        )  # fmt: skip


@_compiled
def measure_narrow_bfloat16(
    x: Array, bits: Array, q: Array, low: int, unit: float, smallest_normal: float,
    smallest: float, found: Array, sums: Array, largest: Array, places: Array,
) -> None:  # fmt: skip
    """The same, where q are codes of bfloat16, uint16."""
    errors, in_ulps = np.empty(STRETCH, np.float32), np.empty(STRETCH, np.float32)
    wide = np.empty(STRETCH, np.int32)
    for start in range(0, len(x), STRETCH):
        here = slice(start, start + STRETCH)
        codes = q[here]
        for i in range(len(codes)):
            wide[i] = np.int32(codes[i]) << 16
        _measure_stretch(
            x[here], bits[here], wide[: len(codes)], start, low, unit, smallest_normal,
            smallest, errors, in_ulps, found, sums, largest, places,
        )  # fmt: skip


_HALF_FIELD: Final = 10
"""Where float16 has its exponent field."""


_REBIASED: Final = np.int32((127 - 15) << NARROW_FIELD)
"""What an exponent field of float16 lacks to be float32's."""


@_compiled
def measure_narrow_float16(
    x: Array, bits: Array, q: Array, low: int, unit: float, smallest_normal: float,
    smallest: float, found: Array, sums: Array, largest: Array, places: Array,
) -> None:  # fmt: skip
    """The same, where q are codes of float16, uint16."""
    errors, in_ulps = np.empty(STRETCH, np.float32), np.empty(STRETCH, np.float32)
    wide = np.empty(STRETCH, np.int32)
    for start in range(0, len(x), STRETCH):
        here = slice(start, start + STRETCH)
        codes = q[here]
        for i in range(len(codes)):
            code = np.int32(codes[i])
            moved = np.int32((code & np.int32(0x7FFF)) << (NARROW_FIELD - _HALF_FIELD))
            normal = np.int32(moved + _REBIASED)
            if moved >= np.int32(31 << NARROW_FIELD):  # infinity or NaN
                normal = np.int32(normal + _REBIASED)
            small = np.float32(np.float32(code & np.int32(0x3FF)) * np.float32(2.0**-24))
            magnitude = (
                np.float32(small).view(np.int32) if moved < np.int32(1 << NARROW_FIELD) else normal
            )
            wide[i] = magnitude | np.int32((code & np.int32(0x8000)) << 16)
        _measure_stretch(
            x[here], bits[here], wide[: len(codes)], start, low, unit, smallest_normal,
            smallest, errors, in_ulps, found, sums, largest, places,
        )  # fmt: skip


@_compiled
def measure_narrow_by_table(
    x: Array, bits: Array, q: Array, table: Array, low: int, unit: float,
    smallest_normal: float, smallest: float, found: Array, sums: Array, largest: Array,
    places: Array,
) -> None:  # fmt: skip
    """The same, where q are codes that a table has as codes of float32, int32."""
    errors, in_ulps = np.empty(STRETCH, np.float32), np.empty(STRETCH, np.float32)
    wide = np.empty(STRETCH, np.int32)
    for start in range(0, len(x), STRETCH):
        here = slice(start, start + STRETCH)
        codes = q[here]
        for i in range(len(codes)):
            wide[i] = table[codes[i]]
        _measure_stretch(
            x[here], bits[here], wide[: len(codes)], start, low, unit, smallest_normal,
            smallest, errors, in_ulps, found, sums, largest, places,
        )  # fmt: skip


# -- with scales -----------------------------------------------------------------------------------
# Of finite float32s in groups of `width` that have a step each, neither 0 nor NaN, and elements to
# which ties to even round. As `fpx.casts.scaling` has it, in float64.


_SHIFTER: Final = 1.5 * 2.0**52
"""Times a power of two: with that beside it, float64's own rounding is that to such powers."""


_REFLECTED: Final = 2046 << FIELD
"""Less the code of a power of two: the code of its inverse."""


@_compiled
def _magnitudes(bits: Array, count: int, into: Array) -> None:
    """Writes magnitudes, as codes."""
    for i in range(count):
        into[i] = np.int32(bits[i] & _SIGNLESS)


@_compiled
def _larger_magnitudes(bits: Array, count: int, into: Array) -> None:
    """Writes the larger magnitude of each two that are neighbours."""
    for i in range(count):
        into[i] = max(np.int32(bits[2 * i] & _SIGNLESS), np.int32(bits[2 * i + 1] & _SIGNLESS))


@_compiled
def _larger(magnitudes: Array, count: int, into: Array) -> None:
    """The same, where no sign is left; elsewhere, as in place it would be one after the other."""
    for i in range(count):
        into[i] = max(magnitudes[2 * i], magnitudes[2 * i + 1])


@_compiled
def largest_of_groups(bits: Array, width: int, into: Array) -> None:
    """Writes the largest magnitude of each group.

    Args:
        bits: codes of float32, of shape (n * width,).
        width: elements of a group.
        into: int32, of shape (n,): gets their codes.
    """
    one, other = np.empty(STRETCH, np.int32), np.empty(STRETCH, np.int32)
    groups = STRETCH // width
    for start in range(0, len(into), groups):
        count, rest = min(groups, len(into) - start), width
        some = bits[start * width : (start + count) * width]
        largest, room = one, other
        if rest % 2 == 0:
            rest //= 2
            _larger_magnitudes(some, count * rest, largest)
        else:
            _magnitudes(some, count * rest, largest)
        while rest % 2 == 0:
            rest //= 2
            _larger(largest, count * rest, room)
            largest, room = room, largest
        for group in range(count):
            most = largest[group * rest]
            for i in range(1, rest):
                most = max(most, largest[group * rest + i])
            into[start + group] = most


# where `look_up_scales` leaves what it found
SCALE_COUNTS: Final = ("clipped_block_count", "zero_block_count")


@_compiled
def look_up_scales(
    largest: Array, begins: Array, starts: Array, step_of: Array, zero: int, zero_step: float,
    beginning: int, clips: float, steps: Array, codes: Array, counts: Array,
) -> None:  # fmt: skip
    """Writes the step of each group, and counts scales.

    Args:
        largest: of each group, codes of float32 magnitudes, int32.
        begins, starts, step_of, zero, zero_step, beginning: see `fpx.measure.scale_table`.
        clips: the largest ratio of a magnitude to its step that is not clipped.
        steps: float64; gets the steps.
        codes: int64, by code of a scale: to be added to.
        counts: int64; gets what the names of SCALE_COUNTS say.
    """
    for group in range(len(largest)):
        magnitude = largest[group]
        if magnitude == 0:
            codes[zero] += 1
            steps[group] = zero_step
            counts[1] += 1
            continue
        code = np.int64(starts[magnitude >> beginning])
        code += begins[code + 1] <= magnitude  # often, and nearly never more: no branch to guess
        while begins[code + 1] <= magnitude:
            code += 1
        step = step_of[code]
        amax = np.float64(np.int32(magnitude).view(np.float32))
        counts[0] += (amax > step * clips) & (step != 0)
        codes[code] += 1
        steps[group] = step


@_dividing
def _element(
    v: float, step: float, top: float, low: int, high: int, shift: int
) -> tuple[float, float, float]:
    """A number over its step, the element that this is rounded to, and the error in its spacing."""
    ratio = v / step
    inside = min(max(ratio, -top), top)
    spacing = min(max(_bits(inside) & INFINITY, low), high) - shift
    shifter = _number(spacing) * _SHIFTER
    element = (inside + shifter) - shifter
    return ratio, element, (element - ratio) * _number(_REFLECTED - spacing)


# where `measure_scaled` leaves what it found
SCALED_COUNTS: Final = (
    "overflow_count", "clipped_count", "zero_count", "not_normal_count", "exact_count",
    "beyond_count",
)  # fmt: skip
SCALED_MAXIMA: Final = ("surviving_max_abs_error", "surviving_max_error_ulp")
SCALED_SUMS: Final = ("noise", "normal_noise", "unclipped_noise", "error_ulp")


@_dividing
def measure_scaled(
    x: Array, steps: Array, top: float, low: int, high: int, shift: int, overflow: float,
    clips: float, smallest_normal: float, bound: float, counts: Array, maxima: Array, near: Array,
    sums: Array,
) -> None:  # fmt: skip
    """Casts a block of whole groups, and measures that.

    Args:
        x: float32 of shape (n * width,).
        steps: float64 of shape (n,).
        top: the largest element.
        low, high: the smallest and the largest exponent of elements, where float64 has its exponent
            field.
        shift: how far below that the exponent of their spacing is, there.
        overflow: the smallest ratio that overflows.
        clips: the largest ratio that is not clipped.
        smallest_normal: of the elements; 0 where they have no subnormals.
        bound: a relative error beyond which elements are counted.
        counts, maxima, sums: int64, int64 and float64; get what the names of SCALED_COUNTS,
            SCALED_MAXIMA (bits) and SCALED_SUMS say.
        near: int64; gets a group for each maximum, none before which has it.
    """
    width = len(x) // len(steps)
    groups = STRETCH // width
    each = np.empty(STRETCH, np.float64)
    for start in range(0, len(steps), groups):
        here = steps[start : start + groups]
        for group in range(len(here)):
            for i in range(width):
                each[group * width + i] = here[group]
        some = x[start * width : (start + len(here)) * width]
        over = clipped = zero = small = exact = beyond = largest = worst = 0
        noise = normal = unclipped = total = 0.0
        for i in range(len(some)):
            v = np.float64(some[i])
            ratio, element, in_ulps = _element(v, each[i], top, low, high, shift)
            error = element * each[i] - v
            away, square = abs(ratio), error * error
            over += away >= overflow
            clipped += away > clips
            zero += element == 0
            small += abs(element) < smallest_normal
            exact += error == 0
            beyond += abs(error) > bound * abs(v)
            largest = max(largest, _bits(abs(error)))
            worst = max(worst, _bits(abs(in_ulps)))
            noise = _add(noise, square)
            normal = _add(normal, square if away >= smallest_normal else 0.0)
            unclipped = _add(unclipped, square if away <= clips else 0.0)
            total = _add(total, in_ulps)
        counts[0] += over
        counts[1] += clipped
        counts[2] += zero
        counts[3] += small
        counts[4] += exact
        counts[5] += beyond
        if largest > maxima[0]:
            maxima[0], near[0] = largest, start
        if worst > maxima[1]:
            maxima[1], near[1] = worst, start
        sums[0] += noise
        sums[1] += normal
        sums[2] += unclipped
        sums[3] += total


@_dividing
def largest_scaled_error(
    x: Array, steps: Array, top: float, low: int, high: int, shift: int
) -> tuple[float, int]:
    """The largest |q - x| / |x|, which is 0 where x is 0, and the first position that has it.

    For the arguments, see `measure_scaled`.
    """
    width = len(x) // len(steps)
    most, at = 0.0, 0
    for i in range(len(x)):
        v, step = np.float64(x[i]), steps[i // width]
        _, element, _ = _element(v, step, top, low, high, shift)
        error = _relative(element * step - v, v)
        if error > most:
            most, at = error, i
    return most, at


@_dividing
def find_scaled(
    x: Array, steps: Array, top: float, low: int, high: int, shift: int, which: int, value: float,
    group: int,
) -> int:  # fmt: skip
    """The position of the first element that a block has of something; -1 where it has none.

    Args:
        x, steps, top, low, high, shift: as of `measure_scaled`.
        which: a position in SCALED_MAXIMA, or OVERFLOW.
        value: that maximum; the smallest ratio that overflows.
        group: none before has it.
    """
    width = len(x) // len(steps)
    for i in range(group * width, len(x)):
        v, step = np.float64(x[i]), steps[i // width]
        ratio, element, in_ulps = _element(v, step, top, low, high, shift)
        error = element * step - v
        if which == 0:
            found = abs(error) == value
        elif which == 1:
            found = abs(in_ulps) == value
        else:
            found = abs(ratio) >= value
        if found:
            return i
    return -1
