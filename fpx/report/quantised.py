"""How a quantised weight is stored, as a report tells it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

EVIDENCE = {
    "told": "you said so",
    "metadata": "metadata",
    "names": "no metadata",
    "likely": "a guess: other layouts fit too",
}
"""What a layout was recognised by -> how sure that is, in words."""


@dataclass(frozen=True)
class ScaleInfo:
    """Scales of a weight, as a file has them.

    Attributes:
        role: `scale`, `global scale`, or what else they are.
        tensor: the tensor that has them.
        format: of the numbers.
        shape: as stored.
        bytes: that they take; None where fpx does not know the format.
        direction: `multiplies` or `divides`, which is what it does to the element.
        swizzled: whether they lie in tiles of 128 x 4.
        value: the exact value of a single one, `nan` or `inf`; None of several, and where it was
            not read.
    """

    role: str
    tensor: str
    format: str
    shape: tuple[int, ...]
    bytes: int | None
    direction: str
    swizzled: bool = False
    value: str | None = None

    def __post_init__(self) -> None:
        assert self.direction in ("multiplies", "divides")


@dataclass(frozen=True)
class ScaleCounts:
    """Which scales the blocks of a weight have, of scales that are codes of a byte.

    Attributes:
        count: how many there are, without what fills up tiles.
        zero_count, subnormal_count, nan_count: such scales; those of a block of which a scale is
            zero are all zero.
        codes: how often each code comes, by its hexadecimal, in ascending order.
        exponent_histogram: finite non-zero scales by unbiased exponent.
    """

    count: int
    zero_count: int
    subnormal_count: int
    nan_count: int
    codes: Mapping[str, int]
    exponent_histogram: Mapping[int, int]


@dataclass(frozen=True)
class Fit:
    """Whether two things that a file says of a weight agree.

    Attributes:
        of: `codes` or `scales`.
        says: the calculation: `32 bytes x 2 codes = 64, the width`.
        holds: whether it comes out.
    """

    of: str
    says: str
    holds: bool


@dataclass(frozen=True)
class QuantisedInfo:
    """How a weight is stored whose values are made of codes and scales.

    Attributes:
        layout: who writes it so, and what: `compressed-tensors nvfp4-pack-quantized`.
        format: the scaled format, as a target of `--to`; None where fpx has none like it.
        element: the format of the elements.
        element_bits: width of an element's code; None where codes have no one width.
        stored: the tensor that holds the codes.
        stored_dtype, stored_shape: its dtype, as the file calls it, and its shape.
        stored_bytes: that the codes take; None where that is not known.
        packing: how codes lie in bytes; None where that has no name.
        reach: what shares a scale; None where that has no name.
        scales: the scales; none where they lie between the codes.
        evidence: what it was recognised by, a key of EVIDENCE.
        recognised_by: where that was, in words.
        beside: other tensors that belong to it.
        fits: whether codes, scales and shape agree.
        doubts: what is suspicious of its scales, a line each; None where they were not read.
        scale_counts: which scales its blocks have; None where they were not read, or are no codes.
    """

    layout: str
    format: str | None
    element: str
    element_bits: int | None
    stored: str
    stored_dtype: str
    stored_shape: tuple[int, ...]
    stored_bytes: int | None
    packing: str | None
    reach: str | None
    scales: tuple[ScaleInfo, ...]
    evidence: str
    recognised_by: str
    beside: tuple[str, ...] = ()
    fits: tuple[Fit, ...] = ()
    doubts: tuple[str, ...] | None = None
    scale_counts: ScaleCounts | None = None

    @property
    def is_guess(self) -> bool:
        """Whether other layouts fit as well."""
        return self.evidence == "likely"

    @property
    def suspicions(self) -> tuple[str, ...]:
        """All that is wrong with it as far as that was looked at, a line each."""
        return (*(fit.says for fit in self.fits if not fit.holds), *(self.doubts or ()))

    @property
    def alike(self) -> tuple[object, ...]:
        """What weights of one group in a list have in common."""
        scales = tuple((item.role, item.format, item.shape, item.direction) for item in self.scales)
        return (self.layout, self.stored_dtype, self.stored_shape, self.packing, scales,
                self.evidence, self.recognised_by)  # fmt: skip


@dataclass(frozen=True)
class QuantisedTotal:
    """The weights of one layout and format.

    Attributes:
        layout, dtype, evidence, recognised_by: what they have in common.
        tensors: how many weights there are.
        elements: of all of them.
        bytes: that they take, scales included; None where that is not known.
    """

    layout: str
    dtype: str
    evidence: str
    recognised_by: str
    tensors: int
    elements: int
    bytes: int | None


def together(sizes: Sequence[int | None]) -> int | None:
    """The sum of sizes; None where one is not known."""
    return None if None in sizes else sum(size or 0 for size in sizes)
