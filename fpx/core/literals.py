"""Text (or a Python number) to an exact number, an infinity, a NaN, or a code of a format.

No Python float lies on the way from text to bits, and no power of ten or two is built for an
exponent that cannot matter: a finite literal answers `ratio(low, high)`, a fraction that rounds as
the literal does on every grid of a format, however long or extreme the literal is.
"""

from __future__ import annotations

import re
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from functools import cache

from fpx.core.dyadic import digits_to_int, integer_text
from fpx.core.numbers import (
    CONSTANTS,
    Code,
    Constant,
    DecimalNumber,
    Infinity,
    Literal,
    Nan,
    RationalNumber,
)
from fpx.errors import InputError
from fpx.words import did_you_mean, quoted

_MAX_EXPONENT_DIGITS = 30
_CLAMPED_EXPONENT = 10**_MAX_EXPONENT_DIGITS  # beyond every format, and below no real exponent


class ReadAs(Enum):
    """What `0x…`, `0b…` and plain integers mean."""

    AUTO = "auto"
    """`0x4049` and `0b01` are codes; with a point or an exponent (`0x1.8p3`) a value."""
    VALUE = "value"
    """Everything is a value: `0x10` is sixteen, `0b10` two."""
    CODE = "code"
    """Everything is a code: `16` is the code 0x10."""


_AS_CODE = ReadAs.CODE  # to ask an Enum for a member takes a while


# Abramowitz and Stegun, Handbook of Mathematical Functions, table 1.1, and OEIS A000796, A019692,
# A001113: cut (not rounded) to 100 digits, which decides the rounding in every format here
_DIGITS = {
    "one": "1",
    "pi": "3.14159265358979323846264338327950288419716939937510"
    "58209749445923078164062862089986280348253421170679",
    "tau": "6.28318530717958647692528676655900576839433879875021"
    "16419498891846156328125724179972560696506842341359",
    "e": "2.71828182845904523536028747135266249775724709369995"
    "95749669676277240766303535475945713821785251664274",
}
"""Named numbers that are the same in every format."""

NAMES = (*CONSTANTS, *_DIGITS, "inf", "infinity", "nan", "snan")
"""Every name that is a literal, in lower case."""


_DECIMAL = re.compile(r"([+-]?)(?=[.]?[0-9])([0-9]*)(?:[.]([0-9]*))?(?:[eE]([+-]?[0-9]+))?")
_HEX_FLOAT = (
    r"([+-]?)0[xX](?=[.]?[0-9a-fA-F])([0-9a-fA-F]*)(?:[.]([0-9a-fA-F]*))?(?:[pP]([+-]?[0-9]+))?"
)


_BINARY = r"([+-]?)0[bB]([01]+)"


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
    if read_as is not _AS_CODE:
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
        match = _pattern(_BINARY).fullmatch(body)
        if match is not None and read_as is ReadAs.VALUE:
            return RationalNumber(match.group(1) == "-", int(match.group(2), 2), 1, 0, body)
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
    if read_as is not ReadAs.CODE:
        from fpx.core.expressions import parse_expression  # few numbers are one

        computed = parse_expression(body)
        if computed is not None:
            return computed
    raise InputError(_explain(body, read_as))


def split_numbers(text: str) -> list[str]:
    """The numbers in a text that has several: `6 -4 3`, `6, -4, 3`, `6,-4,3`, any to a line.

    A blank separates them always, so that expressions have none: `2^-24`. `1,5` stays as it is,
    since it may be meant as one number: it is none.
    """
    parts = (part.removeprefix(",").removesuffix(",") for part in text.split() if part != ",")
    return [
        number
        for part in parts
        for number in ([part] if re.fullmatch("[+-]?[0-9]+,[0-9]+", part) else part.split(","))
    ]


def to_literal(value: object, read_as: ReadAs = ReadAs.AUTO) -> Literal:
    """The literal that a string or a Python number means; numbers keep their exact value.

    Takes str, int, float, `Fraction`, `Decimal`, what has one of these as its `item()` (numpy's and
    torch's scalars), and anything with `as_integer_ratio`. An int is a value: a code is the string
    `"0x4049"`, or an int with `ReadAs.CODE`.

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
    item = _item(value)
    if type(item) is not type(value):
        return to_literal(item, read_as)
    if read_as is ReadAs.CODE:
        raise InputError(f"{quoted(repr(value))} is no code: pass an int or a string")
    as_integer_ratio = getattr(value, "as_integer_ratio", None)
    if as_integer_ratio is None or isinstance(value, bool):
        raise InputError(f"{quoted(repr(value))} is not a number: pass a string, int or float")
    text = _fraction_text(value) if isinstance(value, Fraction) else str(value)
    if text.lower().lstrip("+-") in ("inf", "nan"):
        return parse_literal(text, read_as)
    numerator, denominator = as_integer_ratio()
    negative = numerator < 0 or text.startswith("-")  # -0.0 has a sign only in its text
    shift = denominator.bit_length() - 1
    if denominator == 1 << shift:
        return RationalNumber(negative, abs(int(numerator)), 1, -shift, text)
    return RationalNumber(negative, abs(int(numerator)), int(denominator), 0, text)


def _item(value: object) -> object:
    """A number of a library as Python's; what is none, or no Python number holds, as it is."""
    item = getattr(value, "item", None)
    if item is None:
        return value
    try:
        return item()
    except (TypeError, ValueError, RuntimeError):  # more elements than one
        return value


def _fraction_text(value: Fraction) -> str:
    """As `str`, which refuses integers of many digits."""
    numerator, denominator = map(integer_text, value.as_integer_ratio())
    return numerator if denominator == "1" else f"{numerator}/{denominator}"


def exponent_value(text: str | None) -> int:
    """The int of an exponent's text, cut to a magnitude beyond every format."""
    if text is None:
        return 0
    if len(text) <= _MAX_EXPONENT_DIGITS:
        return int(text)
    digits = text.lstrip("+-").lstrip("0")
    size = int(digits or "0") if len(digits) <= _MAX_EXPONENT_DIGITS else _CLAMPED_EXPONENT
    return -size if text[0] == "-" else size


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


_LOOK_ALIKES = str.maketrans("−–÷⋅·", "--/**")
"""What word processors and pages have in place of signs."""


def _explain(body: str, read_as: ReadAs) -> str:
    """Why `body` is no literal, and what to write instead."""
    shown = quoted(body)
    if not body:
        return "an empty value: give a number such as 3.14, 0x1.8p3, 1/3, inf or a code 0x4049"
    if read_as is ReadAs.CODE:
        return f"{shown} is not a code: give hexadecimal 0x4049, binary 0b0100 or a plain integer"
    if body[0] in "+-" and _pattern(_CODE).fullmatch(body[1:]):
        return (
            f'{shown}: a code has no sign; drop it, or read it as a number with `read_as="value"`'
        )
    if "_" in body and _DECIMAL.fullmatch(body.replace("_", "")):
        return f"{shown}: decimals take no underscores; write {quoted(body.replace('_', ''))}"
    if "," in body and _DECIMAL.fullmatch(body.replace(",", ".")):
        return f"{shown}: the decimal separator is a point; write {quoted(body.replace(',', '.'))}"
    if not body.replace("×", "").replace("₂", "").isascii():
        plain = body.translate(_LOOK_ALIKES)
        instead = f"; write {quoted(plain)}" if plain.isascii() else ""
        return f"{shown} is not a number: only ASCII digits and signs are read{instead}"
    words = re.findall(r"[a-z_]{3,}|\bpi\b|\be\b", body.lower())
    if re.search(r"[-+*×/^(]", body.lstrip("+-")) and any(word in NAMES for word in words):
        return f"{shown}: expressions take plain numbers; names such as {words[0]} stand alone"
    code = re.search(r"\b0[xXbB][0-9a-fA-F]+", body)
    if code is not None and re.search(r"[-+*×/^(]", body):
        return f"{shown} is not a number: a code such as {code[0]} stands alone"
    if meant := did_you_mean(body.lower().lstrip("+-"), NAMES):
        return f"{shown} is not a number{meant}"
    return (
        f"{shown} is not a number: give a decimal 3.14, a hex float 0x1.8p3, an expression "
        f"1/3 or 2^-24, a code 0x4049 or 0b0100, inf, nan, {', '.join((*CONSTANTS, *_DIGITS))}"
    )
