"""What a scale multiplies: an element format, or a table of numbers.

Most elements are formats of FORMATS. Some that people ship are no floating-point format: MXINT8's
fixed-point numbers, and the tables of 16 numbers of bitsandbytes. Those are a `Codebook`.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from types import MappingProxyType
from typing import TypeGuard

from fpx.core.choices import Ties
from fpx.core.codec import decode, round_exact
from fpx.core.formats import FORMATS
from fpx.core.policy import Overflow, Rounding
from fpx.core.spec import FormatSpec


@dataclass(frozen=True)
class Codebook:
    """An element whose codes have a table of values.

    Attributes:
        name: how fpx calls it.
        bits: width of a code.
        values: the value of each code.
        unwritten: codes that an encoder leaves alone.
        fraction_bits: bits below the leading one of the largest values, as the rule `even` counts
            them; None where values are not evenly spaced.
        citation: where the table is from.
    """

    name: str
    bits: int
    values: tuple[Fraction, ...]
    unwritten: tuple[int, ...] = ()
    fraction_bits: int | None = None
    citation: str = ""

    def __hash__(self) -> int:
        return hash(self.name)

    @cached_property
    def ordered(self) -> tuple[tuple[Fraction, int], ...]:
        """The values that are written, in ascending order, each with its (lowest) code."""
        codes: dict[Fraction, int] = {}
        for code, value in enumerate(self.values):
            if code not in self.unwritten:
                codes.setdefault(value, code)
        return tuple(sorted(codes.items()))


Element = FormatSpec | Codebook
"""What a scale multiplies."""


_NF4 = (
    "-1 -0x1.647362p-1 -0x1.0cd660p-1 -0x1.946540p-2 -0x1.23449ap-2 -0x1.7a6a7ep-3 -0x1.74f0e2p-4 "
    "0 0x1.45f5fep-4 0x1.4995c6p-3 0x1.f809bap-3 0x1.5a0674p-2 0x1.c34970p-2 0x1.200f56p-1 "
    "0x1.722766p-1 1"
)
_FP4_TWELFTHS = "0 0.0625 8 12 4 6 2 3 0 -0.0625 -8 -12 -4 -6 -2 -3"


def _as_float32(value: Fraction) -> Fraction:
    float32 = FORMATS["float32"]
    found = decode(round_exact(*value.as_integer_ratio(), float32).code, float32)
    assert found is not None
    return found.fraction


CODEBOOKS: Mapping[str, Codebook] = MappingProxyType(
    {
        row.name: row
        for row in (
            # two's complement in steps of 2^-6; -2 is left out, so that both signs reach as far
            Codebook(
                "int8", 8, tuple(Fraction(code - 256 * (code > 127), 64) for code in range(256)),
                unwritten=(0x80,), fraction_bits=6,
                citation="OCP Microscaling Formats (MX) v1.0, 5.3",
            ),
            Codebook(
                "nf4", 4, tuple(Fraction(float.fromhex(each)) for each in _NF4.split()),
                citation="Dettmers et al., QLoRA: Efficient Finetuning of Quantized LLMs, 2023, E",
            ),
            Codebook(
                "fp4_bnb", 4,
                tuple(_as_float32(Fraction(each) / 12) for each in _FP4_TWELFTHS.split()),
                citation="bitsandbytes, functional.py: create_fp4_map",
            ),
        )
    }
)  # fmt: skip
"""Every element that is a table, by name."""


def is_format(element: Element) -> TypeGuard[FormatSpec]:
    """Whether it is a floating-point format."""
    return isinstance(element, FormatSpec)


def element_values(element: Element) -> tuple[Fraction | None, ...]:
    """The value of each code; None for infinities and NaNs. Elements have up to 16 bits."""
    if isinstance(element, Codebook):
        return element.values
    found = (decode(code, element) for code in range(1 << element.bits))
    return tuple(None if value is None else value.fraction for value in found)


def element_value(code: int, element: Element) -> Fraction | None:
    """The value of a code; None for infinities and NaNs."""
    if isinstance(element, Codebook):
        return element.values[code]
    value = decode(code, element)
    return None if value is None else value.fraction


def largest(element: Element) -> Fraction:
    """The largest value."""
    return element.ordered[-1][0] if isinstance(element, Codebook) else element.max_finite.fraction


def emax(element: Element) -> int:
    """The exponent of the largest value."""
    return floor_log2(largest(element))


def floor_log2(value: Fraction) -> int:
    """floor(log2 x) of x > 0, exactly."""
    exponent = value.numerator.bit_length() - value.denominator.bit_length()
    return exponent - (value < Fraction(2) ** exponent)


def round_element(value: Fraction, element: Element, ties: Ties, negative_zero: bool) -> int:
    """The code of the element nearest to a number; beyond the largest one, that.

    Args:
        value: any number.
        element: what it is rounded to.
        ties: what a number just between two becomes.
        negative_zero: whether a negative number may become -0, where there is one.
    """
    if isinstance(element, Codebook):
        return _nearest(value, element, ties)
    code = _round_float(value, element, ties)
    dropped = not negative_zero and code == element.sign_mask
    return 0 if dropped and element.has_negative_zero else code


_ROUNDINGS = {Ties.EVEN: Rounding.TIES_TO_EVEN, Ties.AWAY: Rounding.TIES_TO_AWAY}


def _round_float(value: Fraction, element: FormatSpec, ties: Ties) -> int:
    def rounded(rounding: Rounding) -> int:
        magnitude = abs(value).as_integer_ratio()
        negative = value < 0
        return round_exact(*magnitude, element, rounding, Overflow.SATURATE, negative=negative).code

    if ties is not Ties.ZERO:
        return rounded(_ROUNDINGS[ties])
    even, away = rounded(Rounding.TIES_TO_EVEN), rounded(Rounding.TIES_TO_AWAY)
    inward = rounded(Rounding.TOWARD_ZERO)
    # half an ulp away from both neighbours: only ties are rounded up by one and down by the other
    low, high = element_value(inward, element), element_value(away, element)
    assert low is not None
    assert high is not None
    return inward if 2 * value == low + high else even


def _nearest(value: Fraction, element: Codebook, ties: Ties) -> int:
    ordered = element.ordered
    at = bisect_left(ordered, (value, -1))
    if at == len(ordered):
        return ordered[-1][1]
    if at == 0 or ordered[at][0] == value:
        return ordered[at][1]
    (below, lower), (above, upper) = ordered[at - 1], ordered[at]
    if 2 * value != below + above:
        return upper if 2 * value > below + above else lower
    if ties is Ties.EVEN:
        return lower if upper & 1 else upper
    outward = abs(above) > abs(below)
    return upper if outward is (ties is Ties.AWAY) else lower
