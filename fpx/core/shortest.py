"""Codes as text: the exact value, or the shortest decimal that names it."""

from __future__ import annotations

from functools import lru_cache

from fpx.core.codec import decode, is_nan
from fpx.core.dyadic import integer_text, place_point
from fpx.core.spec import FormatSpec, NanEncoding

POSITIONAL = range(-4, 16)  # as Python's repr: 1e+16 and 1e-05


def value_text(code: int, spec: FormatSpec) -> str:
    """The exact decimal value of a code, "-0" for a zero with a sign; `inf` and `nan` for those."""
    value = decode(code, spec)
    if value is None:
        return shortest_decimal(code, spec)
    return "-0" if code & spec.sign_mask and not value.significand else value.decimal


def hex_text(code: int, bits: int) -> str:
    """A code of so many bits as zero-padded hexadecimal: `0x4049`."""
    return f"0x{code:0{-(-bits // 4)}x}"


def shortest_decimal(code: int, spec: FormatSpec) -> str:
    """The decimal with the fewest digits that rounds (to nearest, ties to even) to this code.

    Of several with that many digits, the one nearest to the value (of two, the even one): the rule
    of Steele and White (PLDI 1990) that Python's and numpy's `repr` follow. `inf` and `nan` for
    those.
    """
    negative = bool(code & spec.sign_mask)
    if is_nan(code, spec):
        return "-nan" if negative and spec.nan is not NanEncoding.NEGATIVE_ZERO else "nan"
    magnitude = code & spec.magnitude_mask
    if magnitude == 0 and spec.zero:
        return "-0" if negative else "0"
    if magnitude > spec.max_finite_magnitude:
        return "-inf" if negative else "inf"
    digits, exponent = _shortest_digits(magnitude, spec)
    return place_point(negative, integer_text(digits), exponent, POSITIONAL)


@lru_cache(maxsize=4096)
def _grid(power: int, unit: int) -> tuple[int, int]:
    """10^power and 2^unit as integers over one common power of two and ten."""
    grid, scale = (10**power, 1) if power >= 0 else (1, 10**-power)
    return (grid << -unit, scale) if unit < 0 else (grid, scale << unit)


def _shortest_digits(magnitude: int, spec: FormatSpec) -> tuple[int, int]:
    """(n, e): the shortest decimal n * 10^e that rounds to a positive finite magnitude."""
    significand, exponent = spec.finite(magnitude)
    # The value and the midpoints beside it, as integers in units of 2^unit. Below a power of two
    # the spacing is half as wide, but for the lowest binade.
    v, unit = 4 * significand, exponent - 2
    fraction_mask = (1 << spec.fraction_bits) - 1
    narrow = not magnitude & fraction_mask and magnitude > fraction_mask + int(spec.zero)
    lo, hi = v - (1 if narrow else 2), v + 2
    even = magnitude % 2 == 0
    # Start with 10^power above the interval's width, so that at most one multiple fits inside;
    # if none does, up to ten of the next lower power do, and the nearest to the value is wanted.
    power = ((hi - lo).bit_length() + unit) * 30103 // 100000 + 1
    while True:
        grid, scale = _grid(power, unit)
        below, remainder = divmod(v * scale, grid)
        # of two equally near, the one with the even last digit
        nearest = below + (2 * remainder > grid or (2 * remainder == grid and below % 2))
        low, high = lo * scale, hi * scale
        for candidate in (nearest, 2 * below + 1 - nearest):
            at = candidate * grid
            if low < at < high or (even and at in (low, high)):
                if candidate != 1:
                    return candidate, power
                # 9 × 10^(power-1) and less have one digit too, and may be nearer
                value = 10 * v * scale
                digit = min(value // grid + (2 * (value % grid) > grid), 9)
                inside = 10 * low < digit * grid < 10 * high
                inside |= even and digit * grid in (10 * low, 10 * high)
                if inside and abs(digit * grid - value) < abs(10 * at - value):
                    return digit, power - 1
                return candidate, power
        power -= 1
