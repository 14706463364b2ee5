"""Tensors of GGUF's block types, as the numbers that they mean. Loads no library to list them."""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from importlib.util import find_spec
from math import isfinite, prod
from pathlib import Path
from typing import TYPE_CHECKING

from fpx.core.blocks import BLOCK_FORMATS
from fpx.core.formats import FORMATS
from fpx.core.scaled_names import named
from fpx.core.scaling import Reach, ScaledFormat, Scope
from fpx.tensors.blocks import Box
from fpx.tensors.entry import TensorEntry
from fpx.tensors.files.gguf_follow import formula, pieces, value_of
from fpx.tensors.files.gguf_types import BlockType
from fpx.tensors.files.headers import ends_early
from fpx.tensors.quantised.model import Evidence, Followed, Part, Quantised, ScaleTensor
from fpx.words import listed, quoted

if TYPE_CHECKING:
    from torch import Tensor

    from fpx.tensors.files.gguf_values import Doubles
    from fpx.tensors.files.raw import Bytes

_F32 = 0  # ggml_type
_MOST_EXPERTS = 1 << 16  # scales that are held; models have some hundred


@dataclass(frozen=True)
class Described:
    """A tensor as the header has it.

    Attributes:
        name: its name.
        shape: elements along each axis, the slowest first.
        kind: its ggml_type.
        at: the byte of the file where it begins.
    """

    name: str
    shape: tuple[int, ...]
    kind: int
    at: int


@dataclass(frozen=True)
class Beside:
    """What a tensor of blocks has beside it.

    Attributes:
        scale: the scale of all of it, or of each expert: of each index of the first axis.
        others: names of what else belongs to it: scales of its inputs.
    """

    scale: Described | None = None
    others: tuple[str, ...] = ()


def beside(tensor: Described, type_: BlockType, tensors: Mapping[str, Described]) -> Beside | str:
    """Finds the scales of a tensor `X.weight`: `X.scale` or `X.weight.scale`, `.input_scale`.

    llama.cpp multiplies what a weight yields by its scale, whatever the type of its blocks
    (src/llama-graph.cpp, `build_lora_mm`).

    Args:
        tensor: the tensor.
        type_: of its blocks.
        tensors: all of the file, by name.

    Returns:
        The scales; or what is damaged, in a few words.
    """
    columns = tensor.shape[-1] if tensor.shape else 1
    if columns % type_.elements:
        return f"its rows of {columns:,} elements are no whole blocks of {type_.elements}"
    stems = dict.fromkeys((tensor.name.removesuffix(".weight"), tensor.name))
    scales = [tensors[f"{stem}.scale"] for stem in stems if f"{stem}.scale" in tensors]
    inputs = [tensors[f"{stem}.input_scale"] for stem in stems if f"{stem}.input_scale" in tensors]
    others = tuple(each.name for each in inputs if _fits(each, tensor))
    fitting = [scale for scale in scales if _fits(scale, tensor)]
    if type_.name == "NVFP4" and len(fitting) < len(scales):
        (odd, *_) = (scale for scale in scales if scale not in fitting)
        return (
            f"its scale {quoted(odd.name)} has shape {list(odd.shape)}, not one float32 number"
            if odd.kind == _F32
            else f"its scale {quoted(odd.name)} is not float32"
        )
    if len(fitting) > 1:
        return f"it has two scales, {listed(quoted(scale.name) for scale in fitting)}"
    return Beside(fitting[0] if fitting else None, others)


def _fits(scale: Described, tensor: Described) -> bool:
    """Whether there is one number, or one per expert of a stack of matrices."""
    experts = tensor.shape[0] if len(tensor.shape) == 3 else 1
    count = prod(scale.shape)
    return scale.kind == _F32 and (count == 1 or count == experts <= _MOST_EXPERTS)


def unread_because(type_: BlockType) -> str:
    """Why tensors of a type cannot be read, in a few words; "" if they can."""
    if not type_.in_files:
        return "it is made while a model runs, and no file should have it"
    if type_.by_library and find_spec("gguf") is None:
        return "its tables are in the package gguf: install fpx-cli[gguf]"
    return ""


def block_entry(path: Path, tensor: Described, type_: BlockType, found: Beside) -> TensorEntry:
    """A tensor of whole blocks, as float64: exactly the numbers that the blocks mean.

    Only where a scale of the whole tensor multiplies a number of more than 29 bits, which a
    minimum can make, is that product rounded.
    """
    blocks = _Blocks(path, tensor, type_, found.scale)
    scale = () if found.scale is None else (
        ScaleTensor(found.scale.name, "float32", found.scale.shape),
    )  # fmt: skip
    quantised = Quantised(
        layout=f"GGUF {type_.name}",
        format=_format(type_, found),
        element=type_.element,
        stored=tensor.name,
        stored_type=type_.name,
        stored_shape=(*tensor.shape[:-1], type_.row_bytes(tensor.shape[-1])),
        packing=type_.packing,
        reach=Reach(Scope.BLOCK, columns=type_.share),
        scales=scale,
        evidence=Evidence.METADATA,
        recognised_by=f"ggml type {type_.name}",
        beside=found.others,
        doubts=blocks.doubts,
        follow=None if type_.by_library or type_.name == "TQ1_0" else blocks.follow,
        stored_bytes=prod(tensor.shape[:-1]) * type_.row_bytes(tensor.shape[-1]),
    )
    return TensorEntry(
        tensor.name, FORMATS["float64"], tensor.shape, blocks.read, read_box=blocks.read_box,
        quantised=quantised,
    )  # fmt: skip


def _format(type_: BlockType, found: Beside) -> ScaledFormat | None:
    row = BLOCK_FORMATS.get(type_.name.lower())
    if row is None or row.global_scale is None or found.scale is not None:
        return row
    return named(replace(row, global_scale=None))


@dataclass(frozen=True)
class _Blocks:
    """The blocks of a tensor in a file."""

    path: Path
    tensor: Described
    type: BlockType
    scale: Described | None

    @property
    def _grid(self) -> tuple[int, ...]:
        """How many blocks there are along each axis."""
        return (*self.tensor.shape[:-1], self.tensor.shape[-1] // self.type.elements)

    def _scales(self) -> tuple[float, ...]:
        """The scales of the whole tensor or of its experts; of a tensor without any, 1."""
        if self.scale is None:
            return (1.0,)
        count = prod(self.scale.shape)
        with self.path.open("rb") as file:
            file.seek(self.scale.at)
            data = file.read(4 * count)
        if len(data) < 4 * count:
            raise ends_early(str(self.path))
        return struct.unpack(f"<{count}f", data)

    def read(self, limit: int) -> Iterator[Tensor]:
        """As `TensorEntry.read`."""
        from fpx.tensors.files.raw import raw_blocks

        grid = self._grid
        with self.path.open("rb", buffering=0) as file:
            file.seek(self.tensor.at)
            raw = raw_blocks(
                file, prod(grid), self.type.nbytes, self._at_once(limit), str(self.path)
            )
            yield from self._numbers(raw, tuple(map(range, grid)), limit)

    def read_box(self, limit: int, box: Box) -> Iterator[Tensor]:
        """As `TensorEntry.read_box`."""
        from fpx.tensors.files.raw import box_blocks

        size, along = self.type.elements, box[-1]
        inside = (*box[:-1], range(along.start // size, -(-along.stop // size)))
        with self.path.open("rb", buffering=0) as file:
            raw = box_blocks(
                file, self.tensor.at, self._grid, inside, self.type.nbytes,
                self._at_once(limit), str(self.path),
            )  # fmt: skip
            yield from self._numbers(raw, inside, limit, along)

    def _at_once(self, limit: int) -> int:
        return max(limit // self.type.elements, 1)

    def _numbers(
        self, raw: Iterator[Bytes], inside: Box, limit: int, along: range | None = None
    ) -> Iterator[Tensor]:
        """The numbers of blocks that follow each other.

        Args:
            raw: their bytes.
            inside: which of the tensor's blocks they are, along each axis.
            limit: numbers at a time, at most.
            along: the wanted indexes of the last axis; None for all.
        """
        import numpy as np
        import torch

        from fpx.tensors.files.gguf_values import decoded

        scales = np.array(self._scales())
        experts = scales[inside[0].start : inside[0].stop] if len(scales) > 1 else scales
        each = prod(map(len, inside[1:])) if len(scales) > 1 else prod(map(len, inside))
        size, start = self.type.elements, 0
        for piece in raw:
            found = decoded(piece, self.type)
            places = np.arange(start, start + len(found))
            start += len(found)
            if self.scale is not None:
                with np.errstate(invalid="ignore", over="ignore"):
                    found *= experts[places // each][:, None]
            numbers: Doubles = found.reshape(-1)
            if along is not None:
                first = (inside[-1].start + places % len(inside[-1])) * size
                columns = first[:, None] + np.arange(size)
                numbers = found[(columns >= along.start) & (columns < along.stop)]
            flat = torch.from_numpy(numbers)
            for begin in range(0, len(flat), limit):
                yield flat[begin : begin + limit]

    def doubts(self) -> tuple[str, ...]:
        """What is suspicious of the scale of the whole tensor."""
        if self.scale is None:
            return ()
        said = Counter(filter(None, map(self._doubt, self._scales())))
        count = prod(self.scale.shape)
        return tuple(
            f"the global scale {quoted(self.scale.name)} {text}"
            + (f" ({times:,} of {count:,} experts)" if count > 1 else "")
            for text, times in said.items()
        )

    def _doubt(self, scale: float) -> str:
        if not isfinite(scale):
            return "is no finite number"
        if scale <= 0:
            return "is negative" if scale else "is 0, and with it all that it multiplies"
        nvfp4 = self.type.name == "NVFP4"  # whose scales are below it: 448 x 6 x it is the largest
        return "is above 1: it may be meant to divide" if nvfp4 and scale > 1 else ""

    def follow(self, index: tuple[int, ...]) -> Followed:
        """As `Quantised.follow`.

        Raises:
            InputError: the file ends before.
        """
        size, width = self.type.elements, self.type.nbytes
        row = 0
        for place, length in zip(index[:-1], self.tensor.shape[:-1], strict=True):
            row = row * length + place
        column, number = divmod(index[-1], size)
        with self.path.open("rb") as file:
            file.seek(self.tensor.at + (row * self._grid[-1] + column) * width)
            block = file.read(width)
        if len(block) < width:
            raise ends_early(str(self.path))
        found = pieces(block, number, self.type)
        assert found is not None
        parts = [
            Part(
                piece.role, self.tensor.name, (*index[:-1], column * width + piece.at),
                piece.format, piece.code, piece.bits, piece.value,
                block[piece.at] if piece.shares else None,
            )
            for piece in found
        ]  # fmt: skip
        value, how = value_of(found), formula(found)
        if self.scale is not None:
            part = self._global(self.scale, index)
            parts.append(part)
            value = None if value is None or part.value is None else value * part.value
            how = f"{f'({how})' if ' - ' in how or ' + ' in how else how} × global scale"
        return Followed(tuple(parts), how, value)

    def _global(self, scale: Described, index: tuple[int, ...]) -> Part:
        number = self._scales()[index[0] if prod(scale.shape) > 1 else 0]
        place = next((n for n, length in enumerate(scale.shape) if length > 1), None)
        where = tuple(index[0] if n == place else 0 for n in range(len(scale.shape)))
        code = int.from_bytes(struct.pack("<f", number), "little")
        value = Fraction(number) if isfinite(number) else None
        return Part("global scale", scale.name, where, "float32", code, 32, value)
