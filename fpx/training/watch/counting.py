"""The magnitudes of a tensor counted between edges, on its device and without waiting for it."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

from fpx.core.codec import is_nan
from fpx.core.spec import FormatSpec
from fpx.tensors.dtypes import container, spec_of, wrapped
from fpx.training.watch.edges import Edges

_BLOCK = 1 << 22
"""Elements that are counted at a time, which bounds the memory that it takes beside the tensor."""

_TABLE_BITS = 16  # formats of so few bits have a table of the bucket of each code


def countable(dtype: torch.dtype) -> FormatSpec | None:
    """The format of a dtype whose magnitudes can be counted; None where they can't."""
    spec = spec_of(dtype)
    return spec if spec is not None and spec.signed and spec.zero and spec.bits >= 8 else None


class Counter:
    """Counts magnitudes between edges, for tensors on one device.

    Args:
        edges: what is told apart.
        device: of the tensors.
    """

    def __init__(self, edges: Edges, device: torch.device) -> None:
        spec = edges.source
        self._edges, self._spec = edges, spec
        self._dtype = container(spec)
        self._mask = wrapped(spec.magnitude_mask, self._dtype)
        self._one = torch.ones((), dtype=torch.int64, device=device)
        at = torch.tensor(edges.codes, dtype=torch.int64, device="cpu")
        self._table: Tensor | None = None
        if spec.bits <= _TABLE_BITS:
            codes = range(1 << spec.bits)
            magnitudes = torch.tensor([code & spec.magnitude_mask for code in codes], device="cpu")
            table = torch.bucketize(magnitudes, at, out_int32=True, right=True)
            table[[code for code in codes if is_nan(code, spec)]] = edges.nan
            self._table = table.to(device)
        else:
            self._at = at.to(device=device, dtype=self._dtype)

    def count(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The magnitudes between the edges, and the largest finite one.

        Args:
            x: a dense tensor of the format, of any shape, detached.

        Returns:
            int64 tensors on its device: a count for each bucket, and a magnitude (its code without
            the sign; 0 of an empty tensor).
        """
        counts = torch.zeros(self._edges.size, dtype=torch.int64, device=x.device)
        largest = torch.zeros((), dtype=torch.int64, device=x.device)
        flat = x.reshape(-1)
        for start in range(0, flat.numel(), _BLOCK):
            codes = flat[start : start + _BLOCK].view(self._dtype)
            magnitudes = codes & self._mask
            if self._table is not None:
                index = codes.to(torch.int32) & ((1 << self._spec.bits) - 1)
                buckets = self._table.index_select(0, index)
            else:
                buckets = torch.bucketize(magnitudes, self._at, out_int32=True, right=True)
            counts.index_add_(0, buckets, self._one.expand(buckets.numel()))
            magnitudes.masked_fill_(buckets >= self._edges.infinite, 0)
            largest = torch.maximum(largest, magnitudes.max().to(torch.int64))
        return counts, largest


@lru_cache(maxsize=256)
def counter_of(
    spec: FormatSpec, targets: tuple[FormatSpec, ...], device: torch.device
) -> tuple[Edges, Counter]:
    """The edges of a format for some targets, and who counts between them on a device."""
    edges = Edges.of(spec, targets)
    return edges, Counter(edges, device)
