"""The report of `fpx decode`: a number in a format, each part computed when it is asked for."""

from collections.abc import Callable
from fractions import Fraction
from functools import lru_cache
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from fpx.core import codec
from fpx.core.codec import Classification, Fields
from fpx.core.dyadic import Dyadic
from fpx.core.interval import Interval, rounding_interval
from fpx.core.numbers import DecimalNumber, Infinity, Nan, Number, as_number
from fpx.core.policy import Overflow, Rounding
from fpx.core.shortest import shortest_decimal
from fpx.core.spec import FormatSpec
from fpx.report.base import JsonValue, Reports, exact_text, hex_code, once
from fpx.report.encode import EncodeReport

if TYPE_CHECKING:
    from fpx.report.code_text import CodeTexts
    from fpx.report.columns import Table


class BitField(NamedTuple):
    """A field of a code.

    Attributes:
        name: `sign`, `exponent` or `fraction`.
        bits: in binary.
        top: the position of its highest bit; the code's lowest is 0.
    """

    name: str
    bits: str
    top: int


class Formula(NamedTuple):
    """The parts of (-1)^sign * 2^(exponent - bias) * leading.fraction.

    Attributes:
        sign: the sign bit; None in an unsigned format.
        exponent: the exponent field; for subnormals and zeros 1, which is what counts there.
        bias: of the format.
        leading: the bit before the point: 1 for normal numbers, else 0.
        fraction: the fraction's bits in binary, `0` if it has none.
    """

    sign: int | None
    exponent: int
    bias: int
    leading: int
    fraction: str


_PAYLOAD_CARRIERS = (Classification.QUIET_NAN, Classification.SIGNALING_NAN)


class DecodeReport(EncodeReport):
    """Everything about one number in one format; each part is computed when it is asked for.

    Exact numbers are `Fraction`s here and decimal strings in JSON. What does not apply to a code
    (the exponent of a NaN, the neighbour above infinity) is None.
    """

    schema: ClassVar[str] = "fpx.decode/1"

    @once
    def dyadic(self) -> Dyadic | None:
        """The exact value; None for infinities and NaNs."""
        return codec.decode(self.rounded.code, self.spec)

    @once
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
    def bit_fields(self) -> tuple[BitField, ...]:
        """The fields that the format has, from the highest bits down."""
        spec, bits = self.spec, self.bits
        widths = {"sign": int(spec.signed), "exponent": spec.exponent_bits}
        found, start = [], 0
        for name, width in (*widths.items(), ("fraction", spec.fraction_bits)):
            if width:
                found.append(BitField(name, bits[start : start + width], spec.bits - 1 - start))
            start += width
        return tuple(found)

    @property
    def formula(self) -> Formula | None:
        """How the value follows from the fields; None for infinities and NaNs."""
        if self.dyadic is None:
            return None
        spec, fraction = self.spec, self.fraction
        return Formula(
            sign=self.sign if spec.signed else None,
            exponent=max(self.biased_exponent, int(spec.zero)),
            bias=spec.bias,
            leading=int(self.classification is Classification.NORMAL),
            fraction=f"{fraction:0{spec.fraction_bits}b}" if spec.fraction_bits else "0",
        )

    @property
    def nan_payload(self) -> int | None:
        """A NaN's payload, without the quiet bit; None where the format's NaNs have none."""
        if not self.spec.has_nan_payload or self.classification not in _PAYLOAD_CARRIERS:
            return None
        return self.fraction & (self.spec.quiet_bit - 1)

    @property
    def exponent(self) -> int | None:
        """The unbiased exponent: `emin` for subnormals and zeros, None for infinities and NaNs."""
        if self.dyadic is None:
            return None
        spec = self.spec
        return max(self.fields.biased_exponent, int(spec.zero)) - spec.bias

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
    def value_text(self) -> str:
        """The exact value as a decimal, `-0`, `inf` or `nan`."""
        value = self.dyadic
        if value is None:
            return self.shortest
        return "-0" if not value.significand and self.sign else value.decimal

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
        return "-0x0p+0" if not value.significand and self.sign else value.hex_float

    @property
    def rounding_error(self) -> str | None:
        """value - input as exact text; None for NaNs.

        A decimal, or `p/q` where no finite decimal exists, or the two terms `a - b` where writing
        the difference out would take millions of digits.
        """
        return self._errors[0]

    @property
    def error_ulp(self) -> str | None:
        """`rounding_error` in ulps of the format at the input; None for NaNs."""
        return self._errors[1]

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

    @once
    def _errors(self) -> tuple[str | None, str | None]:
        """`rounding_error` and `error_ulp`."""
        rounded, dyadic = self.rounded, self.dyadic
        if dyadic is None and (
            isinstance(self.literal, Nan) or codec.is_nan(rounded.code, self.spec)
        ):
            return None, None
        if not rounded.inexact:
            return "0", "0"
        literal, exponent = self.literal, rounded.ulp_exponent
        number = literal if type(literal) is DecimalNumber else self.number
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
        rounding_error, error_ulp = self._errors
        return [
            {
                "input": self.input,
                **self._before(),
                "rounding_error": rounding_error,
                "error_ulp": error_ulp,
                "ulp": exact_text(self.ulp_dyadic),
                **self._after(),
                "flags": list(self.flags),
            }
        ]

    def lines(self, encode: Callable[[JsonValue], str]) -> list[str]:
        """As `Report.lines`, put together from what is known of the code and of those like it."""
        rounded = self.rounded
        texts = _texts_of(self.spec, self.rounding, self.overflow)
        before, after, dyadic, kind = texts.of(rounded.code, self._before, self._after, encode)
        known = self.__dict__
        known["dyadic"], known["classification"] = dyadic, kind
        rounding_error, error_ulp = self._errors
        literal = self.literal  # a decimal's text has nothing to escape
        text = literal.text
        told = f'"{text}"' if type(literal) is DecimalNumber else encode(text)
        return [
            f'{{"input": {told}, {before}, '
            f'"rounding_error": {_quoted(rounding_error)}, "error_ulp": {_quoted(error_ulp)}, '
            f'"ulp": {_ulp_text(rounded.ulp_exponent)}, {after}, '
            f'"flags": {_list_text(self.flags, encode)}}}'
        ]

    def _before(self) -> dict[str, JsonValue]:
        """The entry up to the errors, but for the input."""
        spec = self.spec
        sign, biased_exponent, fraction = self.fields
        return {
            "format": spec.name,
            "code": hex_code(self.code, spec),
            "bits": self.bits,
            "sign": sign,
            "biased_exponent": biased_exponent,
            "exponent": self.exponent,
            "fraction": f"0x{fraction:0{-(-spec.fraction_bits // 4)}x}",
            "significand": exact_text(self.significand_dyadic),
            "classification": self.classification.value,
            "value": self.value_text,
            "shortest": self.shortest,
            "hex_float": self.hex_float,
        }

    def _after(self) -> dict[str, JsonValue]:
        """The entry from the errors on, but for the flags."""
        interval = self.interval
        lower, upper = map(self._text_of, self.neighbours)
        return {
            "lower": lower,
            "upper": upper,
            "interval": None if interval is None else interval_json(interval),
            "rounding": self.rounding.value,
            "overflow": self.overflow.value,
        }

    def table(self) -> "Table":
        """One row; a code to which nothing rounds has empty columns for the interval."""
        from fpx.report.columns import table_of

        (entry,) = self.results()
        entry["interval"] = entry["interval"] or dict.fromkeys(_INTERVAL_KEYS)
        return table_of([entry])


@lru_cache(maxsize=16)
def _texts_of(spec: FormatSpec, rounding: Rounding, overflow: Overflow) -> "CodeTexts":
    """What lines say of the codes of a format; of each way to round it is another."""
    from fpx.report.code_text import CodeTexts  # here, because drawings have no lines

    return CodeTexts(spec, rounding)


@lru_cache(maxsize=4096)
def _ulp_text(exponent: int | None) -> str:
    """An ulp as JSON, by its logarithm."""
    return _quoted(None if exponent is None else Dyadic(1, exponent).decimal)


def _quoted(number: str | None) -> str:
    """The text of a number as JSON, in which nothing is to be escaped."""
    return "null" if number is None else f'"{number}"'


_LIST_TEXTS: dict[tuple[str, ...], str] = {}


def _list_text(names: tuple[str, ...], encode: Callable[[JsonValue], str]) -> str:
    """Flags as JSON; there are few combinations of them."""
    text = _LIST_TEXTS.get(names)
    if text is None:
        text = _LIST_TEXTS[names] = encode(list(names))
    return text


_INTERVAL_KEYS = ("low", "high", "low_closed", "high_closed")


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
