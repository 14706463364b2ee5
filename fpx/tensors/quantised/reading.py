"""The numbers of a quantised weight, as streams of float64: codes looked up, times their scales.

Every product of an element, a block's scale and a global one has at most 53 bits, so that nothing
is rounded but quotients, once.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

import torch
from torch import Tensor

from fpx.core.elements import element_values
from fpx.core.packing import Packing
from fpx.errors import InputError
from fpx.tensors.blocks import Box
from fpx.tensors.entry import TensorEntry
from fpx.tensors.quantised.bytes import all_bytes, elements, runs, stretch
from fpx.tensors.quantised.recipe import Recipe, Scales

_HELD = 32 << 20  # bytes of scales; while they are put in order, there are two of them
_FEW = 1 << 20  # bytes of scales that are read whole for a part of a weight too
_BLOCK = 1 << 15  # elements that are looked up at once; for more torch starts threads, at a loss
_NAN = float("nan")


def read(recipe: Recipe, limit: int) -> Iterator[Tensor]:
    """All of a weight in row-major order, in 1-D blocks of float64 of at most `limit` elements.

    Raises:
        InputError: damage that shows only here.
    """
    weight = _Weight(recipe, whole=True)
    count = prod(recipe.shape)
    start = 0
    for codes in all_bytes(recipe.codes, weight.bytes_for(_BLOCK), weight.group):
        if start >= count:
            return
        values = weight.values(codes, start, min(count, start + weight.codes_in(len(codes))))
        for first in range(0, len(values), limit):
            yield values[first : first + limit]
        start += len(values)
    if start < count:
        raise InputError("a tensor's storage ends before the tensor does")


def read_box(recipe: Recipe, limit: int, box: Box) -> Iterator[Tensor]:
    """A part of a weight in row-major order; else as `read`."""
    weight = _Weight(recipe, whole=False)
    for start, stop in runs(recipe.shape, box):
        for first in range(start, stop, _BLOCK):
            last = min(first + _BLOCK, stop)
            begin = first // weight.codes_in(weight.group) * weight.group
            end = -(-last // weight.codes_in(weight.group)) * weight.group
            end = min(end, recipe.codes.nbytes)
            codes = stretch(recipe.codes, begin, end, _BLOCK)
            at = weight.codes_in(begin)
            found = weight.values(codes, at, last)[first - at :]
            for piece in range(0, len(found), limit):
                yield found[piece : piece + limit]


class _Weight:
    """What is looked up again and again while one weight is read."""

    def __init__(self, recipe: Recipe, whole: bool) -> None:
        self._recipe = recipe
        self._bits = recipe.element.bits
        self._packed = recipe.packing is not Packing.BYTES
        values = [_NAN if each is None else float(each) for each in table(recipe)]
        self._table = _lookup(values, self._bits, recipe.packing)
        self._scales = [_Held(each, recipe.folded, whole) for each in recipe.scales]
        self.group = 3 if self._packed and self._bits == 6 else 1
        if recipe.halves:
            self.group = recipe.halves // 2

    def bytes_for(self, count: int) -> int:
        """The bytes that so many codes take."""
        return count * self._bits // 8 if self._packed else count

    def codes_in(self, size: int) -> int:
        """The codes in so many bytes."""
        return size * 8 // self._bits if self._packed else size

    def values(self, codes: Tensor, start: int, stop: int) -> Tensor:
        """The numbers at the places `start` to `stop`, whose codes are in these bytes."""
        found = self._elements(codes)[: stop - start]
        if len(found) < stop - start:
            raise InputError("a tensor's storage ends before the tensor does")
        for scales in self._scales:
            if not scales.divides:
                scales.apply(found, start)
        for scales in self._scales:
            if scales.divides:
                scales.apply(found, start)
        return found.div_(self._recipe.divisor) if self._recipe.divisor != 1 else found

    def _elements(self, codes: Tensor) -> Tensor:
        if not self._packed or self._bits == 8:
            return self._table.index_select(0, codes.to(torch.int32))
        if self._bits == 6:
            codes = _twelve_bits(codes)
        pairs = torch.view_as_real(self._table.index_select(0, codes.to(torch.int32)))
        if self._recipe.halves:
            pairs = pairs.view(-1, self._recipe.halves // 2, 2).transpose(1, 2)
        return pairs.reshape(-1)


def table(recipe: Recipe) -> list[float | None]:
    """The value of each code of a recipe's elements, of which every one is a float64; None: NaN."""
    return [
        _special(recipe, code) if value is None else float(value)
        for code, value in enumerate(element_values(recipe.element))
    ]


def _special(recipe: Recipe, code: int) -> float | None:
    """An infinity of an element format; None is a NaN."""
    element = recipe.element
    top = getattr(element, "infinity_magnitude", None)
    if top is None or not hasattr(element, "sign_mask"):
        return None
    if code & ~element.sign_mask != top:
        return None
    return float("-inf") if code & element.sign_mask else float("inf")


def _lookup(values: list[float], bits: int, packing: Packing) -> Tensor:
    """What a byte, or 12 bits, stand for: one number, or two as a complex one."""
    if packing is Packing.BYTES or bits == 8:
        count = 1 << bits
        return torch.tensor([values[code % count] for code in range(256)], dtype=torch.float64)
    mask = (1 << bits) - 1
    low = [code & mask for code in range(1 << 2 * bits)]
    high = [code >> bits for code in range(1 << 2 * bits)]
    first, second = (high, low) if packing is Packing.HIGH_FIRST else (low, high)
    found = [[values[a], values[b]] for a, b in zip(first, second, strict=True)]
    return torch.view_as_complex(torch.tensor(found, dtype=torch.float64))


def _twelve_bits(codes: Tensor) -> Tensor:
    """Pairs of 6-bit codes as numbers of 12 bits; three bytes have two of them."""
    three = codes.view(-1, 3).to(torch.int32)
    low = three[:, 0] | (three[:, 1] & 15) << 8
    high = three[:, 1] >> 4 | three[:, 2] << 4
    return torch.stack([low, high], dim=1).view(-1)


class _Held:
    """The scales of a weight: in memory where they have room, else read as they are needed."""

    def __init__(self, scales: Scales, shape: tuple[int, ...], whole: bool) -> None:
        self._scales, self._shape = scales, shape
        self._grid = scales.grid(shape)
        self._columns, self._block = shape[-1], max(scales.block[-1], 1)
        self.divides = scales.divides
        values = scales.values
        self._table = None if values is None else torch.tensor(
            [_NAN if each is None else float(each) for each in values], dtype=torch.float64
        )  # fmt: skip
        size = scales.entry.nbytes
        self._stored: Tensor | None = None
        if size <= (_HELD if whole else _FEW):
            self._stored = self._in_order(elements(scales.entry, 0, scales.entry.count, _BLOCK))
        self._nested: tuple[Tensor, Tensor] | None = None
        if scales.nested is not None:
            nested = scales.nested
            self._nested = (_numbers(nested.map), _numbers(nested.absmax))

    def apply(self, values: Tensor, start: int) -> None:
        """Multiplies, or divides, numbers at the places from `start` on."""
        at, stop, columns = start, start + len(values), self._columns
        while at < stop:
            row, column = divmod(at, columns)
            here = values[at - start :]
            if column == 0 and stop - at >= columns:
                rows = (stop - at) // columns
                self._rows(here[: rows * columns].view(rows, columns), row)
                at += rows * columns
            else:
                count = min(columns - column, stop - at)
                self._within(here[:count], row, column)
                at += count

    def _rows(self, values: Tensor, row: int) -> None:
        """Whole rows, beginning with that one."""
        found = self._decoded(row, row + len(values), 0, self._grid[-1])
        whole = self._columns // self._block
        cut = whole * self._block
        if whole:
            blocks = values.as_strided(
                (len(values), whole, self._block), (self._columns, self._block, 1)
            )
            self._into(blocks, found[:, :whole, None])
        if cut < self._columns:
            self._into(values[:, cut:], found[:, whole:])

    def _within(self, values: Tensor, row: int, column: int) -> None:
        """A part of one row, which begins at that column."""
        first, last = column // self._block, -(-(column + len(values)) // self._block)
        found = self._decoded(row, row + 1, first, last)[0]
        lead = min(-column % self._block, len(values))
        at = 0
        if lead:
            self._into(values[:lead], found[0])
            at = 1
        whole = (len(values) - lead) // self._block
        cut = lead + whole * self._block
        if whole:
            middle = values[lead:cut].view(whole, self._block)
            self._into(middle, found[at : at + whole, None])
        if cut < len(values):
            self._into(values[cut:], found[-1])

    def _into(self, values: Tensor, scales: Tensor) -> None:
        if self.divides:
            values.div_(scales)
        else:
            values.mul_(scales)

    def _decoded(self, start: int, stop: int, first: int, last: int) -> Tensor:
        """The scales of rows `start` to `stop`, of blocks `first` to `last`, as float64."""
        rows = self._grid_rows(start, stop)
        if isinstance(rows, range):
            return self._numbers(rows.start, rows.stop, first, last)
        low, high = int(rows.min()), int(rows.max()) + 1
        return self._numbers(low, high, first, last).index_select(0, rows - low)

    def _grid_rows(self, start: int, stop: int) -> range | Tensor:
        """Which row of the grid of scales each row of elements has."""
        blocks = self._scales.block[:-1]
        if all(block == 1 for block in blocks):
            return range(start, stop)
        if prod(self._grid[:-1]) == 1:
            return range(1)
        rest = torch.arange(start, stop)
        found = torch.zeros_like(rest)
        step = 1
        for axis in reversed(range(len(blocks))):
            found += rest % self._shape[axis] // blocks[axis] * step
            rest = rest // self._shape[axis]
            step *= self._grid[axis]
        return found

    def _numbers(self, start: int, stop: int, first: int, last: int) -> Tensor:
        stored = self._codes(start, stop, first, last)
        if self._nested is not None and self._scales.nested is not None:
            nested, (values, absmax) = self._scales.nested, self._nested
            chosen = values.index_select(0, stored.reshape(-1).to(torch.int32))
            place = torch.arange(first, last) // nested.block
            chosen *= absmax.index_select(0, place)
            return chosen.add_(float(nested.offset)).view(stored.shape)
        if self._table is None:
            return stored.to(torch.float64)
        codes = stored.reshape(-1).view(torch.uint8).to(torch.int32)
        return self._table.index_select(0, codes).view(stored.shape)

    def _codes(self, start: int, stop: int, first: int, last: int) -> Tensor:
        """The scales as stored: rows by blocks."""
        columns = self._grid[-1]
        if self._stored is not None:
            return self._stored.view(-1, columns)[start:stop, first:last].contiguous()
        entry = self._scales.entry
        if self._scales.swizzled:
            width = -(-columns // 4) * 4
            top, bottom = start // 128 * 128, -(-stop // 128) * 128
            tiles = elements(entry, top * width, bottom * width, _BLOCK)
            rows = straight(tiles, bottom - top, width)
            return rows[start - top : stop - top, first:last].contiguous()
        if stop - start == 1:
            at = start * columns
            return elements(entry, at + first, at + last, _BLOCK)[None]
        found = elements(entry, start * columns, stop * columns, _BLOCK).view(-1, columns)
        return found[:, first:last].contiguous()

    def _in_order(self, stored: Tensor) -> Tensor:
        if not self._scales.swizzled:
            return stored
        rows, columns = prod(self._grid[:-1]), self._grid[-1]
        width = -(-columns // 4) * 4
        return straight(stored, -(-rows // 128) * 128, width)[:rows, :columns].contiguous()


def straight(tiles: Tensor, rows: int, width: int) -> Tensor:
    """Scales out of tiles of 128 x 4, see `geometry.swizzled_place`: a tensor of rows x width."""
    codes = tiles.view(torch.uint8) if tiles.dtype.itemsize == 1 else tiles
    found = codes.view(rows // 128, width // 4, 32, 4, 4).permute(0, 3, 2, 1, 4)
    return found.reshape(rows, width).view(tiles.dtype)


def _numbers(entry: TensorEntry) -> Tensor:
    return elements(entry, 0, entry.count, _BLOCK).to(torch.float64)
