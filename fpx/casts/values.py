"""Codes of a format to the numbers that they stand for, exactly."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

from fpx.casts.rounding import round_codes
from fpx.core.formats import FORMATS
from fpx.core.spec import FormatSpec
from fpx.errors import InputError
from fpx.tensors.dtypes import container, widened_dtype, wrapped

_TABLE_BITS = 16  # formats of so few bits are looked up in a table of all their codes


def values(codes: Tensor, spec: FormatSpec, dtype: torch.dtype = torch.float64) -> Tensor:
    """The numbers that codes stand for.

    Args:
        codes: of any shape, in the format's `container`.
        spec: the format.
        dtype: float32 or float64, of the result; exact where it has all values of the format.

    Returns:
        As many numbers, on the same device.

    Raises:
        InputError: float64 lacks values of the format.
    """
    held = widened_dtype(spec)
    if held is not None:  # torch widens it, and widening is exact
        return codes.view(held).to(dtype)
    if not FORMATS["float64"].holds(spec):
        raise InputError(f"{spec.name} has values that float64 lacks, in which errors are measured")
    if spec.bits <= _TABLE_BITS:
        table = _table(spec, codes.device)
        return table[codes.to(torch.int64) & ((1 << spec.bits) - 1)].to(dtype)
    return _computed(codes, spec).to(dtype)


def numbers(codes: Tensor, spec: FormatSpec) -> Tensor:
    """The same: as torch has the format, which is a view, else in float64."""
    held = widened_dtype(spec)
    return codes.view(held) if held is not None else values(codes, spec)


def _computed(codes: Tensor, spec: FormatSpec) -> Tensor:
    flat = round_codes(codes.reshape(-1), spec, FORMATS["float64"])
    return flat.view(torch.float64).reshape(codes.shape)


@lru_cache(maxsize=32)
def _table(spec: FormatSpec, device: torch.device) -> Tensor:
    """The value of every code of a format."""
    dtype = container(spec)
    codes = [wrapped(code, dtype) for code in range(1 << spec.bits)]
    return _computed(torch.tensor(codes, dtype=dtype, device=device), spec)
