"""What formats and integers are called and held in by torch, numpy and ml_dtypes.

One table: the columns of FORMATS and of INTEGERS. Everything here is looked up in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Any

import ml_dtypes
import numpy as np
import torch
from torch import Tensor

from fpx.core.spec import FormatSpec
from fpx.errors import InputError, UnavailableError
from fpx.tensors.types import INTEGERS, ROWS, IntegerType, Origin

__all__ = ["INTEGERS", "IntegerType", "Origin"]  # this table's rows; the rest is defined here

# -- containers of codes ---------------------------------------------------------------------------


_CONTAINERS = {8: torch.uint8, 16: torch.int16, 32: torch.int32, 64: torch.int64}


@lru_cache(maxsize=256)  # a checkpoint of many tensors asks the same of each
def container(type_: Origin) -> torch.dtype:
    """The integer dtype that holds a code: the narrowest of whole bytes that is wide enough.

    Of 8 bits it is uint8 (int8 for int8), of more a signed one, since torch computes with few
    others: the code 0xffff of an uint16 or a bfloat16 is -1 there.

    Raises:
        InputError: a format of more than 64 bits.
    """
    if type_ == INTEGERS["int8"]:
        return torch.int8
    for bits, dtype in _CONTAINERS.items():
        if type_.bits <= bits:
            return dtype
    raise InputError(f"{type_.name} has {type_.bits} bits: tensors hold codes of up to 64")


def codes_of(x: Tensor) -> Tensor:
    """The codes of a tensor's elements in the `container` of their type, of the same memory.

    Raises:
        InputError: they are of no format and no integer type.
    """
    return x.view(container(origin_of(x.dtype)))


def bytes_of(x: Tensor) -> np.ndarray[Any, Any]:
    """The bytes of a 1-D tensor's elements as uint8, one element after the other.

    Of the same memory, if it has no gaps.
    """
    return np.ascontiguousarray(codes_of(x).numpy()).view(np.uint8)


def wrapped(code: int, dtype: torch.dtype) -> int:
    """A code as the number that its container takes it for."""
    if dtype is torch.uint8:
        return code
    bits = 8 * dtype.itemsize
    return code - (1 << bits) if code >> (bits - 1) else code


# -- torch -----------------------------------------------------------------------------------------


@lru_cache(maxsize=256)
def torch_dtype(type_: Origin) -> torch.dtype:
    """The torch dtype of a format or integer type.

    Raises:
        UnavailableError: this torch has none.
    """
    name = type_.name if isinstance(type_, IntegerType) else type_.torch
    dtype = getattr(torch, name or "", None)
    if not isinstance(dtype, torch.dtype):
        raise UnavailableError(f"torch {torch.__version__} has no dtype for {type_.name}")
    return dtype


@lru_cache(maxsize=256)
def cast_dtype(type_: Origin) -> torch.dtype:
    """The torch dtype of a format that torch casts to and from, or of an integer type.

    Raises:
        UnavailableError: this torch has none, or only to store pairs in (float4_e2m1fn_x2).
    """
    dtype = torch_dtype(type_)
    if isinstance(type_, FormatSpec) and type_.bits < 8:
        raise UnavailableError(
            f"torch {torch.__version__} only stores {type_.name}: it has no casts of it"
        )
    return dtype


def widened_dtype(spec: FormatSpec) -> torch.dtype | None:
    """The torch dtype of a format that torch casts to others; None where it has none."""
    try:
        return cast_dtype(spec)
    except UnavailableError:
        return None


def _by_dtype() -> dict[torch.dtype, Origin]:
    found: dict[torch.dtype, Origin] = {}
    for row in ROWS:
        try:
            found[torch_dtype(row)] = row
        except UnavailableError:
            continue  # a torch that is older than the row
    return found


_BY_DTYPE: Mapping[torch.dtype, Origin] = MappingProxyType(_by_dtype())


def spec_of(dtype: torch.dtype) -> FormatSpec | None:
    """The format of a torch dtype; None for integers and what FORMATS lacks."""
    found = _BY_DTYPE.get(dtype)
    return found if isinstance(found, FormatSpec) else None


def origin_of(dtype: torch.dtype) -> Origin:
    """The format or integer type of a torch dtype.

    Raises:
        InputError: neither.
    """
    origin = _BY_DTYPE.get(dtype)
    if origin is None:
        raise InputError(f"fpx has no format for {dtype}")
    return origin


def is_readable(dtype: torch.dtype) -> bool:
    """Whether numbers of this real dtype can be read; torch has some only to store (int4)."""
    found = _BY_DTYPE.get(dtype)
    return found is not None and (isinstance(found, IntegerType) or found.bits >= 8)


def dtype_name(dtype: torch.dtype) -> str:
    """The format or integer type of a torch dtype, or torch's own name of it."""
    found = _BY_DTYPE.get(dtype)
    return str(dtype).removeprefix("torch.") if found is None else found.name


# -- numpy and ml_dtypes ---------------------------------------------------------------------------


def array_dtype(type_: Origin) -> np.dtype[Any] | None:
    """The numpy dtype of a format (ml_dtypes has many) or integer type; None if there is none."""
    if isinstance(type_, IntegerType):
        return np.dtype(type_.name)
    if type_.numpy is not None:
        return np.dtype(type_.numpy)
    kind = getattr(ml_dtypes, type_.ml_dtypes or "", None)
    return None if kind is None else np.dtype(kind)


_BY_ARRAY_DTYPE: Mapping[np.dtype[Any], Origin] = MappingProxyType(
    {dtype: row for row in ROWS if (dtype := array_dtype(row)) is not None}
)


def array_origin(dtype: np.dtype[Any]) -> Origin | None:
    """The format or integer type of a numpy or ml_dtypes dtype of any byte order; None if none."""
    return _BY_ARRAY_DTYPE.get(dtype.newbyteorder("="))


def tensor_dtype(dtype: np.dtype[Any]) -> torch.dtype | None:
    """The torch dtype with the numbers and codes of a numpy or ml_dtypes one; None if none."""
    origin = array_origin(dtype)
    if origin is None:
        return None
    try:
        return cast_dtype(origin)
    except UnavailableError:
        return None
