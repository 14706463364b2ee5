"""Text (or a Python number) to an exact number, an infinity, a NaN, or a code of a format.

No Python float lies on the way from text to bits, and no power of ten or two is built for an
exponent that cannot matter: a finite literal answers `ratio(low, high)`, a fraction that rounds as
the literal does on every grid of a format, however long or extreme the literal is.
"""

from __future__ import annotations

import decimal
import re
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from functools import cache, lru_cache
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from fpx.core.dyadic import Dyadic, digits_to_int, integer_text, place_point
from fpx.errors import InputError, quoted

if TYPE_CHECKING:
    from fpx.core.spec import FormatSpec

_MAX_EXPONENT_DIGITS = 30
_CLAMPED_EXPONENT = 10**_MAX_EXPONENT_DIGITS  # beyond every format, and below no real exponent
_MAX_SPAN = 2_000_000  # digits that an exact difference may take to write out
_FEW_DIGITS = 400  # below, plain integers are faster than `Decimal`
_MAX_RATIO_BITS = 20_000  # size of fraction literals whose exact difference is written out


class ReadAs(Enum):
    """What `0x…`, `0b…` and plain integers mean."""

    AUTO = "auto"
    """`0x4049` and `0b01` are codes; with a point or an exponent (`0x1.8p3`) a value."""
    VALUE = "value"
    """Everything is a value: `0x10` is sixteen."""
    CODE = "code"
    """Everything is a code: `16` is the code 0x10."""


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
        """(numerator, denominator), both positive, of a number that stands in for |x| != 0.

        It lies where |x| lies relative to every multiple of 2^(low-1) up to 2^high, so it rounds
        as |x| does in a format whose smallest spacing is 2^low and whose values are below 2^high.
        """
        digits, exponent = self.digits, self.exponent
        lead = len(digits) + exponent  # 10^(lead-1) <= |x| < 10^lead
        # 10^n is above 8^n = 2^3n for n > 0 and below it for n < 0: bounds without the power
        if lead > 1 and 3 * (lead - 1) > high:
            return 1 << max(high + 1, 0), 1
        if lead < 0 and 3 * lead < low - 1:
            return _power_ratio(low - 2)
        # a multiple of 2^(low-1) ends at this decimal place; what follows is only "a bit more"
        places = max(1 - low, 0)
        kept = lead + places
        if kept < 0:
            return 1, 10 ** (places + 1)
        if len(digits) > kept:
            digits, exponent = digits[:kept] + "1", -places - 1
        coefficient = digits_to_int(digits)
        if exponent >= 0:
            return coefficient * 10**exponent, 1
        return coefficient, 10**-exponent

    def error_of(self, value: Dyadic, ulp_exponent: int) -> tuple[str, str] | None:
        """Exact text of value - x and of (value - x) / 2^ulp_exponent; None if too long to write.

        Decimals where those end, else fractions `p/q`.
        """
        lead = len(self.digits) + self.exponent
        span = abs(lead) + len(self.digits)
        if span > _MAX_SPAN:
            return None
        if span < _FEW_DIGITS and -_FEW_DIGITS < value.exponent < _FEW_DIGITS:
            # integers over a common power of ten: the same, and for few digits faster
            significand, exponent = value
            x = -int(self.digits or 0) if self.negative else int(self.digits or 0)
            power = min(exponent, self.exponent, 0)
            if exponent >= 0:
                significand = (significand << exponent) * 10**-power
            else:
                significand *= 5**-exponent * 10 ** (exponent - power)
            error = significand - x * 10 ** (self.exponent - power)
            if ulp_exponent <= 0:
                return _scaled(error, power), _scaled(error << -ulp_exponent, power)
            return _scaled(error, power), _scaled(error * 5**ulp_exponent, power - ulp_exponent)
        exact = Decimal(f"{'-' if self.negative else ''}{self.digits or 0}e{self.exponent}")
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
        numerator, denominator, exponent, _ = self[1:]
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
        numerator, denominator, exponent, _ = self[1:]
        size = numerator.bit_length() + denominator.bit_length() + abs(exponent)
        if self.negative:
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

    def fits(self, spec: FormatSpec) -> bool:
        """Whether the code, as it was written, is at most as wide as the format."""
        return self.code >> spec.bits == 0 and self.width <= 4 * spec.code_digits

    def in_format(self, spec: FormatSpec) -> int:
        """The code as a code of `spec`.

        Raises:
            InputError: it was written wider than the format.
        """
        if not self.fits(spec):
            raise InputError(
                f"code {quoted(self.text)} is wider than the {spec.bits} bits of {spec.name}: "
                f"write at most {spec.code_digits} hexadecimal digits, or choose a wider --dtype"
            )
        return self.code


class Constant(NamedTuple):
    """A number that depends on the format: one of CONSTANTS, with a sign."""

    negative: bool
    name: str
    text: str

    def in_format(self, spec: FormatSpec) -> RationalNumber:
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

# Abramowitz and Stegun, Handbook of Mathematical Functions, table 1.1, and OEIS A000796, A001113:
# cut (not rounded) to 100 digits, which decides the rounding in every format here
_DIGITS = {
    "one": "1",
    "pi": "3.14159265358979323846264338327950288419716939937510"
    "58209749445923078164062862089986280348253421170679",
    "e": "2.71828182845904523536028747135266249775724709369995"
    "95749669676277240766303535475945713821785251664274",
}
"""Named numbers that are the same in every format."""

_DECIMAL = re.compile(r"([+-]?)(?=[.]?[0-9])([0-9]*)(?:[.]([0-9]*))?(?:[eE]([+-]?[0-9]+))?")
_HEX_FLOAT = (
    r"([+-]?)0[xX](?=[.]?[0-9a-fA-F])([0-9a-fA-F]*)(?:[.]([0-9a-fA-F]*))?(?:[pP]([+-]?[0-9]+))?"
)
_FRACTION = r"([+-]?)([0-9]+)/([0-9]+)"
_CODE = r"0(?:[xX]([0-9a-fA-F]+(?:_[0-9a-fA-F]+)*)|[bB]([01]+(?:_[01]+)*))"
_SPECIAL = (
    r"(?ai)([+-]?)"
    r"(?:(inf|infinity)|(s)?nan(?:\((0x[0-9a-f]{1,64}|0b[01]{1,256}|[0-9]{1,64})\))?)"
)


@cache
def _pattern(pattern: str) -> re.Pattern[str]:
    """The compiled pattern, when it is first needed: most literals are decimals."""
    return re.compile(pattern)


def parse_literal(text: str, read_as: ReadAs = ReadAs.AUTO) -> Literal:
    """The exact meaning of one literal.

    Raises:
        InputError: not a literal, or not one that `read_as` allows.
    """
    body = text.strip(" \t\r\n\f\v")
    if read_as is not ReadAs.CODE:
        match = _DECIMAL.fullmatch(body)
        if match is not None:
            return _decimal_number(body, *match.groups())
    if read_as is not ReadAs.VALUE:
        code = _code(body, read_as)
        if code is not None:
            return code
    if read_as is not ReadAs.CODE:
        match = _pattern(_HEX_FLOAT).fullmatch(body)
        if match is not None and (
            read_as is ReadAs.VALUE or "." in body or match.group(4) is not None
        ):
            return _hex_float(body, *match.groups())
        match = _pattern(_FRACTION).fullmatch(body)
        if match is not None:
            sign, over, under = match.groups()
            denominator = digits_to_int(under)
            if denominator == 0:
                raise InputError(f"{quoted(body)} divides by zero: use inf or nan for that")
            return RationalNumber(sign == "-", digits_to_int(over), denominator, 0, body)
        named = _named(body)
        if named is not None:
            return named
    match = _pattern(_SPECIAL).fullmatch(body)
    if match is not None and read_as is not ReadAs.CODE:
        sign, infinite, signaling, payload = match.groups()
        if infinite:
            return Infinity(sign == "-", body)
        return Nan(sign == "-", signaling is not None, _payload(payload), body)
    raise InputError(_explain(body, read_as))


def to_literal(value: object, read_as: ReadAs = ReadAs.AUTO) -> Literal:
    """The literal that a string or a Python number means; numbers keep their exact value.

    Takes str, int, float, `Fraction`, `Decimal`, and anything with `as_integer_ratio` (numpy
    scalars). An int is a value: a code is the string `"0x4049"`, or an int with `ReadAs.CODE`.

    Raises:
        InputError: not a number.
    """
    if isinstance(value, str):
        return parse_literal(value, read_as)
    if isinstance(value, (DecimalNumber, RationalNumber, Infinity, Nan, Code, Constant)):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        if read_as is ReadAs.CODE:
            return parse_literal(hex(value), read_as)
        return RationalNumber(value < 0, abs(value), 1, 0, integer_text(value))
    if isinstance(value, Decimal):
        return parse_literal(str(value), read_as)
    if read_as is ReadAs.CODE:
        raise InputError(f"{quoted(repr(value))} is no code: pass an int or a string")
    as_integer_ratio = getattr(value, "as_integer_ratio", None)
    if as_integer_ratio is None or isinstance(value, bool):
        raise InputError(f"{quoted(repr(value))} is not a number: pass a string, int or float")
    text = str(value)
    if text.lower().lstrip("+-") in ("inf", "nan"):
        return parse_literal(text, read_as)
    numerator, denominator = as_integer_ratio()
    negative = numerator < 0 or text.startswith("-")  # -0.0 has a sign only in its text
    shift = denominator.bit_length() - 1
    if denominator == 1 << shift:
        return RationalNumber(negative, abs(int(numerator)), 1, -shift, text)
    return RationalNumber(negative, abs(int(numerator)), int(denominator), 0, text)


def exponent_value(text: str | None) -> int:
    """The int of an exponent's text, cut to a magnitude beyond every format."""
    if text is None:
        return 0
    if len(text) <= _MAX_EXPONENT_DIGITS:
        return int(text)
    digits = text.lstrip("+-").lstrip("0")
    size = int(digits or "0") if len(digits) <= _MAX_EXPONENT_DIGITS else _CLAMPED_EXPONENT
    return -size if text[0] == "-" else size


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


# -- pieces ----------------------------------------------------------------------------------------


def _decimal_number(
    text: str, sign: str, whole: str, fraction: str | None, exponent: str | None
) -> DecimalNumber:
    power = 0 if exponent is None else exponent_value(exponent)
    if fraction:
        whole += fraction
        power -= len(fraction)
    digits = whole.lstrip("0")
    trimmed = digits.rstrip("0")
    return DecimalNumber(sign == "-", trimmed, power + len(digits) - len(trimmed), text)


def _hex_float(
    text: str, sign: str, whole: str, fraction: str | None, exponent: str | None
) -> RationalNumber:
    power = exponent_value(exponent)
    if fraction:
        whole += fraction
        power -= 4 * len(fraction)
    return RationalNumber(sign == "-", int(whole, 16), 1, power, text)


def _code(body: str, read_as: ReadAs) -> Code | None:
    match = _pattern(_CODE).fullmatch(body)
    if match is not None:
        hexadecimal, binary = match.groups()
        if hexadecimal is not None:
            digits = hexadecimal.replace("_", "")
            return Code(int(digits, 16), 4 * len(digits), body)
        digits = binary.replace("_", "")
        return Code(int(digits, 2), len(digits), body)
    if read_as is ReadAs.CODE and body.isascii() and body.isdigit():
        code = digits_to_int(body)
        return Code(code, code.bit_length(), body)
    return None


def _named(body: str) -> DecimalNumber | Constant | None:
    """A constant by its name, in any case and with a sign."""
    name, negative = body.lower().removeprefix("+"), body.startswith("-")
    name = name[1:] if negative else name
    if name in CONSTANTS:
        return Constant(negative, name, body)
    if name not in _DIGITS:
        return None
    return _decimal_number(body, "-" if negative else "", *_DIGITS[name].partition(".")[::2], None)


def _payload(text: str | None) -> int | None:
    return None if text is None else int(text, 0 if text[:2].lower() in ("0x", "0b") else 10)


def _explain(body: str, read_as: ReadAs) -> str:
    """Why `body` is no literal, and what to write instead."""
    shown = quoted(body)
    if not body:
        return "an empty value: give a number such as 3.14, 0x1.8p3, 1/3, inf or a code 0x4049"
    if read_as is ReadAs.CODE:
        return f"{shown} is not a code: give hexadecimal 0x4049, binary 0b0100 or a plain integer"
    if body[0] in "+-" and _pattern(_CODE).fullmatch(body[1:]):
        return f"{shown}: a code has no sign; drop it, or read it as a number with --as value"
    if "_" in body and _DECIMAL.fullmatch(body.replace("_", "")):
        return f"{shown}: decimals take no underscores; write {quoted(body.replace('_', ''))}"
    if "," in body and _DECIMAL.fullmatch(body.replace(",", ".")):
        return f"{shown}: the decimal separator is a point; write {quoted(body.replace(',', '.'))}"
    if not body.isascii():
        return f"{shown} is not a number: only ASCII digits and signs are read"
    return (
        f"{shown} is not a number: give a decimal 3.14, a hex float 0x1.8p3, a fraction 1/3, "
        f"a code 0x4049 or 0b0100, inf, nan, {', '.join((*CONSTANTS, *_DIGITS))}"
    )


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


def _scaled(number: int, power: int) -> str:
    """number * 10^power, exactly."""
    return place_point(number < 0, str(abs(number)), power)


def _decimal_text(value: Decimal) -> str:
    """Every digit of `value`, in the notation of `place_point`; linear in their number."""
    mantissa, _, power = f"{value:E}".partition("E")
    digits = mantissa.lstrip("-").replace(".", "")
    return place_point(value.is_signed(), digits, int(power) - len(digits) + 1)
