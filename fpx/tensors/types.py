"""The types that tensors have: formats, and whole numbers. One table, which loads no library.

`fpx.tensors.dtypes` says what torch, numpy and ml_dtypes call and hold them in.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from fpx.core.formats import FORMATS
from fpx.core.spec import FormatSpec


@dataclass(frozen=True)
class IntegerType:
    """A type of whole numbers, as an origin of casts; its codes are two's complement.

    Attributes:
        name: what torch and numpy call it.
        bits: of a code.
        signed: whether there are negative ones.
        safetensors, gguf: what those call it, or None; see `FormatSpec`.
    """

    name: str
    bits: int
    signed: bool = True
    safetensors: str | None = None
    gguf: str | None = None


_INTEGERS = (
    IntegerType("int8", 8, safetensors="I8", gguf="I8"),
    IntegerType("int16", 16, safetensors="I16", gguf="I16"),
    IntegerType("int32", 32, safetensors="I32", gguf="I32"),
    IntegerType("int64", 64, safetensors="I64", gguf="I64"),
    IntegerType("uint8", 8, signed=False, safetensors="U8"),
    IntegerType("uint16", 16, signed=False, safetensors="U16"),
    IntegerType("uint32", 32, signed=False, safetensors="U32"),
    IntegerType("uint64", 64, signed=False, safetensors="U64"),
    IntegerType("bool", 1, signed=False, safetensors="BOOL"),
)


INTEGERS: Mapping[str, IntegerType] = MappingProxyType({row.name: row for row in _INTEGERS})
"""Every type of whole numbers that both torch and numpy have, by name."""


Origin = FormatSpec | IntegerType
"""What casts begin with."""


ROWS: tuple[Origin, ...] = (*FORMATS.values(), *_INTEGERS)
"""Every type that a tensor can have."""


_BY_NAME: Mapping[str, Mapping[str | None, Origin]] = MappingProxyType(
    {
        "safetensors": {row.safetensors: row for row in ROWS},
        "gguf": {row.gguf: row for row in ROWS},
        "numpy": {row.name if isinstance(row, IntegerType) else row.numpy: row for row in ROWS},
        "torch": {row.name if isinstance(row, IntegerType) else row.torch: row for row in ROWS},
    }
)


def type_named(column: str, name: str) -> Origin | None:
    """The format or integer type that a file kind calls so; None if it is no plain number.

    Args:
        column: `safetensors`, `gguf`, `numpy` or `torch`.
        name: such as `F8_E4M3`.
    """
    return _BY_NAME[column].get(name)


def itemsize(type_: Origin) -> int | None:
    """Bytes of an element; None where elements share bytes, and so are not read one by one."""
    if isinstance(type_, IntegerType):
        return -(-type_.bits // 8)
    return type_.bits // 8 if type_.bits % 8 == 0 else None
