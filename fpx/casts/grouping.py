"""Which elements of a tensor share a scale, by their positions in row-major order."""

from __future__ import annotations

from math import prod

import torch
from torch import Tensor

from fpx.core.scaling import Reach, Scope
from fpx.errors import InputError

_LONGEST = 1 << 12
"""Elements of a block that is quantised as it is read; for longer ones the tensor is read twice."""


class Grouping:
    """The groups of a tensor's elements that share a scale, numbered in row-major order.

    A tensor of one axis (a bias, a norm's weight) has one scale per tensor where others have one
    per channel: channels of single elements would lose nothing and say nothing.

    Args:
        reach: what shares a scale.
        shape: of the tensor.

    Raises:
        InputError: the tensor has no such axis.

    Attributes:
        count: how many groups there are; 0 of a tensor without elements.
        width: elements of each group, where a row-major block of whole groups can be quantised
            without the rest of the tensor; None where it cannot.
    """

    def __init__(self, reach: Reach, shape: tuple[int, ...]) -> None:
        self.width: int | None = None
        self._row = shape[-1] if shape else 1
        scope = reach.scope
        if scope is Scope.CHANNEL and len(shape) > 1:
            axis = _axis(reach.axis, shape)
            self._inner, self._channels = prod(shape[axis + 1 :]), shape[axis]
            self.count = self._channels if prod(shape) else 0
            self._ids = self._by_channel
        elif scope is Scope.BLOCK:
            rows = shape[-2] if len(shape) > 1 else 1
            self._tile = (min(reach.rows, max(rows, 1)), reach.columns)
            self._rows = rows
            self._across = -(-self._row // reach.columns)
            self._down = -(-rows // self._tile[0])
            self.count = prod(shape[:-2]) * self._down * self._across
            self._ids = self._by_tile
            if self._tile[0] == 1 and reach.columns <= _LONGEST:
                self.width = reach.columns
        else:
            self.count = min(prod(shape), 1)
            self._ids = lambda positions: torch.zeros_like(positions)

    def ids(self, start: int, n: int, device: torch.device) -> Tensor:
        """The group of each of the elements from `start` on: int64 of shape (n,)."""
        return self._ids(torch.arange(start, start + n, device=device))

    def even(self, start: int, n: int) -> bool:
        """Whether those elements are whole groups of `width` elements each, without a tail."""
        if self.width is None:
            return False
        return self._row % self.width == 0 and start % self.width == n % self.width == 0

    def _by_channel(self, positions: Tensor) -> Tensor:
        return positions // self._inner % self._channels

    def _by_tile(self, positions: Tensor) -> Tensor:
        row, column = positions // self._row, positions % self._row
        matrix, row = row // self._rows, row % self._rows
        down = matrix * self._down + row // self._tile[0]
        return down * self._across + column // self._tile[1]


def _axis(axis: int, shape: tuple[int, ...]) -> int:
    if not -len(shape) <= axis < len(shape):
        raise InputError(
            f"a tensor of {len(shape)} axes has no axis {axis}, along which channels have scales"
        )
    return axis % len(shape)
