"""Exact binary numbers, and exact ways of writing them down."""

import sys
from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple

_POSITIONAL = range(-6, sys.maxsize)  # exact decimals below 10^-6 are written with an exponent
_BASE_CASE = 2000  # digits that int() and str() convert well below CPython's limit of 4,300


class Dyadic(NamedTuple):
    """The number significand * 2^exponent: what every finite value of every format is.

    Not normalised: compare `fraction`s, not tuples.
    """

    significand: int
    exponent: int

    @property
    def fraction(self) -> Fraction:
        """The same number as a `Fraction`."""
        if self.exponent >= 0:
            return Fraction(self.significand << self.exponent)
        return Fraction(self.significand, 1 << -self.exponent)

    @property
    def log2_floor(self) -> int:
        """floor(log2 |x|), for x != 0."""
        return abs(self.significand).bit_length() - 1 + self.exponent

    @property
    def negated(self) -> "Dyadic":
        """-x."""
        return Dyadic(-self.significand, self.exponent)

    def plus(self, other: "Dyadic") -> "Dyadic":
        """self + other, exactly."""
        exponent = min(self.exponent, other.exponent)
        return Dyadic(
            (self.significand << (self.exponent - exponent))
            + (other.significand << (other.exponent - exponent)),
            exponent,
        )

    def minus(self, other: "Dyadic") -> "Dyadic":
        """self - other, exactly."""
        return self.plus(other.negated)

    def times(self, other: "Dyadic") -> "Dyadic":
        """self * other, exactly."""
        return Dyadic(self.significand * other.significand, self.exponent + other.exponent)

    @property
    def decimal(self) -> str:
        """The exact decimal expansion: every digit, no rounding."""
        significand, exponent = self
        if exponent >= 0 or significand == 0:
            return integer_text(significand << exponent) if significand else "0"
        # m / 2^k = m * 5^k / 10^k
        digits = integer_text(abs(significand) * power_of_five(-exponent))
        return place_point(significand < 0, digits, exponent)

    @property
    def hex_float(self) -> str:
        """C's `%a` notation, normalised (leading digit 1, no trailing zeros): `0x1.92p+1`."""
        sign = "-" if self.significand < 0 else ""
        magnitude = abs(self.significand)
        if magnitude == 0:
            return "0x0p+0"
        width = magnitude.bit_length() - 1
        digits = -(-width // 4)
        fraction = (magnitude ^ (1 << width)) << (4 * digits - width)
        tail = f"{fraction:0{digits}x}".rstrip("0") if digits else ""
        return f"{sign}0x1{'.' if tail else ''}{tail}p{width + self.exponent:+d}"


@lru_cache(maxsize=4096)
def power_of_five(k: int) -> int:
    """5^k, for k >= 0."""
    return int(5**k)


@lru_cache(maxsize=1024)
def power_of_ten(k: int) -> int:
    """10^k, for k >= 0."""
    return int(10**k)


@lru_cache(maxsize=4096)
def in_places(exponent: int, places: int) -> int:
    """2^exponent as a multiple of 10^-places, for places >= 0 and >= -exponent."""
    if exponent >= 0:
        return int(power_of_ten(places) << exponent)
    return power_of_five(-exponent) * power_of_ten(places + exponent)


def integer_text(n: int) -> str:
    """`str(n)` without CPython's limit on the number of digits."""
    try:
        return str(n)
    except ValueError:
        sign, n = ("-", -n) if n < 0 else ("", n)
        # split at half the digits: log10(2) is just above 3/10
        half = n.bit_length() * 3 // 20
        high, low = divmod(n, 10**half)
        return sign + integer_text(high) + integer_text(low).zfill(half)


def digits_to_int(digits: str) -> int:
    """`int(digits)` for ASCII digits, in better than quadratic time and without CPython's limit."""
    if len(digits) <= _BASE_CASE:
        return int(digits)
    half = len(digits) // 2
    return digits_to_int(digits[:-half]) * int(10**half) + digits_to_int(digits[-half:])


def place_point(negative: bool, digits: str, exponent: int, positional: range = _POSITIONAL) -> str:
    """(-1)^negative * digits * 10^exponent as text, without needless zeros.

    Args:
        negative, digits, exponent: the number; digits without a zero at the front, but for 0.
        positional: the powers of ten of the first digit that are written without an exponent; by
            default those from 10^-6 up.
    """
    sign = "-" if negative else ""
    whole = len(digits) + exponent  # digits before the point
    digits = digits.rstrip("0")
    if not digits:
        return sign + "0"
    if whole - 1 not in positional:
        return _scientific(sign, digits, whole - 1)
    if whole <= 0:
        return f"{sign}0.{'0' * -whole}{digits}"
    if whole < len(digits):
        return f"{sign}{digits[:whole]}.{digits[whole:]}"
    return f"{sign}{digits}{'0' * (whole - len(digits))}"


def _scientific(sign: str, digits: str, power: int) -> str:
    """Digits of which the first stands for 10^power."""
    point = "." if len(digits) > 1 else ""
    return f"{sign}{digits[0]}{point}{digits[1:]}{_power_text(power)}"


@lru_cache(maxsize=4096)
def _power_text(power: int) -> str:
    return f"e{power:+03d}"
