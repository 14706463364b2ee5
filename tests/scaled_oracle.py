"""A second way to scaled formats: definitions searched, tables of ml_dtypes, no logarithm.

It shares no code with `fpx.core`: elements and scales are lists of numbers, a rule is the search
among powers of two that its definition asks for, an element is the nearest of all.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from fractions import Fraction
from functools import cache

import ml_dtypes
import numpy as np

MX = {
    "mxfp8_e4m3": "float8_e4m3fn",
    "mxfp8_e5m2": "float8_e5m2",
    "mxfp6_e3m2": "float6_e3m2fn",
    "mxfp6_e2m3": "float6_e2m3fn",
    "mxfp4": "float4_e2m1fn",
    "mxint8": "int8",
}
"""OCP's formats and their elements."""

MANTISSA = {
    "float8_e4m3fn": 3, "float8_e5m2": 2, "float6_e3m2fn": 2, "float6_e2m3fn": 3,
    "float4_e2m1fn": 1, "int8": 6,
}  # fmt: skip
"""Bits after the leading one."""

NF4 = """-1.0 -0.6961928009986877 -0.5250730514526367 -0.39491748809814453 -0.28444138169288635
-0.18477343022823334 -0.09105003625154495 0.0 0.07958029955625534 0.16093020141124725
0.24611230194568634 0.33791524171829224 0.44070982933044434 0.5626170039176941 0.7229568362236023
1.0"""
FP4_TWELFTHS = "0 .0625 8 12 4 6 2 3"

POWERS = [Fraction(2) ** k for k in range(-127, 128)]
"""What E8M0 has."""

E4M3_SCALES = [Fraction(float(each)) for each in np.arange(127, dtype=np.uint8).view("u1").view(
    ml_dtypes.float8_e4m3fn)]  # fmt: skip
"""The scales of NVFP4, by code."""


@cache
def table(element: str) -> tuple[Fraction | None, ...]:
    """The value of each code; None for infinities and NaNs."""
    if element == "int8":
        return tuple(Fraction(int(each), 64) for each in np.arange(256).astype(np.int8))
    if element == "nf4":
        return tuple(Fraction(float(each)) for each in NF4.split())
    if element == "fp4_bnb":
        halves = [Fraction(float(np.float32(each) / np.float32(12))) for each in
                  map(float, FP4_TWELFTHS.split())]  # fmt: skip
        return tuple(halves + [-each for each in halves])
    dtype = np.dtype(getattr(ml_dtypes, element))
    bits = {"float8": 8, "float6": 6, "float4": 4}[element[:6]]
    numbers = np.arange(1 << bits, dtype=np.uint8).view(dtype).astype(np.float64)
    return tuple(Fraction(float(x)) if np.isfinite(x) else None for x in numbers)


@cache
def top(element: str) -> Fraction:
    """The largest magnitude that is written (int8 leaves -2 alone)."""
    return max(value for value in table(element) if value is not None)


@cache
def largest_power(element: str) -> Fraction:
    """The largest power of two that it has."""
    values = set(table(element))
    return max(Fraction(2) ** k for k in range(-20, 20) if Fraction(2) ** k in values)


@cache
def scale(amax: Fraction, element: str, rule: str) -> Fraction:
    """The power of two of a rule, within E8M0; amax > 0."""
    if rule == "rceil":  # the smallest that clips nothing
        found = next((x for x in POWERS if amax <= top(element) * x), POWERS[-1])
    else:
        wanted = _rounded(amax, MANTISSA[element]) if rule == "even" else amax
        wanted /= largest_power(element)
        if rule == "ceil":
            found = next((x for x in POWERS if x >= wanted), POWERS[-1])
        else:
            found = next((x for x in reversed(POWERS) if x <= wanted), POWERS[0])
    return found


def _rounded(x: Fraction, bits: int) -> Fraction:
    """x with so many bits after the leading one, to nearest and ties to even."""
    unit = Fraction(1)
    while x >= 2 * unit:
        unit *= 2
    while x < unit:
        unit /= 2
    step = unit / (1 << bits)
    return round(x / step) * step  # Python rounds fractions half to even


def nearest_scale(wanted: Fraction, scales: Sequence[Fraction]) -> int:
    """The code of the nearest of ascending scales, ties to even codes."""
    at = min(bisect_left(scales, wanted), len(scales) - 1)
    return min(
        (code for code in (at - 1, at) if code >= 0),
        key=lambda code: (abs(scales[code] - wanted), code & 1),
    )


def float32(x: Fraction) -> Fraction:
    """The nearest float32 of a number in its range, without rounding twice."""
    near = np.float32(float(x))
    around = (np.nextafter(near, np.float32(0)), near, np.nextafter(near, np.float32(np.inf)))
    bits = {Fraction(float(each)): int(each.view(np.uint32)) for each in around}
    return min(bits, key=lambda each: (abs(each - x), bits[each] & 1))


def allowed(x: Fraction, element: str, ties: str) -> set[int]:
    """The codes that x may become: the nearest of all that are written; of equals what ties say.

    Two codes of one value (of +0 and -0) are both in it.
    """
    codes = _line(element)[1]
    nearest = distance(x, element)
    found = [value for value in _around(x, element) if abs(value - x) == nearest]
    if len(found) == 2:
        if ties == "even":
            found = [v for v in found if any(code % 2 == 0 for code in codes[v])]
        else:
            found = [(max if ties == "away" else min)(found, key=abs)]
    assert len(found) == 1
    return codes[found[0]]


def distance(x: Fraction, element: str) -> Fraction:
    """How far the nearest of all that are written is."""
    return min(abs(value - x) for value in _around(x, element))


def _around(x: Fraction, element: str) -> list[Fraction]:
    line, _ = _line(element)
    at = bisect_right(line, x)
    return line[max(at - 1, 0) : at + 1]


@cache
def _line(element: str) -> tuple[list[Fraction], dict[Fraction, set[int]]]:
    codes: dict[Fraction, set[int]] = {}
    for code, value in enumerate(table(element)):
        if value is not None and not (element == "int8" and code == 0x80):
            codes.setdefault(value, set()).add(code)
    return sorted(codes), codes
