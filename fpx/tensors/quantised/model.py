"""How a quantised weight lies in its file: what a reader found, and how it was found.

Only descriptions: nothing here reads a file or loads a library.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from enum import Enum
from fractions import Fraction
from typing import Any

from fpx.core.packing import Packing
from fpx.core.scaling import Reach, ScaledFormat


class Evidence(Enum):
    """By what a layout was recognised: how sure it is."""

    TOLD = "told"
    """The user said so."""
    METADATA = "metadata"
    """The file, or the configuration beside it, names the method."""
    NAMES = "names"
    """Names, dtypes and shapes fit one layout only."""
    LIKELY = "likely"
    """Names, dtypes and shapes fit several, of which the values' statistics favour this one."""


@dataclass(frozen=True)
class ScaleTensor:
    """Scales as a file has them.

    Attributes:
        tensor: its name in the source.
        format: the name of its numbers' format (`float8_e8m0fnu` also where U8 holds its codes).
        shape: as stored.
        divides: whether the element is divided by it, not multiplied.
        swizzled: whether it lies in tiles of 128 x 4, as cuBLAS wants block scales.
    """

    tensor: str
    format: str
    shape: tuple[int, ...]
    divides: bool = False
    swizzled: bool = False


@dataclass(frozen=True)
class Part:
    """One of the numbers that an element's value is made of.

    Attributes:
        role: `element`, `scale`, `global scale`, `minimum`, `offset`, ...
        tensor: the tensor that it is in.
        index: its place there, as stored (of packed codes: of the byte or word).
        format: what its code is of.
        code: its code; None where it is stored as a plain number.
        bits: width of the code.
        value: what it stands for, exactly; None for a NaN or an infinity.
        stored: the byte or word that holds the code, where that holds several; else None.
    """

    role: str
    tensor: str
    index: tuple[int, ...]
    format: str
    code: int | None
    bits: int
    value: Fraction | None
    stored: int | None = None


@dataclass(frozen=True)
class Followed:
    """One element from its byte to its number.

    Attributes:
        parts: what it is made of, the element first.
        formula: how: `element x scale / global scale`.
        value: the exact result; None for a NaN or an infinity.
    """

    parts: tuple[Part, ...]
    formula: str
    value: Fraction | None


def _nothing() -> tuple[str, ...]:
    return ()


@dataclass(frozen=True)
class Quantised:
    """How a weight is stored whose entry reads as the numbers that it means.

    Attributes:
        layout: who writes it so, and what: `compressed-tensors nvfp4-pack-quantized`.
        format: the scaled format that fpx's own encoder would use for the same (element, scale,
            reach, global scale); None where fpx has none (GGUF's Q4_K).
        element: the name of the element format.
        stored: the tensor that holds the codes, its dtype as the file calls it, and its shape.
        packing: how codes lie in bytes; None where that has no name (GGUF's k-quants).
        reach: what shares a scale; None where that has no name.
        scales: the scales, the global one last; empty where they lie between the codes (GGUF).
        evidence, recognised_by: how it was recognised; a short text for people.
        beside: other tensors that belong to it (`input_scale`, `quant_map`).
        doubts: what is suspicious, a line each: dead blocks, NaN scales, a global scale of 0, a
            divisor where a multiplier is expected. Found without reading the weight's codes.
        follow: one element by its logical index (row-major axes of `TensorEntry.shape`).
        scale_codes: how often each code of the scales of blocks comes; None where scales are no
            codes of a byte.
        stored_bytes: of `stored`, where its dtype and shape do not tell (GGUF's blocks, codes of
            few bits in ONNX).
    """

    layout: str
    format: ScaledFormat | None
    element: str
    stored: str
    stored_type: str
    stored_shape: tuple[int, ...]
    packing: Packing | None
    reach: Reach | None
    scales: tuple[ScaleTensor, ...]
    evidence: Evidence
    recognised_by: str
    beside: tuple[str, ...] = ()
    doubts: Callable[[], tuple[str, ...]] = field(default=_nothing, repr=False, compare=False)
    follow: Callable[[tuple[int, ...]], Followed] | None = field(
        default=None, repr=False, compare=False
    )
    scale_codes: Callable[[], Mapping[int, int]] | None = field(
        default=None, repr=False, compare=False
    )
    stored_bytes: int | None = None

    def __getstate__(self) -> dict[str, Any]:
        """What is described; the functions that read more of a file stay in their process."""
        kept = dict(self.__dict__)
        for each in fields(self):
            if not each.compare:
                kept[each.name] = each.default
        return kept
