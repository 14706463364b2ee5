"""Numbers that share scales: value = element x scale (x global scale).

Decoding is the same everywhere. Encoding is a choice: which scale, what ties become, what a block
of zeros gets. OCP's specification leaves much of it open and libraries differ, so every choice is
an attribute here and has a name.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from fractions import Fraction
from functools import cached_property

from fpx.core.choices import NonFinite, ScaleRule, Ties
from fpx.core.elements import Element, emax, largest
from fpx.core.spec import FormatSpec
from fpx.errors import InputError
from fpx.words import quoted


class Scope(Enum):
    """What shares a scale."""

    TENSOR = "tensor"
    CHANNEL = "channel"
    BLOCK = "block"


_REACH = re.compile(
    r"(tensor)|(channel)(?:[:=](-?[0-9]{1,2}))?|block[:=]([0-9]{1,7})(?:x([0-9]{1,7}))?"
)


@dataclass(frozen=True)
class Reach:
    """Which elements share a scale.

    Attributes:
        scope: a whole tensor, a channel, or a block.
        axis: of channels: the axis along which each index has a scale; may be negative.
        rows, columns: of blocks, along the last two axes; a tensor of one axis is one row. Blocks
            at the end of an axis have what is left.
    """

    scope: Scope
    axis: int = 0
    rows: int = 1
    columns: int = 1

    @classmethod
    def parse(cls, text: str) -> Reach:
        """`tensor`, `channel`, `channel:AXIS`, `block:N` or `block:NxM` (`=` for `:` is as good).

        Raises:
            InputError: anything else.
        """
        match = _REACH.fullmatch(text.strip().lower())
        if match is None and re.fullmatch("block[:=][0-9]+(x[0-9]+)?", text.strip().lower()):
            raise InputError(f"{quoted(text)}: a block has up to 9,999,999 elements along an axis")
        if match is None:
            raise InputError(
                f"{quoted(text)} is not what shares a scale: write tensor, channel, channel:AXIS, "
                "block:N or block:NxM"
            )
        tensor, channel, axis, first, second = match.groups()
        if tensor:
            return cls(Scope.TENSOR)
        if channel:
            return cls(Scope.CHANNEL, axis=int(axis or 0))
        rows, columns = (1, int(first)) if second is None else (int(first), int(second))
        if not rows or not columns:
            raise InputError(f"{quoted(text)}: a block has at least one element")
        return cls(Scope.BLOCK, rows=rows, columns=columns)

    def __str__(self) -> str:
        return self._text(":")

    @property
    def option(self) -> str:
        """It in the name of a format: `block=32`."""
        return self._text("=")

    def _text(self, sign: str) -> str:
        if self.scope is Scope.TENSOR:
            return "tensor"
        if self.scope is Scope.CHANNEL:
            return f"channel{sign}{self.axis}" if self.axis else "channel"
        tile = f"{self.rows}x" if self.rows > 1 else ""
        return f"block{sign}{tile}{self.columns}"

    @property
    def says(self) -> str:
        """It in words: `a scale per channel`."""
        if self.scope is Scope.BLOCK:
            size = f"{self.rows} x {self.columns}" if self.rows > 1 else f"{self.columns}"
            return f"a scale per block of {size}"
        if self.scope is Scope.CHANNEL and self.axis:
            return f"a scale per channel (axis {self.axis})"
        return f"a scale per {self.scope.value}"


@dataclass(frozen=True)
class Encoding:
    """How numbers become elements and scales: what libraries do not agree on.

    Attributes:
        rule: which scale a block gets.
        ties: what an element becomes that is just between two.
        zero_block: the scale's code for a block of zeros; None is what the smallest amax would get.
        least_scale: the smallest code of a scale; smaller ones become it.
        zero_scale: the code for a scale that is rounded to zero; None leaves it 0.
        nonfinite: what an infinity or a NaN does.
        negative_zero: whether elements keep the sign of zeros.
        global_top: the scale that the block of the largest magnitude gets, where there is a global
            scale too: that is amax / (global_top x largest element) of the tensor.
        even_bits: fraction bits that `even` counts, where they are not the element's.
    """

    rule: ScaleRule
    ties: Ties = Ties.EVEN
    zero_block: int | None = None
    least_scale: int = 0
    zero_scale: int | None = None
    nonfinite: NonFinite = NonFinite.BLOCK
    negative_zero: bool = True
    global_top: int = 448
    even_bits: int | None = None


@dataclass(frozen=True)
class ScaledFormat:
    """An element format with scales. Decoding needs all but `encoding`.

    Attributes:
        name: how fpx calls it, options that are not the usual ones included.
        element: of what each number has a code.
        scale: the format of scales; a scale multiplies the element.
        reach: which elements share a scale.
        encoding: how numbers become elements and scales.
        global_scale: the format of the one scale that a tensor has beside; None without one.
        aliases: other names.
        citation: the specification or paper.
    """

    name: str
    element: Element
    scale: FormatSpec
    reach: Reach
    encoding: Encoding
    global_scale: FormatSpec | None = None
    aliases: tuple[str, ...] = ()
    citation: str = ""

    def __hash__(self) -> int:
        return hash(self.name)

    @cached_property
    def bits(self) -> int:
        """Width of an element's code; the scale comes on top, see `bits_per_element`."""
        return self.element.bits

    @cached_property
    def bits_per_element(self) -> float:
        """Bits of an element with its share of the block's scale: 4.25 for MXFP4.

        Scales per channel or tensor and the global one count nothing.
        """
        shared = self.reach.rows * self.reach.columns if self.reach.scope is Scope.BLOCK else None
        return self.bits + (self.scale.bits / shared if shared else 0)

    @cached_property
    def clips_beyond(self) -> Fraction:
        """How many steps (scale x global scale) from 0 a number may be without being clipped.

        The largest element; with scales of float32's precision, the float32 after that, or every
        second largest number of a block would count as clipped, by what its scale is rounded by.
        """
        top = largest(self.element)
        if self.scale.precision < 24:
            return top
        return top + Fraction(2) ** (emax(self.element) - 23)

    @property
    def says(self) -> str:
        """It in words: `float8_e4m3fn with a float32 scale per channel`."""
        scale = self.reach.says.replace("a scale", f"a {self.scale.name} scale", 1)
        beside = f" and a {self.global_scale.name} one per tensor" if self.global_scale else ""
        return f"{self.element.name} with {scale}{beside}"

    @property
    def label(self) -> str:
        """It before its answers: the name, or in words where that says all that it is."""
        base, _, options = self.name.partition(":")
        bare = base == self.element.name and options == self.reach.option
        return self.says if bare else self.name

    def choices(self) -> dict[str, str]:
        """What encoding chooses, each in words: what a report says beside its numbers."""
        encoding = self.encoding
        digits = self.scale.code_digits
        code = encoding.zero_block
        found = {
            "scale rule": encoding.rule.value,
            "ties": {
                Ties.EVEN: "to even", Ties.AWAY: "away from zero", Ties.ZERO: "toward zero",
            }[encoding.ties],
            "scale of zeros": "the smallest" if code is None else f"{code:#0{digits + 2}x}",
            "smallest scale": f"{encoding.least_scale:#0{digits + 2}x}",
            "NaN and infinity": {
                NonFinite.BLOCK: "make the block NaN",
                NonFinite.ELEMENT: "leave the scale alone",
            }[encoding.nonfinite],
            "-0": "kept" if encoding.negative_zero else "becomes 0",
        }  # fmt: skip
        if encoding.rule is ScaleRule.EVEN and encoding.even_bits is not None:
            plural = "" if encoding.even_bits == 1 else "s"
            found["scale rule"] += f" (of {encoding.even_bits} fraction bit{plural})"
        if encoding.zero_scale is not None:
            found["scale that underflows"] = f"{encoding.zero_scale:#0{digits + 2}x}"
        if self.global_scale is not None:
            found["global scale"] = f"amax / ({encoding.global_top} x largest element)"
        return found

    def check(self) -> None:
        """Refuses what has no meaning.

        Raises:
            InputError: an element that cannot be scaled, or a rule that the element lacks.
        """
        element, rule = self.element, self.encoding.rule
        if isinstance(element, FormatSpec):
            if not (element.signed and element.zero):
                raise InputError(f"{element.name} has no sign or no zero: it is no element")
            if element.bits > 16:
                raise InputError(f"{element.name} has {element.bits} bits: elements have up to 16")
        elif rule is ScaleRule.EVEN and element.fraction_bits is None:
            raise InputError(
                f"the rule even counts fraction bits, of which {element.name} has none: choose "
                "floor, ceil, rceil or amax"
            )
        for spec in (self.scale, self.global_scale):
            if spec is not None and (spec.bits > 32 or spec.precision > 24):
                raise InputError(f"{spec.name} is no format of scales: use one of up to 32 bits")
        if self.global_scale is not None and self.scale.precision > 12:
            raise InputError(
                f"a global scale beside {self.scale.name} ones says nothing more: write global=none"
            )
        if rule is ScaleRule.FOUR_OVER_SIX and not (
            self.reach.scope is Scope.BLOCK and self.reach.rows == 1
        ):
            raise InputError("the rule 4over6 is for blocks along the last axis: write block=16")
        if rule is ScaleRule.FOUR_OVER_SIX and element.name != "float4_e2m1fn":
            raise InputError(f"the rule 4over6 is for float4_e2m1fn, not for {element.name}")
        self._check_scales()

    def _check_scales(self) -> None:
        """Refuses codes that are no scale, and NaN blocks where no scale can say so."""
        encoding, spec = self.encoding, self.scale
        for code in (encoding.zero_block, encoding.least_scale, encoding.zero_scale):
            if code is not None and not 0 <= code <= spec.max_finite_magnitude:
                raise InputError(
                    f"{code:#x} is no finite scale of {spec.name}: its codes are 0x0 to "
                    f"{spec.max_finite_magnitude:#x}"
                )
        if encoding.nonfinite is NonFinite.BLOCK and spec.nan_code is None:
            raise InputError(
                f"{spec.name} has no NaN, which the scale of a block would be: choose nan=element"
            )


def even_bits(target: ScaledFormat) -> int:
    """The fraction bits that the rule `even` counts."""
    given = target.encoding.even_bits
    if given is not None:
        return given
    bits = target.element.fraction_bits
    assert bits is not None
    return bits
