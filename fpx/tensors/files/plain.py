"""Tensors that lie in a file as they are: row-major, little-endian, one element after the other."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING

from fpx.tensors.blocks import Box
from fpx.tensors.entry import TensorEntry
from fpx.tensors.files.headers import fill
from fpx.tensors.files.near import SMALL, Near
from fpx.tensors.types import Origin

if TYPE_CHECKING:
    from torch import Tensor


_AHEAD = 4  # parts between what is read and what is asked for


def plain_entry(
    path: Path,
    at: int,
    name: str,
    type_: Origin,
    shape: tuple[int, ...],
    near: Near | None = None,
) -> TensorEntry:
    """A tensor whose elements begin at a byte of a file; `near` reads small ones of many there."""
    stored = _Stored(path, at, type_, shape, near)
    return TensorEntry(
        name, type_, shape, stored.read, read_box=stored.read_box, lasting=True,
        read_part=stored.read_part,
    )  # fmt: skip


def is_plain(entry: TensorEntry) -> bool:
    """Whether a tensor is one of these."""
    return isinstance(getattr(entry.read, "__self__", None), _Stored)


@dataclass(frozen=True, slots=True)
class _Stored:
    """Elements that begin at a byte of a file; in another process, of the same file."""

    path: Path
    at: int
    type: Origin
    shape: tuple[int, ...]
    near: Near | None = None

    # the functions import: a header is listed without a library of tensors
    def read(self, limit: int) -> Iterator[Tensor]:
        """As `TensorEntry.read`."""
        import torch

        from fpx.tensors.dtypes import torch_dtype
        from fpx.tensors.files.raw import raw_blocks

        dtype, count = torch_dtype(self.type), prod(self.shape)
        size = count * dtype.itemsize
        if self.near is not None and 0 < size <= SMALL and count <= limit:
            yield torch.frombuffer(self.near.read(self.at, size), dtype=dtype)
            return
        with self.path.open("rb", buffering=0) as file:
            file.seek(self.at)
            for raw in raw_blocks(file, count, dtype.itemsize, limit, str(self.path)):
                yield torch.from_numpy(raw).view(dtype)

    def read_part(self, start: int, count: int) -> Tensor:
        """As `TensorEntry.read_part`."""
        import torch

        from fpx.tensors.dtypes import torch_dtype
        from fpx.tensors.files.raw import own_memory

        dtype = torch_dtype(self.type)
        raw = own_memory(count * dtype.itemsize)
        with self.path.open("rb", buffering=0) as file:
            at = self.at + start * dtype.itemsize
            if hasattr(os, "posix_fadvise"):  # what is not in memory comes meanwhile
                ahead = at + _AHEAD * len(raw)
                os.posix_fadvise(file.fileno(), ahead, len(raw), os.POSIX_FADV_WILLNEED)
            file.seek(at)
            fill(file, raw.data, str(self.path))
        return torch.from_numpy(raw).view(dtype)

    def read_box(self, limit: int, box: Box) -> Iterator[Tensor]:
        """As `TensorEntry.read_box`."""
        import torch

        from fpx.tensors.dtypes import torch_dtype
        from fpx.tensors.files.raw import box_blocks

        dtype = torch_dtype(self.type)
        with self.path.open("rb", buffering=0) as file:
            for raw in box_blocks(
                file, self.at, self.shape, box, dtype.itemsize, limit, str(self.path)
            ):
                yield torch.from_numpy(raw).view(dtype)
