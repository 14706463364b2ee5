"""The report of `fpx decode`: a number in a format, each part computed when it is asked for."""

from __future__ import annotations

from fractions import Fraction
from functools import cached_property
from typing import ClassVar

from fpx.core import codec
from fpx.core.codec import Fields
from fpx.core.dyadic import Dyadic
from fpx.core.interval import Interval, rounding_interval
from fpx.core.numbers import Infinity, Nan, Number, as_number
from fpx.core.shortest import shortest_decimal
from fpx.report.base import JsonValue, Reports, exact_text, hex_code
from fpx.report.encode import EncodeReport, flags_of


class DecodeReport(EncodeReport):
    """Everything about one number in one format; each part is computed when it is asked for.

    Exact numbers are `Fraction`s here and decimal strings in JSON. What does not apply to a code
    (the exponent of a NaN, the neighbour above infinity) is None.
    """

    schema: ClassVar[str] = "fpx.decode/1"

    @cached_property
    def dyadic(self) -> Dyadic | None:
        """The exact value; None for infinities and NaNs."""
        return codec.decode(self.rounded.code, self.spec)

    @property
    def fields(self) -> Fields:
        """Sign, biased exponent and fraction as stored."""
        return codec.fields(self.code, self.spec)

    @property
    def bits(self) -> str:
        """The code in binary, all of its bits."""
        return f"{self.code:0{self.spec.bits}b}"

    @property
    def sign(self) -> int:
        """The sign bit; 0 in an unsigned format."""
        return self.fields.sign

    @property
    def biased_exponent(self) -> int:
        """The stored exponent field."""
        return self.fields.biased_exponent

    @property
    def fraction(self) -> int:
        """The stored trailing significand field."""
        return self.fields.fraction

    @property
    def exponent(self) -> int | None:
        """The unbiased exponent: `emin` for subnormals and zeros, None for infinities and NaNs."""
        if self.dyadic is None:
            return None
        return max(self.biased_exponent, int(self.spec.zero)) - self.spec.bias

    @property
    def significand(self) -> Fraction | None:
        """The significand, leading bit included: 1.f for normal numbers, 0.f below them."""
        significand = self.significand_dyadic
        return None if significand is None else significand.fraction

    @property
    def significand_dyadic(self) -> Dyadic | None:
        """`significand` as a `Dyadic`."""
        if self.dyadic is None:
            return None
        return Dyadic(abs(self.dyadic.significand), -self.spec.fraction_bits)

    @property
    def value(self) -> Fraction | None:
        """The exact value; None for infinities and NaNs."""
        return None if self.dyadic is None else self.dyadic.fraction

    @property
    def shortest(self) -> str:
        """The decimal with the fewest digits that rounds to this code."""
        return shortest_decimal(self.code, self.spec)

    @property
    def hex_float(self) -> str:
        """C's hexadecimal notation."""
        value = self.dyadic
        if value is None:
            return self.shortest
        return ("-" if self.sign and not value.significand else "") + value.hex_float

    @property
    def rounding_error(self) -> str | None:
        """value - input as exact text; None for NaNs.

        A decimal, or `p/q` where no finite decimal exists, or the two terms `a - b` where writing
        the difference out would take millions of digits.
        """
        return self._errors()[0]

    @property
    def error_ulp(self) -> str | None:
        """`rounding_error` in ulps of the format at the input; None for NaNs."""
        return self._errors()[1]

    @property
    def ulp(self) -> Fraction | None:
        """The spacing of the format at the input's exact value; None for infinities and NaNs."""
        ulp = self.ulp_dyadic
        return None if ulp is None else ulp.fraction

    @property
    def ulp_dyadic(self) -> Dyadic | None:
        """`ulp` as a `Dyadic`: a power of two."""
        exponent = self.rounded.ulp_exponent
        return None if exponent is None else Dyadic(1, exponent)

    @property
    def neighbours(self) -> tuple[int | None, int | None]:
        """The codes of the next lower and next upper value."""
        return codec.neighbours(self.code, self.spec)

    @property
    def lower(self) -> str | None:
        """The next lower value as an exact decimal, or "-inf"."""
        return self._text_of(self.neighbours[0])

    @property
    def upper(self) -> str | None:
        """The next upper value as an exact decimal, or "inf"."""
        return self._text_of(self.neighbours[1])

    @property
    def interval(self) -> Interval | None:
        """The real numbers that round to this code."""
        return rounding_interval(self.code, self.spec, self.rounding, self.overflow)

    @property
    def number(self) -> Number | None:
        """The input, if it is a finite number."""
        return as_number(self.literal, self.spec)

    def _errors(self) -> tuple[str | None, str | None]:
        """`rounding_error` and `error_ulp`."""
        rounded, dyadic = self.rounded, self.dyadic
        if dyadic is None and (
            isinstance(self.literal, Nan) or codec.is_nan(rounded.code, self.spec)
        ):
            return None, None
        if not rounded.inexact:
            return "0", "0"
        number, exponent = self.number, rounded.ulp_exponent
        if number is None or exponent is None:  # an infinity that became the largest finite value
            negative = isinstance(self.literal, Infinity) and self.literal.negative
            return ("inf", "inf") if negative else ("-inf", "-inf")
        if dyadic is None:
            return ("-inf", "-inf") if self.sign else ("inf", "inf")
        errors = number.error_of(dyadic, exponent)
        if errors is not None:
            return errors
        operator, magnitude = ("+" if number.negative else "-"), number.text.lstrip("+-")
        terms = f"{dyadic.decimal} {operator} {magnitude}"
        return terms, f"({terms}) / 2^{exponent}"

    def _text_of(self, code: int | None) -> str | None:
        if code is None:
            return None
        value = codec.decode(code, self.spec)
        return shortest_decimal(code, self.spec) if value is None else value.decimal

    def results(self) -> list[dict[str, JsonValue]]:
        """One entry with every attribute; exact numbers as text."""
        spec, code, dyadic, interval = self.spec, self.rounded.code, self.dyadic, self.interval
        rounding_error, error_ulp = self._errors()
        sign, biased_exponent, fraction = codec.fields(code, spec)
        kind = codec.classify(code, spec)
        shortest = shortest_decimal(code, spec)
        lower, upper = codec.neighbours(code, spec)
        exponent = significand = None
        value = hex_float = shortest
        if dyadic is not None:
            exponent = max(biased_exponent, int(spec.zero)) - spec.bias
            significand = Dyadic(abs(dyadic.significand), -spec.fraction_bits).decimal
            minus_zero = "-" if sign and not dyadic.significand else ""
            value = minus_zero + dyadic.decimal
            hex_float = minus_zero + dyadic.hex_float
        return [
            {
                "input": self.literal.text,
                "format": spec.name,
                "code": hex_code(code, spec),
                "bits": f"{code:0{spec.bits}b}",
                "sign": sign,
                "biased_exponent": biased_exponent,
                "exponent": exponent,
                "fraction": f"0x{fraction:0{-(-spec.fraction_bits // 4)}x}",
                "significand": significand,
                "classification": kind.value,
                "value": value,
                "shortest": shortest,
                "hex_float": hex_float,
                "rounding_error": rounding_error,
                "error_ulp": error_ulp,
                "ulp": exact_text(self.ulp_dyadic),
                "lower": self._text_of(lower),
                "upper": self._text_of(upper),
                "interval": None if interval is None else interval_json(interval),
                "rounding": self.rounding.value,
                "overflow": self.overflow.value,
                "flags": flags_of(self.rounded, kind),
            }
        ]


def interval_json(interval: Interval) -> dict[str, JsonValue]:
    """An interval with exact decimal bounds."""
    return {
        "low": "-inf" if interval.low is None else interval.low.decimal,
        "high": "inf" if interval.high is None else interval.high.decimal,
        "low_closed": interval.low_closed,
        "high_closed": interval.high_closed,
    }


class Comparison(Reports):
    """One number in several formats."""

    items: tuple[DecodeReport, ...]
