"""torch's tensors of a file, read in the order of their storage."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import Tensor

from fpx.tensors.blocks import Box
from fpx.tensors.dtypes import is_readable, origin_of
from fpx.tensors.entry import COMPLEX_NOTE, TensorEntry
from fpx.tensors.files.mapped_pages import RELEASE_EVERY, Pages
from fpx.tensors.memory import layout_of
from fpx.tensors.rows import row_major_blocks

_INTEGERS_OF = {torch.qint8: torch.int8, torch.quint8: torch.uint8, torch.qint32: torch.int32}


def stored_values(tensor: Tensor) -> tuple[Tensor | None, str]:
    """What of a tensor is read, and a note where that is not simply all of it."""
    if tensor.is_meta:
        return None, "on the meta device: the file has no data of it"
    if tensor.is_nested:
        return None, "nested tensors are not read"
    if tensor.is_quantized:
        integers = _INTEGERS_OF.get(tensor.dtype)
        if integers is None:
            return None, f"{tensor.dtype} is not read"
        plain = torch.empty(0, dtype=integers).set_(
            tensor.untyped_storage(), tensor.storage_offset(), tensor.shape, tensor.stride()
        )
        return plain, "quantised: its stored integers are read"
    if tensor.layout is torch.sparse_coo:
        values = tensor._values()  # as stored: coalescing would add some up
        note = "sparse: its stored values are read"
    elif tensor.layout is not torch.strided:
        if not hasattr(tensor, "values") or tensor.is_mkldnn:
            return None, f"layout {tensor.layout} is not read"
        values, note = tensor.values(), "sparse: its stored values are read"
    else:
        values, note = tensor, ""
    real = values.dtype.to_real() if values.dtype.is_complex else values.dtype
    if not is_readable(real):
        return None, f"{real} is not read"
    if values.dtype.is_complex:
        note = f"{note}, {COMPLEX_NOTE}" if note else COMPLEX_NOTE
    return values, note


def torch_entry(name: str, tensor: Tensor, pages: Pages | None) -> TensorEntry:
    """An entry that reads in the order of the storage: of a mapped file, each page once."""
    axes = tuple(sorted(range(tensor.dim()), key=tensor.stride, reverse=True))
    shape, order, dtype, place = tuple(tensor.shape), axes, tensor.dtype, layout_of(tensor)
    whole = tuple(map(range, shape))
    if dtype.is_complex:
        shape, order, dtype = (*shape, 2), (*axes, len(axes)), dtype.to_real()
        strides = (*(2 * stride for stride in place.stride), 1)
        place = replace(place, stride=strides, offset=2 * place.offset)

    def read(limit: int) -> Iterator[Tensor]:
        return _stored_order(tensor, axes, whole, limit, pages)

    def read_box(limit: int, box: Box) -> Iterator[Tensor]:
        return _stored_order(tensor, axes, box, limit, pages)

    in_rows = order == tuple(range(len(order)))
    return TensorEntry(
        name, origin_of(dtype), shape, read, None if in_rows else order, layout=place,
        read_box=read_box,
    )  # fmt: skip


def _stored_order(
    tensor: Tensor, axes: tuple[int, ...], box: Box, limit: int, pages: Pages | None
) -> Iterator[Tensor]:
    """A part of a tensor in the order of its storage.

    Args:
        tensor: of a complex one, the box may have an axis for real and imaginary parts.
        axes: the tensor's axes, the slowest first.
        box: the part.
        limit: elements of a block, at most.
        pages: given back as they are read.
    """
    part = tensor[tuple(slice(along.start, along.stop) for along in box[: tensor.dim()])]
    if part.numel() == 0:
        return
    # of a view with gaps, fewer elements at a time: what is between them is mapped too
    steps = zip(part.shape, part.stride(), strict=True)
    span = 1 + sum((length - 1) * stride for length, stride in steps)
    gaps = max(span // part.numel(), 1)
    halves = slice(None) if len(box) == tensor.dim() else slice(box[-1].start, box[-1].stop)
    most = max(limit // 2, 1) if tensor.dtype.is_complex else limit
    if gaps > 1:
        most = min(most, max(RELEASE_EVERY // (gaps * tensor.itemsize), 1))
    for block in row_major_blocks(part.permute(axes), most):
        plain = block.resolve_conj().resolve_neg()
        if not tensor.dtype.is_complex:
            yield plain
        elif limit > 1:
            yield torch.view_as_real(plain)[:, halves].reshape(-1)
        else:
            yield from torch.view_as_real(plain)[:, halves].reshape(-1, 1)
        if pages is not None:
            pages.read(block.nbytes * gaps)
