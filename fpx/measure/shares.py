"""The work of a command, cut into a share for each rank: tensors, and pieces of large ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from fpx.ranks.plan import Item, plan
from fpx.tensors.entry import TensorEntry
from fpx.tensors.pieces import cut_axis, piece

STDIN = "stdin is read by one process alone: save it to a file for several ranks"
"""What is said where several would read it."""

SMALL = 1 << 20
"""Bytes below which a tensor is not cut: what it takes is not the reading."""


class Part(NamedTuple):
    """What a rank does of a tensor.

    Attributes:
        number: of the tensor.
        along: the indexes along its `cut_axis`; None is all of it.
    """

    number: int
    along: range | None = None

    def of(self, entry: TensorEntry) -> TensorEntry:
        """The tensor or the piece of it to read."""
        return entry if self.along is None else piece(entry, self.along)


def parts(
    entries: Sequence[TensorEntry],
    grain: Callable[[TensorEntry], int | None],
    rank: int,
    ranks: int,
    small: int = SMALL,
) -> list[Part]:
    """A rank's share, by bytes to read.

    Args:
        entries: the tensors of all.
        grain: of a tensor, what the indexes between which it is cut have to be multiples of; None
            where it must stay whole.
        rank, ranks: which one of how many.
        small: see `SMALL`.
    """
    grains = [grain(entry) if entry.nbytes >= small else None for entry in entries]
    items = [
        Item(entry.nbytes, -(-_length(entry) // (each or max(_length(entry), 1))) or 1)
        for entry, each in zip(entries, grains, strict=True)
    ]
    found = []
    for share in plan(items, ranks)[rank]:
        entry, each = entries[share.item], grains[share.item]
        along = None
        if each is not None:
            along = range(share.start * each, min(share.stop * each, _length(entry)))
        found.append(Part(share.item, along))
    return found


def _length(entry: TensorEntry) -> int:
    """Indexes along the axis along which a tensor is cut; 1 where it cannot be."""
    axis = cut_axis(entry)
    return 1 if axis is None else entry.shape[axis]
