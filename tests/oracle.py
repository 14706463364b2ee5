"""A second implementation of correct rounding, from the definition: search among all the values.

It shares no code with `fpx.core.codec`: values come from the fields as IEEE 754-2019, 3.4 and the
OCP specifications give them, rounding is a bisection over the sorted list of them.
"""

from __future__ import annotations

from bisect import bisect_right
from fractions import Fraction
from functools import cache, lru_cache

from fpx.core.formats import FORMATS
from fpx.core.names import find_format
from fpx.core.spec import FormatSpec, NanEncoding


@cache
def values(spec: FormatSpec) -> tuple[list[Fraction], int]:
    """(magnitudes by code, number of finite ones), with some beyond the finite ones as a ladder."""
    nonfinite = {
        NanEncoding.IEEE: 1 << spec.fraction_bits,
        NanEncoding.ALL_ONES: 1,
        NanEncoding.NEGATIVE_ZERO: 0,
        NanEncoding.NONE: 0,
    }[spec.nan]
    if spec.infinity and spec.nan is not NanEncoding.IEEE:
        nonfinite += 1
    total = 1 << (spec.exponent_bits + spec.fraction_bits)
    ladder = []
    for code in range(total + 2):
        exponent, fraction = divmod(code, 1 << spec.fraction_bits)
        significand = Fraction(fraction, 1 << spec.fraction_bits)
        if exponent == 0 and spec.zero:
            ladder.append(significand * Fraction(2) ** (1 - spec.bias))
        else:
            ladder.append((1 + significand) * Fraction(2) ** (exponent - spec.bias))
    return ladder, total - nonfinite


@lru_cache(maxsize=16)
def _floor(magnitude: Fraction, spec: FormatSpec) -> int:
    """The index of the largest value up to a magnitude; -1 for none."""
    return bisect_right(values(spec)[0], magnitude) - 1


@cache
def _nan(spec: FormatSpec, negative: bool) -> int | None:
    top_bit = 1 << (spec.bits - 1)
    sign = top_bit if negative else 0
    return {
        NanEncoding.IEEE: values(spec)[1] | (1 << spec.fraction_bits) >> 1 | sign,  # no payload
        NanEncoding.ALL_ONES: 2**spec.bits - 1 if not spec.signed else (top_bit - 1) | sign,
        NanEncoding.NEGATIVE_ZERO: top_bit,
        NanEncoding.NONE: None,
    }[spec.nan]


def encode(x: Fraction, spec: FormatSpec, rounding: str, overflow: str) -> int | None:
    """The code of a non-zero x; None where a NaN is asked for and the format has none."""
    ladder, finite = values(spec)
    magnitude, negative = abs(x), x < 0
    top_bit = 1 << (spec.bits - 1)
    sign = top_bit if negative else 0
    nan = _nan(spec, negative)
    low = _floor(magnitude, spec)
    toward_zero = rounding in ("toward_zero", "to_odd") or rounding == (
        "toward_positive" if negative else "toward_negative"
    )
    if low < 0:  # below the smallest value of a format without zero
        code = 0
    elif low + 1 >= len(ladder):
        code = finite
    elif ladder[low] == magnitude:
        code = low
    elif rounding == "to_odd":
        code = low if low % 2 else low + 1
    elif toward_zero:
        code = low
    elif rounding in ("toward_positive", "toward_negative"):
        code = low + 1
    else:
        below, above = magnitude - ladder[low], ladder[low + 1] - magnitude
        if below == above:
            code = low + 1 if rounding == "ties_to_away" or low % 2 else low
        else:
            code = low if below < above else low + 1
    if negative and not spec.signed and (code > 0 or not spec.zero):
        return 0 if overflow == "saturate" else nan
    if overflow == "ieee" and toward_zero and magnitude > ladder[finite - 1]:
        return sign | (finite - 1)
    if code >= finite:
        if overflow == "saturate" or (overflow == "ieee" and nan is None and not spec.infinity):
            return sign | (finite - 1)
        return sign | finite if overflow == "ieee" and spec.infinity else nan
    if code == 0 and spec.zero and (spec.nan is NanEncoding.NEGATIVE_ZERO or not spec.signed):
        return 0
    return sign | code


SMALL = [spec for spec in FORMATS.values() if spec.bits <= 8]
"""Every listed format of up to 8 bits."""

FAMILIES = [
    find_format(name)
    for name in (
        "binary8p4se", "binary8p3sf", "binary8p1se", "binary6p3ue", "binary5p5uf", "binary4p3sf",
        "binary3p2se", "binary8p8uf", "binary7p1ue",
        "e4m6", "e2m5", "e3m0", "e5m3fn", "e1m4fn", "e3m3fnuz", "e3m3b7fnuz", "e6m0fnu", "e2m2b0",
    )
]  # fmt: skip
"""Formats read from their names: P3109's of every kind, and custom ones of every kind."""
