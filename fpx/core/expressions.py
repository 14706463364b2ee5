"""Numbers written as expressions, such as `(2 - 2^-7) × 2^127`, computed exactly."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import NamedTuple

from fpx.core.numbers import RationalNumber
from fpx.errors import InputError
from fpx.words import quoted

_LONGEST = 200  # characters: what fpx prints is shorter, and parentheses nest no deeper
_MAX_BITS = 1 << 16  # of a numerator or denominator, powers of two apart: float128 takes 16,494
_MAX_EXPONENT = 10**30  # of two, beyond every format

_TOKEN = re.compile(
    r"\s*(?:(?P<binary>[01]+(?:\.[01]+)?)₂"
    r"|(?P<hex>0[xX](?=\.?[0-9a-fA-F])[0-9a-fA-F]*(?:\.[0-9a-fA-F]*)?[pP][+-]?[0-9]+)"
    r"|(?P<decimal>(?!0[xXbB][0-9a-fA-F])(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)"
    r"|(?P<operator>\*\*|[-+*×x/^()]))\s*"
)
_SAME = {"**": "^", "×": "*", "x": "*"}


def parse_expression(text: str) -> RationalNumber | None:
    """The number that an expression means; None if the text is none.

    Decimals (and hex floats with an exponent, and binary numbers as in `1.01₂`) with `+`, `-`, `*`
    or `×` or `x`, `/`, `^` or `**` and parentheses. `^` binds first and from the right, its
    exponents are integers; a number may have one sign. Zero is positive.

    Raises:
        InputError: it is one, but has no value or none that can be computed exactly.
    """
    if len(text) > _LONGEST:
        return None
    tokens: list[tuple[str, str]] = []
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None or match.lastgroup is None:
            return None
        tokens.append((match.lastgroup, match[match.lastgroup]))
        at = match.end()
    kinds = {kind for kind, _ in tokens}
    if "operator" not in kinds or len(kinds) == 1:
        return None
    try:
        fraction, exponent = _Parser(tokens).whole()
    except _ExpressionError as error:
        raise InputError(f"{quoted(text)}: {error}") from None
    over, under = fraction.numerator, fraction.denominator
    return RationalNumber(over < 0, abs(over), under, exponent, text)


class _ExpressionError(Exception):
    """What is wrong with an expression, in words that follow its text."""


class _Exact(NamedTuple):
    """fraction × 2^exponent; numerator and denominator are odd, or the fraction is 0."""

    fraction: Fraction
    exponent: int

    @classmethod
    def of(cls, fraction: Fraction, exponent: int = 0) -> _Exact:
        """The number, with all powers of two in the exponent."""
        over, under = fraction.numerator, fraction.denominator
        if not over:
            return cls(fraction, 0)
        up, down = (over & -over).bit_length() - 1, (under & -under).bit_length() - 1
        odd, exponent = Fraction(over >> up, under >> down), exponent + up - down
        _bounded(max(odd.numerator.bit_length(), odd.denominator.bit_length()))
        if abs(exponent) > _MAX_EXPONENT:
            raise _ExpressionError("it is too large or small to compute with")
        return cls(odd, exponent)

    def plus(self, other: _Exact) -> _Exact:
        low = min(self.exponent, other.exponent)
        if self.fraction and other.fraction:
            _bounded(abs(self.exponent - other.exponent))
        else:
            return self if self.fraction else other
        terms = (item.fraction * (1 << (item.exponent - low)) for item in (self, other))
        return _Exact.of(sum(terms, Fraction()), low)

    def times(self, other: _Exact) -> _Exact:
        return _Exact.of(self.fraction * other.fraction, self.exponent + other.exponent)

    def over(self, other: _Exact) -> _Exact:
        if not other.fraction:
            raise _ExpressionError("it divides by zero")
        return _Exact.of(self.fraction / other.fraction, self.exponent - other.exponent)

    def to_the(self, power: _Exact) -> _Exact:
        fraction, exponent = power
        if fraction.denominator != 1 or exponent < 0:
            raise _ExpressionError("an exponent is an integer")
        _bounded(exponent + fraction.numerator.bit_length())
        n = fraction.numerator << exponent
        base = self.fraction
        if not base:
            if n < 0:
                raise _ExpressionError("it divides by zero")
            return _Exact.of(Fraction(int(n == 0)))
        if abs(base) == 1:  # a power of two, of any size
            return _Exact.of(base if n % 2 else Fraction(1), self.exponent * n)
        _bounded(max(base.numerator.bit_length(), base.denominator.bit_length()) * abs(n))
        return _Exact.of(base**n, self.exponent * n)


def _bounded(bits: int) -> None:
    if bits > _MAX_BITS:
        raise _ExpressionError(f"computing it exactly takes more than {_MAX_BITS:,} bits")


class _Parser:
    """Recursive descent over tokens: sum, product, power, atom."""

    def __init__(self, tokens: list[tuple[str, str]]) -> None:
        self._tokens = tokens
        self._at = 0

    def whole(self) -> _Exact:
        """The value of all tokens."""
        value = self._sum()
        if self._at < len(self._tokens):
            raise _ExpressionError(f"{quoted(self._tokens[self._at][1])} stands in the wrong place")
        return value

    def _take(self, *operators: str) -> str | None:
        """The next token, if it is one of these operators."""
        if self._at < len(self._tokens):
            kind, text = self._tokens[self._at]
            text = _SAME.get(text, text)
            if kind == "operator" and text in operators:
                self._at += 1
                return text
        return None

    def _sum(self) -> _Exact:
        value = self._product()
        while operator := self._take("+", "-"):
            term = self._product()
            value = value.plus(term if operator == "+" else _negated(term))
        return value

    def _product(self) -> _Exact:
        value = self._signed()
        while operator := self._take("*", "/"):
            factor = self._signed()
            value = value.times(factor) if operator == "*" else value.over(factor)
        return value

    def _signed(self) -> _Exact:
        sign = self._take("+", "-")
        value = self._power()
        return _negated(value) if sign == "-" else value

    def _power(self) -> _Exact:
        base = self._atom()
        if not self._take("^"):
            return base
        sign = self._take("+", "-")
        exponent = self._power()
        return base.to_the(_negated(exponent) if sign == "-" else exponent)

    def _atom(self) -> _Exact:
        if self._take("("):
            value = self._sum()
            if not self._take(")"):
                raise _ExpressionError("a parenthesis is not closed")
            return value
        if self._at == len(self._tokens):
            raise _ExpressionError("a number is missing at the end")
        kind, text = self._tokens[self._at]
        if kind == "operator":
            raise _ExpressionError(f"a number is missing before {quoted(text)}")
        self._at += 1
        if kind == "binary":
            whole, _, fraction = text.partition(".")
            return _Exact.of(Fraction(int(whole + fraction, 2)), -len(fraction))
        mantissa, _, power = text.lower().partition("p" if kind == "hex" else "e")
        if len(power) > len(str(_MAX_BITS)) + 1:
            raise _ExpressionError(f"{quoted(text)} is too large or small to compute with")
        if kind == "hex":
            whole, _, fraction = mantissa.removeprefix("0x").partition(".")
            return _Exact.of(Fraction(int(whole + fraction, 16)), int(power) - 4 * len(fraction))
        _bounded(abs(int(power or 0)))
        return _Exact.of(Fraction(mantissa) * Fraction(10) ** int(power or 0))


def _negated(value: _Exact) -> _Exact:
    return _Exact(-value.fraction, value.exponent)
