"""How the numbers of a quantised weight are made of the tensors of its file. Loads no library.

value = element x scales / divisor. Each element has a place in row-major order; a scale is shared
by the elements of a block, which is so long along each axis.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from math import prod

from fpx.core.blocks import BLOCK_FORMATS
from fpx.core.elements import CODEBOOKS, Codebook, Element, element_values
from fpx.core.formats import FORMATS
from fpx.core.packing import Packing
from fpx.core.scaled_names import named, scaled
from fpx.core.scaling import Reach, ScaledFormat, Scope
from fpx.core.spec import FormatSpec
from fpx.errors import InputError
from fpx.tensors.entry import TensorEntry
from fpx.tensors.types import Origin

WHOLE = Codebook("int8", 8, tuple(Fraction(code - 256 * (code > 127)) for code in range(256)))
"""Whole numbers of 8 bits, which a float32 scale multiplies. (MXINT8's are 64 times smaller.)"""


E8M0, E4M3 = FORMATS["float8_e8m0fnu"], FORMATS["float8_e4m3fn"]

UP = Fraction(2) ** 128
"""What gpt-oss makes of code 255 of E8M0: it adds the code to an exponent, and asks for no NaN."""


@dataclass(frozen=True)
class Stored:
    """A tensor as its file has it.

    Attributes:
        entry: its elements; of elements that share bytes, those bytes.
        type: of its elements.
        shape: of its elements.
        called: its dtype as its file calls it.
    """

    entry: TensorEntry
    type: Origin
    shape: tuple[int, ...]
    called: str

    @property
    def name(self) -> str:
        """Its name in the source."""
        return self.entry.name


@dataclass(frozen=True)
class Nested:
    """Scales that are quantised themselves: map[code] x absmax[place // block] + offset.

    Attributes:
        map: the values of the codes.
        absmax: their scales.
        block: how many share one.
        offset: what is added.
    """

    map: TensorEntry
    absmax: TensorEntry
    block: int
    offset: Fraction


@dataclass(frozen=True)
class Scales:
    """Numbers that multiply, or divide, blocks of elements.

    Attributes:
        entry: the tensor that they are in.
        format: what they are; that of codes, where the tensor has codes in bytes.
        block: elements that share one, along each axis of `Recipe.folded`.
        divides: whether the element is divided by it.
        swizzled: whether they lie in tiles of 128 x 4.
        top_is_number: of E8M0, whether code 255 is 2^128 and no NaN.
        nested: how they are made, where they are no plain numbers.
        role: `scale` or `global scale`.
    """

    entry: TensorEntry
    format: FormatSpec
    block: tuple[int, ...]
    divides: bool = False
    swizzled: bool = False
    top_is_number: bool = False
    nested: Nested | None = None
    role: str = "scale"

    @cached_property
    def values(self) -> tuple[Fraction | None, ...] | None:
        """The value of each code, of codes in bytes; None for formats of more bits."""
        if self.format.bits != 8:
            return None
        found = element_values(self.format)
        return (*found[:-1], UP) if self.top_is_number else found

    @property
    def is_coded(self) -> bool:
        """Whether they are codes of a byte, which have a value each."""
        return self.format.bits == 8 and self.nested is None

    def grid(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Scales along each axis of a tensor of that shape."""
        return tuple(
            -(-length // max(block, 1)) for length, block in zip(shape, self.block, strict=True)
        )


@dataclass(frozen=True)
class Recipe:
    """One quantised weight.

    Attributes:
        name: what its numbers are called.
        shape: their shape.
        stored: the tensor of codes.
        element: what the codes are of.
        packing: how codes lie in bytes.
        scales: what multiplies and divides them, the global scale last.
        divisor: a constant that they are divided by.
        flat: whether all of it is one row of blocks, as bitsandbytes cuts it.
        halves: of split halves, the elements of a block; else 0.
    """

    name: str
    shape: tuple[int, ...]
    stored: Stored
    element: Element
    packing: Packing
    scales: tuple[Scales, ...] = ()
    divisor: int = 1
    flat: bool = False
    halves: int = 0

    @property
    def codes(self) -> TensorEntry:
        """The tensor of codes, whose bytes count, whatever its dtype."""
        return self.stored.entry

    @property
    def folded(self) -> tuple[int, ...]:
        """The shape whose axes blocks are cut along; it has at least one."""
        return (prod(self.shape),) if self.flat or not self.shape else self.shape

    @property
    def reach(self) -> Reach | None:
        """What shares a (block) scale."""
        found = [each for each in self.scales if each.role == "scale"]
        return reach_of(found[0].block, self.folded) if found else None

    @property
    def format(self) -> ScaledFormat | None:
        """What fpx would encode such numbers in; None where it has no such format."""
        return format_of(self)


def reach_of(block: tuple[int, ...], shape: tuple[int, ...]) -> Reach | None:
    """What a block of so many elements along each axis is called; None if it has no name."""
    cut = [axis for axis, length in enumerate(shape) if block[axis] < length]
    if not cut:
        return Reach(Scope.TENSOR)
    last = len(shape) - 1
    if len(cut) == 1 and block[cut[0]] == 1:
        return Reach(Scope.CHANNEL, axis=cut[0])
    if all(block[axis] == 1 for axis in range(last - 1)):
        rows = block[-2] if last else 1
        return Reach(Scope.BLOCK, rows=rows, columns=block[-1])
    return None


def format_of(recipe: Recipe) -> ScaledFormat | None:
    """See `Recipe.format`."""
    reach = recipe.reach
    if reach is None or (recipe.flat and recipe.shape and recipe.shape[-1] % reach.columns):
        return None  # fpx cuts each row anew
    spec = recipe.scales[0].format
    beside = recipe.scales[1].format if len(recipe.scales) > 1 else None
    element = CODEBOOKS["int8"] if recipe.element is WHOLE else recipe.element
    own = BLOCK_FORMATS.get(element.name)  # of the tables, which nobody else encodes
    try:
        for row in BLOCK_FORMATS.values():
            if (row.element, row.scale, row.reach) == (element, spec, reach):
                if row.global_scale == beside:
                    return row
                return named(replace(row, global_scale=beside))
        if own is not None and own.scale == spec:
            return named(replace(own, reach=reach))
        return named(replace(scaled(element, reach, spec), global_scale=beside))
    except InputError:
        return None  # such as scales of 64 bits
