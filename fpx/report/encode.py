"""The report of `fpx encode`: the code of a number."""

from __future__ import annotations

from enum import Enum
from functools import lru_cache
from typing import ClassVar, Self

from fpx.core import codec
from fpx.core.codec import Classification, Rounded
from fpx.core.numbers import Literal
from fpx.core.policy import Overflow, Rounding
from fpx.core.spec import FormatSpec
from fpx.report.base import JsonValue, Report, hex_code, once
from fpx.words import quoted


class Notation(Enum):
    """How a code is written."""

    HEX = "hex"
    BIN = "bin"
    INT = "int"


_HEX = Notation.HEX  # to ask an Enum for a member takes a while


@lru_cache  # a stream asks for the same few again and again
def _flags(inexact: bool, invalid: bool, overflow: bool, kind: Classification) -> tuple[str, ...]:
    names = ["inexact" if inexact else "exact"]
    if invalid:
        names.append("invalid")
    if overflow:
        names.append("overflow")
    if inexact and kind is Classification.ZERO:
        names.append("underflow")
    if kind is Classification.SUBNORMAL:
        names.append("subnormal")
    return tuple(names)


class EncodeReport(Report):
    """The code of one number in one format.

    Attributes:
        input: the number as it was given.
        format: its target.
        code: the code.
        rounding, overflow: how it was rounded.
        flags: `exact`, or `inexact` and what came with it (`overflow`, `underflow`), and
            `subnormal` for a subnormal result. Underflow: a non-zero input became zero.
    """

    schema: ClassVar[str] = "fpx.encode/1"

    literal: Literal
    spec: FormatSpec
    rounding: Rounding
    overflow: Overflow
    rounded: Rounded

    def __init__(
        self,
        literal: Literal,
        spec: FormatSpec,
        rounding: Rounding,
        overflow: Overflow,
        rounded: Rounded,
    ) -> None:
        found = self.__dict__
        found["literal"], found["spec"], found["rounded"] = literal, spec, rounded
        found["rounding"], found["overflow"] = rounding, overflow

    @classmethod
    def of(
        cls,
        literal: Literal,
        spec: FormatSpec,
        rounding: Rounding = Rounding.TIES_TO_EVEN,
        overflow: Overflow = Overflow.IEEE,
    ) -> Self:
        """The report on `literal` rounded to `spec`.

        Raises:
            InputError: `spec` cannot hold it at all.
        """
        rounded = codec.encode(literal, spec, rounding, overflow)
        return cls(literal, spec, rounding, overflow, rounded)

    @property
    def input(self) -> str:
        """The number as it was given."""
        return self.literal.text

    @property
    def format(self) -> str:
        """The format's full name."""
        return self.spec.name

    @property
    def code(self) -> int:
        """The integer encoding."""
        return self.rounded.code

    @once
    def classification(self) -> Classification:
        """What the code stands for."""
        return codec.classify(self.code, self.spec)

    @property
    def flags(self) -> tuple[str, ...]:
        """`exact` or `inexact`, then what came with it."""
        _, inexact, overflow, _, invalid = self.rounded
        return _flags(inexact, invalid, overflow, self.classification)

    def text(self, notation: Notation = Notation.HEX) -> str:
        """The code as `0x4049`, `0b0100000001001001` or `16457`."""
        if notation is _HEX:
            return hex_code(self.rounded.code, self.spec)
        return str(self.code) if notation is Notation.INT else f"0b{self.code:0{self.spec.bits}b}"

    def about(self) -> str:
        """Number, format and code."""
        return f"{quoted(self.input)} as {self.format}, {hex_code(self.code, self.spec)}"

    def results(self) -> list[dict[str, JsonValue]]:
        """One entry: input, format, code, rounding, overflow, flags."""
        return [
            {
                "input": self.literal.text,
                "format": self.spec.name,
                "code": hex_code(self.code, self.spec),
                "rounding": self.rounding.value,
                "overflow": self.overflow.value,
                "flags": list(self.flags),
            }
        ]
