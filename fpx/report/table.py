"""The report of `fpx table`: codes of a format, all of them or some around a value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from fpx.core import codec
from fpx.core.shortest import shortest_decimal
from fpx.core.spec import FormatSpec
from fpx.errors import InputError
from fpx.report.base import JsonValue, Report, exact_text, hex_code
from fpx.report.decode import DecodeReport

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
                "`around` and `count`"
            )
        return cls(spec, range(1 << spec.bits))

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

    def results(self) -> list[dict[str, JsonValue]]:
        """One entry per code."""
        return [code_entry(code, self.spec) for code in self.codes]
