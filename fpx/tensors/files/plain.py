"""Tensors that lie in a file as they are: row-major, little-endian, one element after the other."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING

from fpx.tensors.blocks import Box
from fpx.tensors.entry import TensorEntry
from fpx.tensors.files.near import SMALL, Near
from fpx.tensors.types import Origin, itemsize

if TYPE_CHECKING:
    from torch import Tensor


def plain_entry(
    path: Path,
    at: int,
    name: str,
    type_: Origin,
    shape: tuple[int, ...],
    near: Near | None = None,
) -> TensorEntry:
    """A tensor whose elements begin at a byte of a file; `near` reads small ones of many there."""
    count = prod(shape)
    small = near is not None and 0 < count * (itemsize(type_) or 1) <= SMALL

    # the functions import: a header is listed without a library of tensors
    def read(limit: int) -> Iterator[Tensor]:
        import torch

        from fpx.tensors.dtypes import torch_dtype
        from fpx.tensors.files.raw import raw_blocks

        dtype = torch_dtype(type_)
        if near is not None and small and count <= limit:
            yield torch.frombuffer(near.read(at, count * dtype.itemsize), dtype=dtype)
            return
        with path.open("rb", buffering=0) as file:
            file.seek(at)
            for raw in raw_blocks(file, count, dtype.itemsize, limit, str(path)):
                yield torch.from_numpy(raw).view(dtype)

    def read_box(limit: int, box: Box) -> Iterator[Tensor]:
        import torch

        from fpx.tensors.dtypes import torch_dtype
        from fpx.tensors.files.raw import box_blocks

        dtype = torch_dtype(type_)
        with path.open("rb", buffering=0) as file:
            for raw in box_blocks(file, at, shape, box, dtype.itemsize, limit, str(path)):
                yield torch.from_numpy(raw).view(dtype)

    return TensorEntry(name, type_, shape, read, read_box=read_box)
