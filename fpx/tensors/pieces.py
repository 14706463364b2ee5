"""A part of a large tensor as a tensor of its own, whose elements keep their indexes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fpx.tensors.blocks import READ_AHEAD, Box
from fpx.tensors.entry import TensorEntry
from fpx.tensors.late import load

if TYPE_CHECKING:
    from torch import Tensor


def cut_axis(entry: TensorEntry) -> int | None:
    """The axis along which a tensor can be cut, so that its pieces follow each other in the file.

    None where it has no parts that can be read without the rest.
    """
    if entry.read_box is None or not entry.count:
        return None
    axes = range(len(entry.shape)) if entry.order is None else entry.order
    return next((axis for axis in axes if entry.shape[axis] > 1), None)


def piece(entry: TensorEntry, along: range) -> TensorEntry:
    """Part of a tensor: some indexes of its `cut_axis`; the tensor itself where those are all."""
    axis = cut_axis(entry)
    if axis is None or len(along) == entry.shape[axis]:
        return entry
    whole = entry.read_box
    assert whole is not None
    shape = (*entry.shape[:axis], len(along), *entry.shape[axis + 1 :])
    count = len(along) * entry.step(axis)

    def read_box(limit: int, box: Box) -> Iterator[Tensor]:
        some = range(along.start + box[axis].start, along.start + box[axis].stop)
        return whole(limit, (*box[:axis], some, *box[axis + 1 :]))

    def read(limit: int) -> Iterator[Tensor]:
        return read_box(limit, tuple(map(range, shape)))

    return _Piece(
        name=entry.name,
        type=entry.type,
        shape=shape,
        read=load("fpx.tensors.files.prefetch:prefetched")(read, count),
        order=entry.order,
        only_for=entry.only_for,
        read_box=read_box,
        quantised=entry.quantised,
        lasting=count > READ_AHEAD,
        axis=axis,
        first=along.start,
    )


@dataclass(frozen=True)
class _Piece(TensorEntry):
    """A part of a tensor.

    Attributes:
        axis: along which it is cut.
        first: the first index along that.
    """

    axis: int = 0
    first: int = 0

    @property
    def start(self) -> int:
        """As of the whole tensor."""
        return self.first * self.step(self.axis)

    def index(self, position: int, *, row_major: bool = False) -> tuple[int, ...]:
        """As of the whole tensor."""
        index = list(super().index(position, row_major=row_major))
        index[self.axis] += self.first
        return tuple(index)
