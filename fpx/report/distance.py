"""The report of `fpx distance`: the way between two numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from fpx.core import codec
from fpx.core.codec import Classification
from fpx.core.dyadic import Dyadic
from fpx.report.base import JsonValue, Report, Reports, exact_text, hex_code
from fpx.report.decode import DecodeReport
from fpx.words import quoted


@dataclass(frozen=True, eq=False, repr=False)
class DistanceReport(Report):
    """How far apart two numbers are in a format.

    Attributes:
        first, second: both, rounded to the format.
    """

    schema: ClassVar[str] = "fpx.distance/1"

    first: DecodeReport
    second: DecodeReport

    @property
    def format(self) -> str:
        """The format's full name."""
        return self.first.format

    @property
    def steps(self) -> int:
        """How many values up (or, negative, down) it is from the first to the second.

        The zeros are one value, and an infinity is the value after the largest finite one.

        Raises:
            InputError: one of them is a NaN.
        """
        places = [codec.ordinal(item.code, item.spec) for item in (self.first, self.second)]
        return places[1] - places[0]

    @property
    def between(self) -> int:
        """Number of values strictly between the two."""
        return max(abs(self.steps) - 1, 0)

    @property
    def difference(self) -> Dyadic | None:
        """second - first as values of the format, exactly; None where one is infinite."""
        first, second = self.first.dyadic, self.second.dyadic
        return None if first is None or second is None else second.minus(first)

    def about(self) -> str:
        """The two numbers and the format."""
        ends = (quoted(item.input) for item in (self.first, self.second))
        return f"{' to '.join(ends)} in {self.format}"

    def results(self) -> list[dict[str, JsonValue]]:
        """One entry."""
        difference = self.difference
        infinite = Classification.INFINITY in (
            self.first.classification,
            self.second.classification,
        )
        return [
            {
                "format": self.format,
                "first": _end(self.first),
                "second": _end(self.second),
                "steps": self.steps,
                "between": self.between,
                "difference": None if infinite else exact_text(difference),
            }
        ]


def _end(item: DecodeReport) -> dict[str, JsonValue]:
    return {"input": item.input, "code": hex_code(item.code, item.spec), "value": item.value_text}


class Distances(Reports):
    """How far apart two numbers are in several formats."""

    items: tuple[DistanceReport, ...]
