"""The report of `fpx inspect --index` on a quantised weight: one element, from byte to number."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar

from fpx.core.dyadic import Dyadic, integer_text, place_point
from fpx.core.numbers import fraction_text
from fpx.report.base import JsonValue, Report, to_json
from fpx.report.columns import Table, table_of

_DIGITS = 17  # of a decimal that does not end; as many as tell float64's numbers apart


@dataclass(frozen=True)
class PartInfo:
    """One of the numbers that an element's value is made of.

    Attributes:
        role: `element`, `scale`, `global scale`, ...
        tensor: the tensor that it is in.
        index: its place there, as stored; of packed codes that of the byte or word.
        stored: the byte or word that has it and others, in hexadecimal; None where it has its own.
        first_bit: of the code in that byte or word, 0 for the lowest; None where it has its own, or
            where that is not known.
        code: in hexadecimal; None where it is stored as a plain number.
        bits: width of the code.
        format: what the code is of.
        value: what it stands for, exactly; `nan`, `inf` or `-inf`.
    """

    role: str
    tensor: str
    index: tuple[int, ...]
    stored: str | None
    first_bit: int | None
    code: str | None
    bits: int
    format: str
    value: str


@dataclass(frozen=True)
class Beside:
    """An element beside the one that is followed, along the last axis.

    Attributes:
        index: its index in the weight.
        code: of the element.
        element: what that stands for.
        scale: its scale.
        value: its value, exactly; `nan` or `inf`.
    """

    index: tuple[int, ...]
    code: str | None
    element: str
    scale: str | None
    value: str


@dataclass(frozen=True, eq=False, repr=False)
class ElementReport(Report):
    """One element of a quantised weight, from byte to number.

    Attributes:
        source, tensor: where it is.
        index: which element, of the weight's own shape.
        dtype: the scaled format of the weight.
        layout: who writes it so.
        evidence, recognised_by: as in `QuantisedInfo`.
        terms: the numbers that its value is made of, the element first.
        formula: how: `element x scale / global scale`.
        exact: its value; None for a NaN or an infinity.
        special: `nan`, `inf` or `-inf`, where it has no value; else empty.
        lower, upper: the next values that the element's format has at this scale; None beyond the
            last one, and where they do not follow from the formula.
        around: elements before and after it along the last axis, in order, itself included.
    """

    schema: ClassVar[str] = "fpx.inspect-element/1"

    source: str
    tensor: str
    index: tuple[int, ...]
    dtype: str
    layout: str
    evidence: str
    recognised_by: str
    terms: tuple[PartInfo, ...]
    formula: str
    exact: Fraction | None
    special: str = ""
    lower: str | None = None
    upper: str | None = None
    around: tuple[Beside, ...] = ()

    @property
    def value(self) -> str:
        """The exact value as a decimal, or `p/q` where that has no end; `nan`, `inf`, `-inf`."""
        return self.special if self.exact is None else fraction_text(self.exact)

    @property
    def hex_float(self) -> str | None:
        """C's hexadecimal notation; None where the value is no sum of powers of two."""
        dyadic = None if self.exact is None else as_dyadic(self.exact)
        return None if dyadic is None else dyadic.hex_float

    @property
    def decimal(self) -> str:
        """The value to 17 digits, with `…` where there are more."""
        return self.special if self.exact is None else first_digits(self.exact)

    def results(self) -> list[dict[str, JsonValue]]:
        """One entry with every attribute; exact numbers as text."""
        found = {name: to_json(getattr(self, name)) for name in _KEYS}
        return [found]

    def table(self) -> Table:
        """One row per term."""
        about = {"tensor": self.tensor, "index": to_json(self.index), "value": self.value}
        terms = ({f"term.{key}": cell for key, cell in to_json(t).items()} for t in self.terms)
        return table_of({**about, **term} for term in terms)

    def about(self) -> str:
        """Which element it is."""
        return f"{self.tensor}[{', '.join(map(str, self.index))}]"


_KEYS = ("source", "tensor", "index", "dtype", "layout", "evidence", "recognised_by", "terms",
         "formula", "value", "decimal", "hex_float", "lower", "upper", "around")  # fmt: skip


def as_dyadic(value: Fraction) -> Dyadic | None:
    """A fraction whose denominator is a power of two."""
    under = value.denominator
    return None if under & (under - 1) else Dyadic(value.numerator, 1 - under.bit_length())


def first_digits(value: Fraction, digits: int = _DIGITS) -> str:
    """A number's decimal, cut after so many digits, with `…` where there are more."""
    if not value:
        return "0"
    over, under = abs(value.numerator), value.denominator
    power = (over.bit_length() - under.bit_length()) * 30103 // 100000 - digits
    while True:  # the estimate of its length is short by a digit or two at most
        scaled, rest = divmod(over * 10 ** max(-power, 0), under * 10 ** max(power, 0))
        excess = len(integer_text(scaled)) - digits
        if excess <= 0:
            break
        power += excess
    sign = "-" if value < 0 else ""
    text = place_point(False, integer_text(scaled), power)
    return f"{sign}{text}{'…' if rest else ''}"
