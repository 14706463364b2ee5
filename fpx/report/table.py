"""Reports on codes of one format: all of them, some around a value, the way between two."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from fpx.core import codec
from fpx.core.codec import Classification
from fpx.core.dyadic import Dyadic
from fpx.core.shortest import shortest_decimal
from fpx.core.spec import FormatSpec
from fpx.errors import InputError
from fpx.report.base import JsonValue, Report, Reports, exact_text, hex_code
from fpx.report.scalar import DecodeReport

GRID_BITS = 12
"""Formats of up to that many bits are shown whole."""


def code_entry(code: int, spec: FormatSpec) -> dict[str, JsonValue]:
    """One code: its fields, class and exact value (`inf`, `nan` where it has none)."""
    sign, biased_exponent, fraction = codec.fields(code, spec)
    value = codec.decode(code, spec)
    return {
        "code": hex_code(code, spec),
        "bits": f"{code:0{spec.bits}b}",
        "sign": sign,
        "biased_exponent": biased_exponent,
        "fraction": fraction,
        "classification": codec.classify(code, spec).value,
        "value": exact_text(value, sign) or shortest_decimal(code, spec),
        "shortest": shortest_decimal(code, spec),
    }


@dataclass(frozen=True, eq=False)
class TableReport(Report):
    """Codes of a format with their values.

    Attributes:
        spec: the format.
        codes: the codes, in the order in which they are shown.
        centre: of codes around a value, the value's own code.
    """

    schema: ClassVar[str] = "fpx.table/1"

    spec: FormatSpec
    codes: Sequence[int]
    centre: int | None = None

    KEYS: ClassVar[tuple[str, ...]] = (
        "code", "bits", "sign", "biased_exponent", "fraction", "classification", "value", "shortest"
    )  # fmt: skip

    @classmethod
    def whole(cls, spec: FormatSpec) -> TableReport:
        """Every code of a format of up to `GRID_BITS` bits.

        Raises:
            InputError: the format is wider.
        """
        if spec.bits > GRID_BITS:
            raise InputError(
                f"{spec.name} has 2^{spec.bits} codes, too many for one table: choose some with "
                "--around VALUE --count N"
            )
        return cls(spec, range(1 << spec.bits))

    @classmethod
    def around(cls, centre: DecodeReport, count: int) -> TableReport:
        """The codes of `count` values around a value, in the order of the values.

        Raises:
            InputError: the value is a NaN, or the count is not positive.
        """
        if count < 1:
            raise InputError(f"--count must be at least 1, not {count}")
        spec = centre.spec
        place = codec.ordinal(centre.code, spec)
        places = range(place - (count - 1) // 2, place + count // 2 + 1)
        found = ((at, codec.code_at(at, spec)) for at in places)
        codes = [centre.code if at == place else code for at, code in found if code is not None]
        return cls(spec, codes, centre.code)

    def results(self) -> list[dict[str, JsonValue]]:
        """One entry per code."""
        return [code_entry(code, self.spec) for code in self.codes]


@dataclass(frozen=True, eq=False)
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
    value = exact_text(item.dyadic, item.sign) or item.shortest
    return {"input": item.input, "code": hex_code(item.code, item.spec), "value": value}


class Distances(Reports):
    """How far apart two numbers are in several formats."""

    items: tuple[DistanceReport, ...]
