"""A second implementation of correct rounding, from the definition: search among all the values.

It shares no code with `fpx.core.codec`: values come from the fields as IEEE 754-2019, 3.4 and the
OCP specifications give them, rounding is a bisection over the sorted list of them.
"""

from __future__ import annotations

from bisect import bisect_right
from fractions import Fraction
from functools import cache

from fpx.core.formats import FormatSpec, NanEncoding


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


def encode(x: Fraction, spec: FormatSpec, rounding: str, overflow: str) -> int:
    """The code of a non-zero x."""
    ladder, finite = values(spec)
    magnitude, negative = abs(x), x < 0
    sign = 1 << (spec.bits - 1) if negative else 0
    low = bisect_right(ladder, magnitude) - 1
    if low < 0:
        return 0
    toward_zero = rounding in ("toward_zero", "to_odd") or rounding == (
        "toward_positive" if negative else "toward_negative"
    )
    if low >= finite - 1 and magnitude > ladder[finite - 1] and toward_zero:
        return sign | (finite - 1)
    if low + 1 >= len(ladder):
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
    if code >= finite:
        if overflow == "saturate" or (spec.nan is NanEncoding.NONE and not spec.infinity):
            return sign | (finite - 1)
        if spec.infinity:
            return sign | finite
        return 1 << (spec.bits - 1) if spec.nan is NanEncoding.NEGATIVE_ZERO else sign | finite
    if code == 0 and spec.zero and spec.nan is NanEncoding.NEGATIVE_ZERO:
        return 0
    return sign | code


def _spec(name: str, e: int, f: int, bias: int, **kinds: object) -> FormatSpec:
    return FormatSpec(name, e, f, bias, **kinds)  # type: ignore[arg-type]


_ONES, _NZ, _NONE = NanEncoding.ALL_ONES, NanEncoding.NEGATIVE_ZERO, NanEncoding.NONE

SMALL = {
    spec.name: spec
    for spec in (
        _spec("float8_e4m3fn", 4, 3, 7, infinity=False, nan=_ONES, torch="float8_e4m3fn"),
        _spec("float8_e5m2", 5, 2, 15, torch="float8_e5m2"),
        _spec("float8_e4m3", 4, 3, 7),
        _spec("float8_e3m4", 3, 4, 3),
        _spec("float8_e4m3fnuz", 4, 3, 8, infinity=False, nan=_NZ, torch="float8_e4m3fnuz"),
        _spec("float8_e5m2fnuz", 5, 2, 16, infinity=False, nan=_NZ, torch="float8_e5m2fnuz"),
        _spec("float8_e4m3b11fnuz", 4, 3, 11, infinity=False, nan=_NZ),
        _spec("float8_e8m0fnu", 8, 0, 127, signed=False, zero=False, infinity=False, nan=_ONES),
        _spec("float6_e2m3fn", 2, 3, 1, infinity=False, nan=_NONE),
        _spec("float6_e3m2fn", 3, 2, 3, infinity=False, nan=_NONE),
        _spec("float4_e2m1fn", 2, 1, 1, infinity=False, nan=_NONE),
    )
}
"""Formats of every kind of special values, by their ml_dtypes name: the model must hold them."""

P3109_LIKE = _spec("p3109_8p4", 4, 3, 8, infinity=True, nan=_NZ)
