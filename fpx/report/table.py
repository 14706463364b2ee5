"""The report of `fpx table`: codes of a format, all of them or some around a value."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

from fpx.core import codec
from fpx.core.codec import Classification, Fields
from fpx.core.dyadic import Dyadic
from fpx.core.shortest import shortest_decimal, value_text
from fpx.core.spec import FormatSpec
from fpx.errors import InputError
from fpx.report.base import JsonValue, Report, hex_code, once
from fpx.report.decode import DecodeReport

GRID_BITS = 12
"""Formats of up to that many bits are drawn whole."""

WHOLE_BITS = 20
"""And of up to that many bits there are tables."""

_PART = 4096  # codes


@dataclass(frozen=True)
class CodeRow:
    """One code of a format, and what it stands for.

    Attributes:
        spec: the format.
        code: the code.
    """

    spec: FormatSpec
    code: int

    @property
    def hex(self) -> str:
        """The code as `0x4049`."""
        return hex_code(self.code, self.spec)

    @property
    def bits(self) -> str:
        """The code in binary, all of its bits."""
        return f"{self.code:0{self.spec.bits}b}"

    @property
    def split_bits(self) -> str:
        """The bits with a dash between the fields."""
        bits, spec = self.bits, self.spec
        ends = (int(spec.signed), int(spec.signed) + spec.exponent_bits)
        parts = (bits[: ends[0]], bits[ends[0] : ends[1]], bits[ends[1] :])
        return "-".join(part for part in parts if part)

    @once
    def fields(self) -> Fields:
        """Sign, biased exponent and fraction as stored."""
        return codec.fields(self.code, self.spec)

    @property
    def classification(self) -> Classification:
        """What the code stands for."""
        return codec.classify(self.code, self.spec)

    @once
    def dyadic(self) -> Dyadic | None:
        """The exact value; None for infinities and NaNs."""
        return codec.decode(self.code, self.spec)

    @once
    def value(self) -> str:
        """The exact value as a decimal, `-0`, `inf` or `nan`."""
        return value_text(self.code, self.spec)

    @once
    def shortest(self) -> str:
        """The decimal with the fewest digits that rounds to this code."""
        return shortest_decimal(self.code, self.spec)

    def entry(self) -> dict[str, JsonValue]:
        """The code as an entry of `results`."""
        sign, biased_exponent, fraction = self.fields
        return {
            "code": self.hex,
            "bits": self.bits,
            "sign": sign,
            "biased_exponent": biased_exponent,
            "fraction": fraction,
            "classification": self.classification.value,
            "value": self.value,
            "shortest": self.shortest,
        }


@dataclass(frozen=True)
class Grid:
    """The magnitudes of a format by their high and low bits, as specifications print them.

    Attributes:
        rows: a row for each pattern of the bits that run down, in it a code for each pattern of
            those that run across.
        down_bits, across_bits: how many run where.
        down, across: which they are.
    """

    rows: tuple[tuple[CodeRow, ...], ...]
    down_bits: int
    across_bits: int
    down: str
    across: str


@dataclass(frozen=True, eq=False, repr=False)
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

    @classmethod
    def whole(cls, spec: FormatSpec) -> TableReport:
        """Every code of a format of up to `WHOLE_BITS` bits.

        Raises:
            InputError: the format is wider.
        """
        if spec.bits > WHOLE_BITS:
            raise InputError(
                f"{spec.name} has 2^{spec.bits} codes, too many for one table: choose some with "
                "`around` and `count`"
            )
        return cls(spec, range(1 << spec.bits))

    def in_parts(self) -> Iterator[TableReport]:
        """The same codes in reports of a few each, none of which takes much memory."""
        for start in range(0, len(self.codes), _PART):
            yield TableReport(self.spec, self.codes[start : start + _PART], self.centre)

    @property
    def too_many(self) -> str | None:
        """Why there are too many codes to draw; None where there are not."""
        if self.centre is not None or self.spec.bits <= GRID_BITS:
            return None
        return (
            f"{self.spec.name} has 2^{self.spec.bits} codes, too many for a picture: choose some "
            "with `around` and `count`, or take them as rows with `csv`"
        )

    @classmethod
    def around(cls, centre: DecodeReport, count: int) -> TableReport:
        """The codes of `count` values around a value, in the order of the values.

        Raises:
            InputError: the value is a NaN, or the count is not positive.
        """
        if count < 1:
            raise InputError(f"`count` must be at least 1, not {count}")
        spec = centre.spec
        place = codec.ordinal(centre.code, spec)
        places = range(place - (count - 1) // 2, place + count // 2 + 1)
        found = ((at, codec.code_at(at, spec)) for at in places)
        codes = [centre.code if at == place else code for at, code in found if code is not None]
        return cls(spec, codes, centre.code)

    def parts(self) -> tuple[CodeRow, ...]:
        """One row per code."""
        return self.rows

    @once
    def rows(self) -> tuple[CodeRow, ...]:
        """One row per code."""
        return tuple(CodeRow(self.spec, code) for code in self.codes)

    @property
    def grid(self) -> Grid:
        """The whole format by exponent and fraction, without the sign.

        The shorter of the two fields runs across; a format without fraction is cut after three bits
        of its exponent.
        """
        spec = self.spec
        exponent, fraction = spec.exponent_bits, spec.fraction_bits
        fraction_down = fraction > exponent
        if fraction_down:
            across_bits, down, across = exponent, "fraction bits", "exponent bits"
        elif fraction:
            across_bits, down, across = fraction, "exponent bits", "fraction bits"
        else:
            across_bits, down, across = min(3, exponent), "the exponent's high bits", "its low bits"
        down_bits = exponent + fraction - across_bits

        def row(high: int, low: int) -> CodeRow:
            code = low << fraction | high if fraction_down else high << across_bits | low
            return CodeRow(spec, code)

        return Grid(
            tuple(
                tuple(row(high, low) for low in range(1 << across_bits))
                for high in range(1 << down_bits)
            ),
            down_bits,
            across_bits,
            down,
            across,
        )

    def about(self) -> str:
        """The format."""
        return self.spec.name

    def results(self) -> list[dict[str, JsonValue]]:
        """One entry per code."""
        return [row.entry() for row in self.rows]
