"""Conditions on what a row counts and which flags it raises: `inexact`, `error_ulp>0.5`."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from sys import float_info
from typing import Protocol

from fpx.core.numbers import text_fraction
from fpx.errors import InputError
from fpx.report.base import JsonValue
from fpx.report.checks import COMPARISONS, CheckedRow
from fpx.words import did_you_mean, listed, quoted

_LARGEST = Fraction(float_info.max)


class CountingRow(CheckedRow, Protocol):
    """A row with numbers that have names."""

    def numbers(self) -> Mapping[str, Fraction | int | None]:
        """Name -> number; None where there is none."""


@dataclass(frozen=True)
class Limit:
    """A condition on a number of a row. A row that meets it fails, as one without the number does.

    Attributes:
        name: of the number.
        comparison: `>`, `>=`, `<`, `<=`, `==` or `!=`.
        limit: what it is compared with.
        text: the condition as it was written.
    """

    name: str
    comparison: str
    limit: Fraction
    text: str

    def value(self, row: CountingRow) -> JsonValue:
        """The number, as a float where it is not whole; None without one, or beyond floats."""
        found = row.numbers()[self.name]
        if found is None or not -_LARGEST <= found <= _LARGEST:
            return None
        return int(found) if found.denominator == 1 else float(found)

    def fails(self, row: CountingRow) -> bool:
        """Whether the row meets the condition, or has no such number."""
        found = row.numbers()[self.name]
        return found is None or bool(COMPARISONS[self.comparison](found, self.limit))

    def reason(self, row: CountingRow) -> str:
        """`error_ulp>0.5 holds (error_ulp is 0.75)`."""
        value, found = self.value(row), row.numbers()[self.name]
        if found is None:
            return f"{self.text} counts as met: there is no {self.name}"
        shown = Decimal(int(found)) if value is None else value
        return f"{self.text} holds ({self.name} is {shown:.6g})"

    def to_dict(self) -> dict[str, JsonValue]:
        """Its parts."""
        return {
            "check": self.text,
            "name": self.name,
            "comparison": self.comparison,
            "limit": None if abs(self.limit) > _LARGEST else float(self.limit),
        }


_LIMIT = re.compile(
    r"\s*(\w+)\s*(?:([<>=!]+)\s*([+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?))?\s*"
)


def parse_limit(text: str, names: Collection[str], such: tuple[str, str] | None = None) -> Limit:
    """The condition that a text means: `NAME OPERATOR NUMBER`; a name alone means `NAME>0`.

    Args:
        text: the condition.
        names: those that rows have numbers for.
        such: what a name alone, and one with a number, may look like; of any name, if not given.

    Raises:
        InputError: not of that form, or no such name.
    """
    match = _LIMIT.fullmatch(text)
    if match is None or (match[2] is not None and match[2] not in COMPARISONS):
        such = such or (next(iter(names)), f"{next(iter(names))}>0")
        raise InputError(
            f"{quoted(text)} is no condition: write NAME or NAME OPERATOR NUMBER, as in "
            f"{quoted(such[0])} or {quoted(such[1])}; operators are {listed(COMPARISONS)}"
        )
    name, comparison, limit = match.groups()
    if name not in names:
        meant = did_you_mean(name, names) or f": use one of {listed(names, 40)}"
        raise InputError(f"{quoted(name)} in {quoted(text)} is no name of a number here{meant}")
    return Limit(name, comparison or ">", text_fraction(limit or "0"), text.strip())
