"""What torch dtypes, formats, integer containers and library types have to do with each other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import ml_dtypes
import numpy as np
import torch

from fpx.core.formats import FORMATS
from fpx.core.spec import FormatSpec
from fpx.errors import InputError, UnavailableError


def torch_dtype(spec: FormatSpec) -> torch.dtype:
    """The torch dtype of a format.

    Raises:
        UnavailableError: this torch has none.
    """
    dtype = None if spec.torch is None else getattr(torch, spec.torch, None)
    if not isinstance(dtype, torch.dtype):
        raise UnavailableError(f"torch {torch.__version__} has no dtype for {spec.name}")
    return dtype


def cast_dtype(type_: Origin) -> torch.dtype:
    """The torch dtype of a format that torch casts to and from, or of an integer type.

    Raises:
        UnavailableError: this torch has none, or only to store pairs in (float4_e2m1fn_x2).
    """
    if isinstance(type_, IntegerType):
        dtype: torch.dtype = getattr(torch, type_.name)
        return dtype
    dtype = torch_dtype(type_)
    if type_.bits < 8:
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


def spec_of(dtype: torch.dtype) -> FormatSpec | None:
    """The format of a torch dtype; None for integers and what FORMATS lacks."""
    name = str(dtype).removeprefix("torch.")
    return next((spec for spec in FORMATS.values() if spec.torch == name), None)


_WHOLE_NUMBERS = frozenset(
    getattr(torch, name, None)
    for name in ["bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"]
)


def is_compared(dtype: torch.dtype) -> bool:
    """Whether numbers of this real dtype can be read; torch has some only to store (int4)."""
    spec = spec_of(dtype)
    return dtype in _WHOLE_NUMBERS if spec is None else spec.bits >= 8


_ML_DTYPES = {
    np.dtype(getattr(ml_dtypes, name)): name
    for name in ("bfloat16", "float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz")
}


def origin_of(dtype: torch.dtype) -> Origin:
    """The format or integer type of a torch dtype.

    Raises:
        InputError: neither.
    """
    origin = spec_of(dtype) or INTEGERS.get(str(dtype).removeprefix("torch."))
    if origin is None:
        raise InputError(f"fpx has no format for {dtype}")
    return origin


def dtype_name(dtype: torch.dtype) -> str:
    """The format of a torch dtype, or torch's own name of it."""
    spec = spec_of(dtype)
    return spec.name if spec is not None else str(dtype).removeprefix("torch.")


@dataclass(frozen=True)
class IntegerType:
    """A type of integers, as an origin of casts; its codes are two's complement."""

    name: str
    bits: int
    signed: bool = True


INTEGERS: Mapping[str, IntegerType] = MappingProxyType(
    {
        row.name: row
        for row in (
            IntegerType("int8", 8),
            IntegerType("uint8", 8, signed=False),
            IntegerType("int16", 16),
            IntegerType("int32", 32),
            IntegerType("int64", 64),
            IntegerType("uint16", 16, signed=False),
            IntegerType("uint32", 32, signed=False),
            IntegerType("uint64", 64, signed=False),
            IntegerType("bool", 8, signed=False),
        )
    }
)
"""Integer origins by name: those that torch and numpy both have."""


Origin = FormatSpec | IntegerType
"""What casts begin with."""


_CONTAINERS = {8: torch.uint8, 16: torch.int16, 32: torch.int32, 64: torch.int64}


def container(type_: Origin) -> torch.dtype:
    """The integer dtype that holds a code: the narrowest of whole bytes that is wide enough.

    Raises:
        InputError: a format of more than 64 bits.
    """
    if isinstance(type_, IntegerType):
        return torch.int8 if type_.name == "int8" else _CONTAINERS[type_.bits]
    for bits, dtype in _CONTAINERS.items():
        if type_.bits <= bits:
            return dtype
    raise InputError(f"{type_.name} has {type_.bits} bits: tensors hold codes of up to 64")


def wrapped(code: int, dtype: torch.dtype) -> int:
    """A code as the number that its container takes it for."""
    if dtype is torch.uint8:
        return code
    bits = 8 * dtype.itemsize
    return code - (1 << bits) if code >> (bits - 1) else code
