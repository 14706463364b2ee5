"""Do the shapes of codes and scales fit each other, and what block do they mean?"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

_USUAL = 128  # rows and columns of the blocks of FP8 checkpoints


def block_of(
    shape: Sequence[int], scales: Sequence[int], told: Sequence[int] | None = None
) -> tuple[int, ...] | None:
    """The block along each axis of a tensor that scales of that shape cut it into; None if none.

    A single scale is for all of it; of one axis alone, scales are one per index of the first axis.
    Where several blocks would fit, that which was told is meant, else 128, else a power of two that
    cuts the axis without a rest.

    Args:
        shape: elements along each axis.
        scales: scales along each axis.
        told: the block along the last axes, by metadata.
    """
    if prod(scales) == 1:
        return tuple(shape)
    if len(scales) == 1 and len(shape) > 1 and scales[0] == shape[0]:
        return (1, *shape[1:])
    if len(scales) == 4 and len(shape) == 2 and scales[1] == scales[3] == 1:
        scales = (scales[0], scales[2])  # modelopt's FP8_PB_WO
    if len(scales) < len(shape) and tuple(scales) == tuple(shape[: len(scales)]):
        return (*(1 for _ in scales), *shape[len(scales) :])  # one per expert
    if len(scales) != len(shape):
        return None
    tiles = _tiled(shape, scales, (*told,) if told else (_USUAL, _USUAL))
    if tiles is not None:
        return tiles
    found = [_length(length, count) for length, count in zip(shape, scales, strict=True)]
    return tuple(block for block in found if block) if all(found) else None


def _tiled(
    shape: Sequence[int], scales: Sequence[int], tile: tuple[int, ...]
) -> tuple[int, ...] | None:
    """The tile, if the last axes are cut so, and the others have a scale per index."""
    if len(tile) > len(shape):
        return None
    block = (*(1 for _ in range(len(shape) - len(tile))), *tile)
    wanted = tuple(-(-length // each) for length, each in zip(shape, block, strict=True))
    return block if wanted == tuple(scales) else None


def _length(length: int, count: int) -> int | None:
    """The block that cuts an axis into so many."""
    if count == 1:
        return max(length, 1)
    if count == length:
        return 1
    if not 0 < count < length:
        return None
    exact = length // count
    if length % count == 0 and exact & (exact - 1) == 0:
        return exact
    return _USUAL if -(-length // _USUAL) == count else None


def in_blocks(
    shape: Sequence[int], scales: Sequence[int], block: int, swizzled: bool
) -> tuple[int, ...] | None:
    """The block along each axis if the last one is cut into blocks so long; None if it is not.

    Args:
        shape: elements along each axis.
        scales: the shape of the tensor of scales.
        block: elements of a block.
        swizzled: whether scales lie in tiles of 128 x 4.
    """
    if not shape:
        return None
    columns = -(-shape[-1] // block)
    if swizzled:
        fits = prod(scales) == swizzled_count(prod(shape[:-1]), columns)
    else:
        fits = tuple(scales) == (*shape[:-1], columns)
    return (*(1 for _ in shape[:-1]), block) if fits else None


def swizzled_count(rows: int, columns: int) -> int:
    """Scales in tiles of 128 x 4, those that pad the last tiles too."""
    return -(-rows // 128) * 128 * (-(-columns // 4) * 4)


def swizzled_place(row: int, column: int, columns: int) -> int:
    """Where the scale of a block lies in tiles of 128 x 4.

    docs.nvidia.com/cuda/cublas, "1D block scaling factors layout".

    Args:
        row, column: of the block, in a tensor whose rows have `columns` blocks.
        columns: blocks along the last axis.
    """
    tile = row // 128 * -(-columns // 4) + column // 4
    return tile * 512 + row % 32 * 16 + row % 128 // 32 * 4 + column % 4
