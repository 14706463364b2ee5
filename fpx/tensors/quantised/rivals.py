"""Do scales lie row by row or in tiles? Where names and shapes fit both, their values tell.

The rows and columns of a weight differ in magnitude, and so do their scales. In the order that is
right, more of the variance of the scales is between rows and between columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod, sqrt

import torch
from torch import Tensor

from fpx.tensors.quantised.bytes import elements
from fpx.tensors.quantised.reading import straight
from fpx.tensors.quantised.recipe import Scales

_MOST = 16  # weights that are looked at
_BYTES = 1 << 18  # of the scales of each
_CLEAR = 6.0  # standard deviations of chance; and what sets the two apart


def swizzled(scales: Sequence[Scales], shapes: Sequence[tuple[int, ...]]) -> bool | None:
    """Whether scales lie in tiles of 128 x 4; None where their values do not tell.

    Args:
        scales: of several weights of one writer.
        shapes: of those weights, whose scales fill whole tiles.
    """
    plain = tiled = 0.0
    looked = 0
    for each, shape in zip(scales[:_MOST], shapes, strict=False):
        grid = each.grid(shape)
        rows, columns = prod(grid[:-1]), grid[-1]
        rows = min(rows, max(_BYTES // columns // 128, 1) * 128)
        stored = elements(each.entry, 0, rows * columns, 1 << 16)
        values = each.values
        assert values is not None
        table = torch.tensor([0.0 if value is None else float(abs(value)) for value in values])
        found = table.index_select(0, stored.view(torch.uint8).to(torch.int32))
        logs = torch.where(found > 0, found.log2(), torch.nan)
        plain += _structure(logs.view(rows, columns))
        tiled += _structure(straight(logs, rows, columns))
        looked += 1
    plain, tiled = plain / sqrt(max(looked, 1)), tiled / sqrt(max(looked, 1))
    if max(plain, tiled) < _CLEAR or abs(plain - tiled) < _CLEAR:
        return None
    return tiled > plain


def _structure(logs: Tensor) -> float:
    """By how many standard deviations the variance between rows and columns exceeds chance."""
    logs = torch.where(logs.isnan(), logs.nanmean(), logs).to(torch.float64)
    centred = logs - logs.mean()
    total = float(centred.square().sum())
    if not total > 0:
        return 0.0
    found = 0.0
    for axis in (0, 1):
        groups, size = centred.shape[1 - axis], centred.shape[axis]
        if groups < 2 or size < 2:
            continue
        between = float(centred.mean(axis).square().sum()) * size / total
        chance = (groups - 1) / (groups * size - 1)
        found += (between - chance) / (sqrt(2 * groups) / (groups * size))
    return found / sqrt(2)
