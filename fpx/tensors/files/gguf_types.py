"""The block types of GGUF, a row each: sizes, elements and scales. Loads no library.

A block is what a row of a tensor is cut into; its scales lie in it, before or after its elements.
Sizes: GGML_QUANT_SIZES of gguf-py's constants.py. Layouts: ggml's ggml-common.h, the structs
`block_q4_0` and so on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from types import MappingProxyType

from fpx.core.packing import Packing


@dataclass(frozen=True)
class BlockType:
    """A type of blocks.

    Attributes:
        code: its number in a file (ggml_type).
        name: what ggml calls it.
        elements, nbytes: of a block.
        element: what its elements are: a format; whole numbers, `int4 + 8` where a code is the
            number plus 8; or a table of the type's own, which is named like it.
        share: elements that share a scale: a block, or a part of one.
        packing: how codes lie in bytes; None where that has no name.
        by_library: whether its tables are those of the library gguf, which then decodes it.
        in_files: whether it is found in files; the others are made while a model runs.
    """

    code: int
    name: str
    elements: int
    nbytes: int
    element: str
    share: int
    packing: Packing | None = None
    by_library: bool = False
    in_files: bool = True

    def row_bytes(self, columns: int) -> int:
        """Bytes of a row of so many elements, of which the last block may have some only."""
        return -(-columns // self.elements) * self.nbytes


_HALVES = Packing.SPLIT_HALVES


def _grid(code: int, name: str, nbytes: int, share: int) -> BlockType:
    """Elements come in groups of 4 or 8, which are looked up in a table of groups."""
    return BlockType(code, name, 256, nbytes, name.lower(), share, by_library=True)


_ROWS = (
    BlockType(2, "Q4_0", 32, 18, "int4 + 8", 32, _HALVES),
    BlockType(3, "Q4_1", 32, 20, "uint4", 32, _HALVES),
    BlockType(6, "Q5_0", 32, 22, "int5 + 16", 32),
    BlockType(7, "Q5_1", 32, 24, "uint5", 32),
    BlockType(8, "Q8_0", 32, 34, "int8", 32, Packing.BYTES),
    BlockType(9, "Q8_1", 32, 40, "int8", 32, Packing.BYTES, in_files=False),
    BlockType(10, "Q2_K", 256, 84, "uint2", 16),
    BlockType(11, "Q3_K", 256, 110, "int3 + 4", 16),
    BlockType(12, "Q4_K", 256, 144, "uint4", 32),
    BlockType(13, "Q5_K", 256, 176, "uint5", 32),
    BlockType(14, "Q6_K", 256, 210, "int6 + 32", 16),
    BlockType(15, "Q8_K", 256, 292, "int8", 256, Packing.BYTES, in_files=False),
    _grid(16, "IQ2_XXS", 66, 32),
    _grid(17, "IQ2_XS", 74, 16),
    _grid(18, "IQ3_XXS", 98, 32),
    _grid(19, "IQ1_S", 50, 32),
    BlockType(20, "IQ4_NL", 32, 18, "iq4_nl", 32, _HALVES),
    _grid(21, "IQ3_S", 110, 32),
    _grid(22, "IQ2_S", 82, 16),
    BlockType(23, "IQ4_XS", 256, 136, "iq4_nl", 32),
    _grid(29, "IQ1_M", 56, 16),
    BlockType(34, "TQ1_0", 256, 54, "ternary", 256),
    BlockType(35, "TQ2_0", 256, 66, "int2 + 1", 256),
    BlockType(39, "MXFP4", 32, 17, "float4_e2m1fn", 32, _HALVES),
    BlockType(40, "NVFP4", 64, 36, "float4_e2m1fn", 16, _HALVES),
    BlockType(41, "Q1_0", 128, 18, "sign", 128, Packing.LOW_FIRST),
)


BLOCK_TYPES: Mapping[int, BlockType] = MappingProxyType({row.code: row for row in _ROWS})
"""Every block type by its number."""


IQ4_NL = (-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113)
"""The numbers of IQ4_NL's and IQ4_XS's codes (`kvalues_iq4nl` of ggml-common.h)."""


def mxfp4_scale(code: int) -> Fraction:
    """The scale that ggml makes of MXFP4's byte: 0xFF is 2^128 there, and no NaN."""
    return Fraction(2) ** (code - 127)


def nvfp4_scale(code: int) -> Fraction:
    """The scale that ggml makes of NVFP4's byte: E4M3 without its sign, and 0x7F is 0, no NaN."""
    if code == 0x7F:
        return Fraction(0)
    exponent, fraction = code >> 3 & 0xF, code & 0x7
    return Fraction(fraction + 8 * (exponent > 0)) * Fraction(2) ** (max(exponent, 1) - 10)
