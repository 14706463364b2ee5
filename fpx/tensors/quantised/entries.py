"""A recipe as a tensor of a source: numbers that stream, and how they are stored."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from fpx.core.formats import FORMATS
from fpx.tensors.blocks import Box
from fpx.tensors.entry import TensorEntry
from fpx.tensors.quantised.model import Evidence, Followed, Quantised, ScaleTensor
from fpx.tensors.quantised.recipe import Recipe, Scales

if TYPE_CHECKING:
    from torch import Tensor


def entry_of(
    recipe: Recipe,
    layout: str,
    evidence: Evidence,
    recognised_by: str,
    beside: tuple[str, ...] = (),
) -> TensorEntry:
    """The numbers of a recipe, of float64; nothing of the file is read yet.

    Args:
        recipe: how they are made.
        layout, evidence, recognised_by, beside: see `Quantised`.
    """

    # the functions import: a header is listed without a library of tensors
    def read(limit: int) -> Iterator[Tensor]:
        from fpx.tensors.quantised.reading import read

        return read(recipe, limit)

    def read_box(limit: int, box: Box) -> Iterator[Tensor]:
        from fpx.tensors.quantised.reading import read_box

        return read_box(recipe, limit, box)

    def doubts() -> tuple[str, ...]:
        from fpx.tensors.quantised.doubts import doubts

        return doubts(recipe)

    def follow(index: tuple[int, ...]) -> Followed:
        from fpx.tensors.quantised.following import follow

        return follow(recipe, index)

    def scale_codes() -> Mapping[int, int]:
        from fpx.tensors.quantised.doubts import scale_codes

        return scale_codes(recipe)

    coded = any(each.role == "scale" and each.is_coded for each in recipe.scales)
    scales = tuple(each for every in recipe.scales for each in _scales(every))
    beside = tuple(name for name in beside if all(name != each.tensor for each in scales))
    quantised = Quantised(
        layout, recipe.format, recipe.element.name, recipe.stored.name, recipe.stored.called,
        recipe.stored.shape, recipe.packing, recipe.reach, scales,
        evidence, recognised_by, beside, doubts, follow,
        scale_codes if coded else None,
    )  # fmt: skip
    return TensorEntry(
        recipe.name, FORMATS["float64"], recipe.shape, read, read_box=read_box, quantised=quantised
    )


def _scales(scales: Scales) -> tuple[ScaleTensor, ...]:
    """The tensors of scales: one, or of scales that are codes themselves those and their scales."""
    entry, nested = scales.entry, scales.nested
    if nested is not None:
        absmax = nested.absmax
        return (
            ScaleTensor(entry.name, entry.type.name, entry.shape),
            ScaleTensor(absmax.name, absmax.type.name, absmax.shape),
        )
    return (
        ScaleTensor(entry.name, scales.format.name, entry.shape, scales.divides, scales.swizzled),
    )
