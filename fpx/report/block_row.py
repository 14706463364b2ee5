"""One number of a block: what it was, its code, its value and its error; and what all lost."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

from fpx.core.codec import round_exact
from fpx.core.elements import Codebook, Element, floor_log2
from fpx.core.formats import FORMATS
from fpx.core.numbers import fraction_text
from fpx.core.quantise import Datum
from fpx.core.shortest import hex_text, value_text
from fpx.report.base import JsonValue
from fpx.report.verdicts import Outcome

_FLOAT32 = FORMATS["float32"]


class Given(NamedTuple):
    """A number as it was given, and what it is."""

    text: str
    datum: Datum


@dataclass(frozen=True)
class BlockRow:
    """One number of a block.

    Attributes:
        element: what its code is of.
        index: among all numbers.
        code: of the element.
        value: what it stands for; None for infinities and NaNs.
        step: scale x global scale; None if the scale is NaN.
        given: what it was; None of what was decoded from bytes.
        clipped: whether it was beyond the largest element at that scale.
        flushed: whether it became 0 and was not.
    """

    element: Element
    index: int
    code: int
    value: Fraction | None
    step: Fraction | None
    given: Given | None = None
    clipped: bool = False
    flushed: bool = False

    @property
    def hex(self) -> str:
        """The element's code as `0x7`."""
        return hex_text(self.code, self.element.bits)

    @property
    def bits(self) -> str:
        """The element's code in binary."""
        return f"{self.code:0{self.element.bits}b}"

    @property
    def element_text(self) -> str:
        """The element's own value as a decimal, `-0`, `inf` or `nan`."""
        return element_text(self.code, self.element)

    @property
    def value_text(self) -> str:
        """element x scale x global scale as an exact decimal, `-0`, `inf` or `nan`."""
        own = self.element_text
        if self.value is None:
            return "nan" if self.step is None else own
        return "-0" if not self.value and own.startswith("-") else fraction_text(self.value)

    @property
    def error(self) -> str | None:
        """value - number as exact text; None where one of the two is NaN, or there is no number."""
        if self.given is None or self.value_text.endswith("nan"):
            return None
        exact, number = self._exact_error, self.given.datum
        if exact is not None:
            return fraction_text(exact)
        if not (number.infinite or number.value is not None):
            return None
        if self.value is None:  # an infinity of the element's format
            return "0" if number.infinite else self.value_text
        return "inf" if number.negative else "-inf"

    @property
    def error_ulp(self) -> str | None:
        """`error` in ulps of the element at that scale; None where there is no such spacing."""
        exact, ulp = self._exact_error, self.ulp
        if not exact:
            return self.error
        return None if ulp is None else fraction_text(exact / ulp)

    @property
    def _exact_error(self) -> Fraction | None:
        """value - number where both are finite."""
        number = None if self.given is None else self.given.datum.value
        return None if number is None or self.value is None else self.value - number

    @property
    def ulp(self) -> Fraction | None:
        """The spacing of values at the number; None of a table of numbers, or at no scale."""
        if self.given is None or not self.step or self.given.datum.value is None:
            return None
        spacing = _spacing(abs(self.given.datum.value / self.step), self.element)
        return None if spacing is None else spacing * abs(self.step)

    @property
    def in_float32(self) -> str | None:
        """What float32 makes of the value: `exact`, `rounded`, `subnormal`, `zero`, `overflow`.

        `subnormal` and `zero` are below its normal range; None for infinities and NaNs.
        """
        if self.value is None:
            return None
        found = round_exact(*abs(self.value).as_integer_ratio(), _FLOAT32)
        if found.overflow:
            return "overflow"
        if self.value and abs(self.value) < _FLOAT32.smallest_normal.fraction:
            return "subnormal" if found.code else "zero"
        return "rounded" if found.inexact else "exact"

    def entry(self) -> dict[str, JsonValue]:
        """The number as an entry of `elements`."""
        given = self.given
        return {
            "index": self.index,
            "input": None if given is None else given.text,
            "code": self.hex,
            "bits": self.bits,
            "element": self.element_text,
            "value": self.value_text,
            "clipped": None if given is None else self.clipped,
            "flushed": None if given is None else self.flushed,
            "error": self.error,
            "error_ulp": self.error_ulp,
            "in_float32": self.in_float32,
        }


def element_text(code: int, element: Element) -> str:
    """The value of an element's code as a decimal, `-0`, `inf` or `nan`."""
    if isinstance(element, Codebook):
        return fraction_text(element.values[code])
    return value_text(code, element)


def _spacing(quotient: Fraction, element: Element) -> Fraction | None:
    """Between the elements around a positive number or 0; None where they are not even."""
    if isinstance(element, Codebook):
        if element.fraction_bits is None:
            return None
        return element.values[1] - element.values[0]
    exponent = element.emin
    if quotient:
        exponent = min(max(floor_log2(quotient), element.emin), element.emax)
    return Fraction(2) ** (exponent - element.fraction_bits)


@dataclass(frozen=True)
class Loss:
    """What became of some numbers, all told.

    Attributes:
        count: numbers.
        clipped_count: those beyond the largest element at their scale.
        flushed_count: those that became 0 and were not.
        outcome: in a word.
        sqnr_db: of the finite ones, in decibels: infinite where all are exact, minus infinity where
            one became infinite or NaN; None where none is finite.
    """

    count: int
    clipped_count: int
    flushed_count: int
    outcome: Outcome
    sqnr_db: float | None

    @classmethod
    def of(cls, rows: Iterable[BlockRow]) -> Loss:
        """The loss of these numbers."""
        rows = tuple(rows)
        finite = [
            (row.given.datum.value, row.value)
            for row in rows
            if row.given is not None and row.given.datum.value is not None
        ]
        clipped = sum(row.clipped for row in rows)
        outcome, sqnr_db = _outcome(finite, clipped, len(finite) == len(rows))
        return cls(len(rows), clipped, sum(row.flushed for row in rows), outcome, sqnr_db)

    def entry(self) -> dict[str, JsonValue]:
        """The loss as keys of an entry; an infinite SQNR is null, as the outcome says."""
        sqnr = self.sqnr_db
        return {
            "count": self.count,
            "clipped_count": self.clipped_count,
            "flushed_count": self.flushed_count,
            "outcome": self.outcome.value,
            "sqnr_db": sqnr if sqnr is not None and math.isfinite(sqnr) else None,
        }


def _outcome(
    pairs: Sequence[tuple[Fraction, Fraction | None]], clipped: int, all_finite: bool
) -> tuple[Outcome, float | None]:
    if not pairs:
        return Outcome.EMPTY, None
    signal = noise = Fraction(0)
    for number, value in pairs:
        if value is None:
            return Outcome.DESTROYED, -math.inf
        signal += number * number
        noise += (value - number) ** 2
    if not noise:
        return Outcome.EXACT if all_finite else Outcome.ROUNDED, math.inf
    ratio = signal / noise
    sqnr_db = 10 * math.log10(2) * (math.log2(ratio.numerator) - math.log2(ratio.denominator))
    return Outcome.SATURATED if clipped else Outcome.ROUNDED, sqnr_db
