"""Exact numbers as people write them: decimals, fractions, infinities, NaNs, codes."""

import decimal
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from fpx.core.dyadic import (
    Dyadic,
    digits_to_int,
    in_places,
    integer_text,
    place_point,
    power_of_five,
    power_of_ten,
)
from fpx.errors import InputError
from fpx.words import quoted

if TYPE_CHECKING:
    from fpx.core.spec import FormatSpec

_MAX_SPAN = 2_000_000  # digits that an exact difference may take to write out
_FEW_DIGITS = 400  # below, plain integers are faster than `Decimal`
_MAX_RATIO_BITS = 20_000  # size of fraction literals whose exact difference is written out


class DecimalNumber(NamedTuple):
    """(-1)^negative * digits * 10^exponent, with no zero at either end of `digits`; "" is zero."""

    negative: bool
    digits: str
    exponent: int
    text: str

    @property
    def is_zero(self) -> bool:
        """Whether the value is 0 (of either sign)."""
        return not self.digits

    def ratio(self, low: int, high: int) -> tuple[int, int]:
        """(numerator, denominator) of a number that stands in for |x|: (0, 1) only for 0.

        It lies where |x| lies relative to every multiple of 2^(low-1) up to 2^high, so it rounds
        as |x| does in a format whose smallest spacing is 2^low and whose values are below 2^high.
        """
        _, digits, exponent, _ = self
        if not digits:
            return 0, 1
        lead = len(digits) + exponent  # 10^(lead-1) <= |x| < 10^lead
        # 10^n is above 8^n = 2^3n for n > 0 and below it for n < 0: bounds without the power
        if lead > 1 and 3 * (lead - 1) > high:
            return 1 << max(high + 1, 0), 1
        if lead < 0 and 3 * lead < low - 1:
            return _power_ratio(low - 2)
        # a multiple of 2^(low-1) ends at this decimal place; what follows is only "a bit more"
        places = 1 - low if low < 1 else 0
        kept = lead + places
        if kept < 0:
            return 1, 10 ** (places + 1)
        if len(digits) > kept:
            digits, exponent = digits[:kept] + "1", -places - 1
        coefficient = digits_to_int(digits)
        if exponent >= 0:
            return coefficient * power_of_ten(exponent), 1
        return coefficient, power_of_ten(-exponent)

    def error_of(self, value: Dyadic, ulp_exponent: int) -> tuple[str, str] | None:
        """Exact text of value - x and of (value - x) / 2^ulp_exponent; None if too long to write.

        Decimals where those end, else fractions `p/q`.
        """
        negative, digits, power, _ = self
        span = abs(len(digits) + power) + len(digits)
        if span > _MAX_SPAN:
            return None
        if span < _FEW_DIGITS and -_FEW_DIGITS < value.exponent < _FEW_DIGITS:
            # integers over a common power of ten: the same, and for few digits faster
            significand, exponent = value
            lowest = exponent if exponent < power else power
            places = -lowest if lowest < 0 else 0
            significand *= in_places(exponent, places)
            x = int(digits or 0) * power_of_ten(places + power)
            error = significand + x if negative else significand - x
            if not error:
                return "0", "0"
            below, error = error < 0, abs(error)
            told = place_point(below, str(error), -places)
            if ulp_exponent <= 0:
                return told, place_point(below, str(error << -ulp_exponent), -places)
            in_ulps = error * power_of_five(ulp_exponent)
            return told, place_point(below, str(in_ulps), -places - ulp_exponent)
        exact = Decimal(f"{'-' if negative else ''}{digits or 0}e{power}")
        difference = _EXACT.subtract(_decimal(*value), exact)
        ulps = _EXACT.multiply(difference, _power_of_two(-ulp_exponent))
        return _decimal_text(difference), _decimal_text(ulps)


class RationalNumber(NamedTuple):
    """(-1)^negative * numerator / denominator * 2^exponent; not reduced."""

    negative: bool
    numerator: int
    denominator: int
    exponent: int
    text: str

    @property
    def is_zero(self) -> bool:
        """Whether the value is 0 (of either sign)."""
        return not self.numerator

    def ratio(self, low: int, high: int) -> tuple[int, int]:
        """As `DecimalNumber.ratio`."""
        _, numerator, denominator, exponent, _ = self
        if not numerator:
            return 0, 1
        lead = numerator.bit_length() - denominator.bit_length() + exponent
        if lead - 1 > high:  # 2^(lead-1) < |x| < 2^(lead+1)
            return 1 << max(high + 1, 0), 1
        if lead + 1 < low - 1:
            return _power_ratio(low - 2)
        if exponent >= 0:
            return numerator << exponent, denominator
        return numerator, denominator << -exponent

    def error_of(self, value: Dyadic, ulp_exponent: int) -> tuple[str, str] | None:
        """As `DecimalNumber.error_of`."""
        negative, numerator, denominator, exponent, _ = self
        size = numerator.bit_length() + denominator.bit_length() + abs(exponent)
        if negative:
            numerator = -numerator
        if denominator == 1 and size <= _MAX_SPAN:
            error = value.minus(Dyadic(numerator, exponent))
            return error.decimal, Dyadic(error.significand, error.exponent - ulp_exponent).decimal
        if size > _MAX_RATIO_BITS:
            return None
        difference = value.fraction - Dyadic(numerator, exponent).fraction / denominator
        ulps = difference * Dyadic(1, -ulp_exponent).fraction
        return fraction_text(difference), fraction_text(ulps)


class Infinity(NamedTuple):
    """An infinity."""

    negative: bool
    text: str


class Nan(NamedTuple):
    """A NaN; `payload` excludes the quiet bit, None asks for the format's canonical NaN."""

    negative: bool
    signaling: bool
    payload: int | None
    text: str


class Code(NamedTuple):
    """A code, written `width` bits wide (in steps of 4 for hexadecimal)."""

    code: int
    width: int
    text: str

    def fits(self, spec: "FormatSpec") -> bool:
        """Whether the code, as it was written, is at most as wide as the format."""
        return self.code >> spec.bits == 0 and self.width <= 4 * spec.code_digits

    def in_format(self, spec: "FormatSpec") -> int:
        """The code as a code of `spec`.

        Raises:
            InputError: it was written wider than the format.
        """
        if not self.fits(spec):
            raise InputError(
                f"code {quoted(self.text)} is wider than the {spec.bits} bits of {spec.name}: "
                f"write at most {spec.code_digits} hexadecimal digits, or choose a wider `dtype`"
            )
        return self.code


def wide_enough(literal: "Literal", specs: "list[FormatSpec]") -> "list[FormatSpec]":
    """Of formats that nobody asked for by name, those that a code fits; all if it fits none."""
    if not isinstance(literal, Code):
        return specs
    return [spec for spec in specs if literal.fits(spec)] or specs


class Constant(NamedTuple):
    """A number that depends on the format: one of CONSTANTS, with a sign."""

    negative: bool
    name: str
    text: str

    def in_format(self, spec: "FormatSpec") -> RationalNumber:
        """The number that the constant is in a format.

        Raises:
            InputError: the format has none of it (subnormals, in E8M0).
        """
        value: Dyadic | None = getattr(spec, CONSTANTS[self.name])
        if value is None:
            raise InputError(f"{quoted(self.text)}: {spec.name} has no {self.name}")
        significand, exponent = value
        negative = self.negative != (significand < 0)
        return RationalNumber(negative, abs(significand), 1, exponent, self.text)


Number: TypeAlias = DecimalNumber | RationalNumber


Literal: TypeAlias = Number | Infinity | Nan | Code | Constant


CONSTANTS = {
    "max": "max_finite",
    "min": "lowest_finite",
    "smallest_normal": "smallest_normal",
    "smallest_subnormal": "smallest_subnormal",
    "epsilon": "machine_epsilon",
}
"""Named constants that are read as values -> the attribute of `FormatSpec` that has them."""


def as_number(literal: Literal, spec: "FormatSpec") -> Number | None:
    """The finite number that a literal is in a format; None if it is no finite number.

    Raises:
        InputError: a constant that the format has none of.
    """
    if isinstance(literal, (DecimalNumber, RationalNumber)):
        return literal
    return literal.in_format(spec) if isinstance(literal, Constant) else None


def as_fraction(number: Number) -> Fraction | None:
    """The same number as a `Fraction`, of either zero 0; None if that is too long to compute with.

    Beyond every format's range that is: from some 10^6000 on, and for as many digits.
    """
    sign = -1 if number.negative else 1
    if isinstance(number, DecimalNumber):
        digits, exponent = number.digits, number.exponent
        if abs(exponent) + len(digits) > _MAX_RATIO_BITS * 3 // 10:
            return Fraction(0) if number.is_zero else None
        return sign * digits_to_int(digits or "0") * Fraction(10) ** exponent
    _, numerator, denominator, exponent, _ = number
    size = numerator.bit_length() + denominator.bit_length() + abs(exponent)
    if size > _MAX_RATIO_BITS:
        return Fraction(0) if number.is_zero else None
    return sign * Fraction(numerator, denominator) * Fraction(2) ** exponent


def text_fraction(text: str) -> Fraction:
    """The fraction of a text of `fraction_text`, however long it is."""
    over, _, under = text.partition("/")
    return Fraction(Decimal(over)) / Fraction(Decimal(under or "1"))


def fraction_text(value: Fraction) -> str:
    """Exact text of a fraction: decimal where that ends, else `p/q`."""
    denominator = value.denominator
    twos = (denominator & -denominator).bit_length() - 1
    rest, fives = denominator >> twos, 0
    while rest % 5 == 0:
        rest //= 5
        fives += 1
    if rest != 1:
        return f"{integer_text(value.numerator)}/{integer_text(denominator)}"
    places = max(twos, fives)
    coefficient = value.numerator * 2 ** (places - twos) * 5 ** (places - fives)
    return place_point(coefficient < 0, integer_text(abs(coefficient)), -places)


_EXACT = decimal.Context(
    prec=decimal.MAX_PREC,
    Emax=decimal.MAX_EMAX,
    Emin=decimal.MIN_EMIN,
    traps=[decimal.Inexact, decimal.InvalidOperation, decimal.Overflow],
)


def _decimal(significand: int, exponent: int) -> Decimal:
    """significand * 2^exponent as a `Decimal`, exactly."""
    return _EXACT.multiply(Decimal(significand), _power_of_two(exponent))


@lru_cache(maxsize=4096)
def _power_ratio(exponent: int) -> tuple[int, int]:
    """2^exponent as numerator and denominator."""
    return (1 << exponent, 1) if exponent >= 0 else (1, 1 << -exponent)


def _power_of_two(exponent: int) -> Decimal:
    if exponent >= 0:
        return Decimal(1 << exponent)
    return Decimal(5**-exponent).scaleb(exponent, _EXACT)


def _decimal_text(value: Decimal) -> str:
    """Every digit of `value`, in the notation of `place_point`; linear in their number."""
    mantissa, _, power = f"{value:E}".partition("E")
    digits = mantissa.lstrip("-").replace(".", "")
    return place_point(value.is_signed(), digits, int(power) - len(digits) + 1)
