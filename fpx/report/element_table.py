"""The report of `fpx table` of scaled formats: the elements, and what a scale makes of them."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar

from fpx.core import codec
from fpx.core.blocks import BLOCK_FORMATS
from fpx.core.elements import CODEBOOKS, Codebook, Element
from fpx.core.numbers import fraction_text
from fpx.core.quantise import scale_value
from fpx.core.scaling import ScaledFormat
from fpx.core.shortest import hex_text
from fpx.errors import InputError
from fpx.report.base import JsonValue, Report, hex_code, once
from fpx.report.block_row import element_text
from fpx.report.table import WHOLE_BITS, CodeRow, TableReport


@dataclass(frozen=True)
class ElementRow:
    """One code of an element.

    Attributes:
        element: of what it is a code.
        code: the code.
        scale: what multiplies it; None where nobody chose a scale, or it is NaN.
        has_scale: whether somebody did.
    """

    element: Element
    code: int
    scale: Fraction | None = None
    has_scale: bool = False

    @property
    def hex(self) -> str:
        """The code as `0x7`."""
        return hex_text(self.code, self.element.bits)

    @property
    def bits(self) -> str:
        """The code in binary."""
        return f"{self.code:0{self.element.bits}b}"

    @property
    def value(self) -> str:
        """The element's exact value as a decimal, `-0`, `inf` or `nan`."""
        return element_text(self.code, self.element)

    @property
    def scaled_value(self) -> str | None:
        """element x scale as an exact decimal; None where there is no scale."""
        if not self.has_scale:
            return None
        own = self.value
        if self.scale is None:
            return "nan"
        if own.lstrip("-") in ("inf", "nan"):
            return own
        found = fraction_text(Fraction(own) * self.scale)
        return "-0" if found == "0" and own.startswith("-") else found

    def entry(self) -> dict[str, JsonValue]:
        """The code as an entry of `results`: the keys of `CodeRow`, null where a table has none."""
        if isinstance(self.element, Codebook):
            keys = ("sign", "biased_exponent", "fraction", "classification")
            own = {"code": self.hex, "bits": self.bits, **dict.fromkeys(keys)}
            own |= {"value": self.value, "shortest": None}
        else:
            own = CodeRow(self.element, self.code).entry()
        return own | {"scaled_value": self.scaled_value}


@dataclass(frozen=True, eq=False, repr=False)
class ElementTable(Report):
    """Every code of an element.

    Attributes:
        name: of the scaled format, or of the element itself.
        element: whose codes.
        target: the scaled format; None of an element alone.
        scale_code: of the scale that multiplies them; None without one.
    """

    schema: ClassVar[str] = TableReport.schema

    name: str
    element: Element
    target: ScaledFormat | None = None
    scale_code: int | None = None

    @classmethod
    def of(cls, target: ScaledFormat | Codebook, scale_code: int | None = None) -> ElementTable:
        """The table of a scaled format, or of a table of numbers.

        Raises:
            InputError: such a code no scale has, or there is no scale.
        """
        if isinstance(target, Codebook):
            if scale_code is not None:
                raise InputError(
                    f"`scale_code` is of formats with a scale: write {target.name}:block=32, or "
                    "leave it out"
                )
            return cls(target.name, target)
        if target.bits > WHOLE_BITS:
            raise InputError(f"{target.element.name} has 2^{target.bits} codes, too many to list")
        spec = target.scale
        if scale_code is not None and not 0 <= scale_code < 1 << spec.bits:
            raise InputError(
                f"{scale_code:#x} is no code of a scale: {spec.name} has {spec.bits} bits"
            )
        if scale_code is not None and codec.classify(scale_code, spec) is (
            codec.Classification.INFINITY
        ):
            raise InputError(f"{hex_code(scale_code, spec)} is an infinity of {spec.name}")
        return cls(target.name, target.element, target, scale_code)

    @property
    def scale_hex(self) -> str | None:
        """The scale's code as `0x7f`; None without one."""
        if self.scale_code is None or self.target is None:
            return None
        return hex_code(self.scale_code, self.target.scale)

    @once
    def rows(self) -> tuple[ElementRow, ...]:
        """One per code."""
        scale, chosen = None, self.scale_code
        if chosen is not None and self.target is not None:
            scale = scale_value(chosen, self.target)
        return tuple(
            ElementRow(self.element, code, scale, chosen is not None)
            for code in range(1 << self.element.bits)
        )

    def parts(self) -> tuple[ElementRow, ...]:
        """One row per code."""
        return self.rows

    def about(self) -> str:
        """The format."""
        return self.name

    def results(self) -> list[dict[str, JsonValue]]:
        """One entry per code."""
        return [row.entry() for row in self.rows]


def find_codebook(name: str) -> Codebook | None:
    """The table of numbers of that name, where no scaled format is called so: `int8`."""
    key = name.strip().lower()
    return None if key in BLOCK_FORMATS else CODEBOOKS.get(key)
