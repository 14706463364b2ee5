"""One number in many formats, or rounded in every way: a line for each."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from fpx.core.numbers import Infinity, Literal, Nan
from fpx.core.policy import Overflow, Rounding
from fpx.core.spec import FormatSpec
from fpx.errors import InputError
from fpx.report.base import JsonValue, Reports
from fpx.report.decode import DecodeReport
from fpx.words import quoted


@dataclass(frozen=True, eq=False, repr=False)
class Survey(Reports):
    """One number as several formats and rounding modes see it, the smallest error first.

    Attributes:
        items: a report for each format and mode; a format keeps its modes together.
        refused: (format, reason) of each format that cannot hold the number at all.
    """

    items: tuple[DecodeReport, ...]
    refused: tuple[tuple[str, str], ...] = ()

    @property
    def input(self) -> str:
        """The number as it was given."""
        return self.items[0].input if self.items else ""

    def beside(self) -> dict[str, JsonValue]:
        """`refused`."""
        entries = ({"format": name, "reason": why} for name, why in self.refused)
        return {"refused": [{"input": self.input, **entry} for entry in entries]}

    def about(self) -> str:
        """The number."""
        return quoted(self.input)


def survey(
    literal: Literal, specs: list[FormatSpec], roundings: list[Rounding], overflow: Overflow
) -> Survey:
    """The number in every format and rounding mode.

    Formats are sorted by the size of the first mode's error: exact ones first, then finite errors,
    then infinities, then NaNs, and wide formats before narrow ones among equals.

    Raises:
        InputError: no format can hold it, or there is none.
    """
    if not (specs and roundings):
        raise InputError("there is nothing to compare: give a format and a rounding")
    groups: list[list[DecodeReport]] = []
    refused: list[tuple[str, str]] = []
    for spec in specs:
        try:
            groups.append([DecodeReport.of(literal, spec, mode, overflow) for mode in roundings])
        except InputError as error:
            refused.append((spec.name, str(error)))
    if not groups:
        raise InputError(refused[0][1])
    if len(groups) > 1:
        low = min(group[0].spec.quantum_exponent for group in groups)
        high = max(group[0].spec.emax for group in groups) + 1
        groups.sort(key=lambda group: _error_size(group[0], low, high))
    return Survey(tuple(item for group in groups for item in group), tuple(refused))


def _error_size(report: DecodeReport, low: int, high: int) -> tuple[int, Fraction]:
    """A sort key: how far off the result is, compared exactly.

    The number is stood in for by one that compares alike with all values of all the formats, whose
    smallest spacing is 2^low and whose values are below 2^high.
    """
    number = report.number
    if report.dyadic is None:
        if not report.rounded.inexact:
            return 0, Fraction(0)
        return (1 if report.shortest.endswith("inf") else 2), Fraction(0)
    if isinstance(report.literal, (Infinity, Nan)):
        return 1, Fraction(0)
    if not report.rounded.inexact or number is None:
        return 0, Fraction(0)
    x = Fraction(*number.ratio(low, high))
    return 0, abs(report.dyadic.fraction - (-x if number.negative else x))
