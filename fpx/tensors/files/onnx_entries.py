"""ONNX's data types, and tensors of them. Loads no library to list them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from fpx.core.elements import element_value
from fpx.core.formats import FORMATS
from fpx.core.packing import Packing
from fpx.core.spec import FormatSpec
from fpx.tensors.entry import TensorEntry
from fpx.tensors.files.headers import ends_early
from fpx.tensors.files.plain import plain_entry
from fpx.tensors.quantised.model import Evidence, Followed, Part, Quantised
from fpx.tensors.types import INTEGERS, Origin

if TYPE_CHECKING:
    from torch import Tensor

    from fpx.tensors.files.onnx_values import Pieces
    from fpx.tensors.files.raw import Bytes


@dataclass(frozen=True)
class OnnxType:
    """A data type of ONNX.

    Attributes:
        name: what ONNX calls it.
        type: of its numbers; of whole numbers of less than 8 bits that of 8.
        bits: width of a code where codes lie without gaps; of a bool 8.
        parts: numbers of an element: 2 of a complex one.
    """

    name: str
    type: Origin
    bits: int
    parts: int = 1


def _row(name: str, ours: str, bits: int = 0, parts: int = 1) -> OnnxType:
    type_ = FORMATS[ours] if ours in FORMATS else INTEGERS[ours]
    return OnnxType(name, type_, bits or max(type_.bits, 8), parts)


ONNX_TYPES: Mapping[int, OnnxType] = MappingProxyType(
    {
        1: _row("FLOAT", "float32"), 2: _row("UINT8", "uint8"), 3: _row("INT8", "int8"),
        4: _row("UINT16", "uint16"), 5: _row("INT16", "int16"), 6: _row("INT32", "int32"),
        7: _row("INT64", "int64"), 9: _row("BOOL", "bool"), 10: _row("FLOAT16", "float16"),
        11: _row("DOUBLE", "float64"), 12: _row("UINT32", "uint32"), 13: _row("UINT64", "uint64"),
        14: _row("COMPLEX64", "float32", parts=2), 15: _row("COMPLEX128", "float64", parts=2),
        16: _row("BFLOAT16", "bfloat16"), 17: _row("FLOAT8E4M3FN", "float8_e4m3fn"),
        18: _row("FLOAT8E4M3FNUZ", "float8_e4m3fnuz"), 19: _row("FLOAT8E5M2", "float8_e5m2"),
        20: _row("FLOAT8E5M2FNUZ", "float8_e5m2fnuz"), 21: _row("UINT4", "uint8", 4),
        22: _row("INT4", "int8", 4), 23: _row("FLOAT4E2M1", "float4_e2m1fn", 4),
        24: _row("FLOAT8E8M0", "float8_e8m0fnu"), 25: _row("UINT2", "uint8", 2),
        26: _row("INT2", "int8", 2), 27: _row("FLOAT6E2M3", "float6_e2m3fn", 6),
        28: _row("FLOAT6E3M2", "float6_e3m2fn", 6),
    }
)  # fmt: skip
"""Every type of numbers by its `TensorProto.DataType`."""


@dataclass(frozen=True)
class Data:
    """Where the elements of a tensor are.

    Attributes:
        path: the file.
        parts: (first byte, the byte behind the last) of each piece there.
        varying: whether they are numbers of varying length (`int32_data` and the like).
    """

    path: Path
    parts: tuple[tuple[int, int], ...]
    varying: bool = False


def onnx_entry(name: str, type_: OnnxType, shape: tuple[int, ...], data: Data) -> TensorEntry:
    """A tensor whose bytes are known to be there.

    Formats of less than 8 bits are read as float64, which has all their numbers; their `quantised`
    says how they are stored.
    """
    count, path, parts = prod(shape), data.path, data.parts
    few = type_.bits < 8
    whole = len(parts) == 1 and not data.varying
    if not few and (whole or not count):
        return plain_entry(path, parts[0][0] if parts else 0, name, type_.type, shape)

    def read(limit: int) -> Iterator[Tensor]:
        from fpx.tensors.files.onnx_values import Pieces

        with Pieces(path, parts) as stream:
            if few:
                yield from _few(stream, type_, count, limit, data)
            else:
                yield from _others(stream, type_, count, limit, data)

    if not few or not isinstance(type_.type, FormatSpec):
        return TensorEntry(name, type_.type, shape, read)
    nbytes = -(-count * type_.bits // 8)
    quantised = Quantised(
        layout=f"ONNX {type_.name}",
        format=None,
        element=type_.type.name,
        stored=name,
        stored_type=type_.name,
        stored_shape=(nbytes,),
        packing=Packing.LOW_FIRST,
        reach=None,
        scales=(),
        evidence=Evidence.METADATA,
        recognised_by=f"ONNX data type {type_.name}",
        follow=_follower(name, type_, shape, path, parts[0][0]) if whole else None,
        stored_bytes=nbytes,
    )
    return TensorEntry(name, FORMATS["float64"], shape, read, quantised=quantised)


def _few(stream: Pieces, type_: OnnxType, count: int, limit: int, data: Data) -> Iterator[Tensor]:
    """Elements of less than 8 bits, as `TensorEntry.read`."""
    import numpy as np
    import torch

    from fpx.core.elements import element_values
    from fpx.tensors.files.onnx_values import packed, unpacked, varying

    bits, name = type_.bits, str(data.path)
    table = None
    if isinstance(type_.type, FormatSpec):
        table = np.array([
            float(value) if value else -0.0 if code >> bits - 1 else 0.0
            for code, value in enumerate(element_values(type_.type))
        ])  # fmt: skip

    def codes() -> Iterator[Bytes]:
        if not data.varying:
            yield from packed(stream, count, bits, limit, name)
            return
        if bits == 6:  # one in each number
            for found in varying(stream, count, limit, name):
                yield (found & np.uint64(63)).astype(np.uint8)
            return
        left, each = count, 8 // bits
        for found in varying(stream, -(-count // each), max(limit // each, 1), name):
            some = unpacked(found.astype(np.uint8), bits)[:left]
            left -= len(some)
            for start in range(0, len(some), limit):
                yield some[start : start + limit]

    for some in codes():
        if table is not None:
            yield torch.from_numpy(table[some])
        elif type_.name.startswith("INT"):
            shift = np.uint8(8 - bits)  # the sign is the highest bit
            yield torch.from_numpy((some << shift).view(np.int8) >> shift.view(np.int8))
        else:
            yield torch.from_numpy(some)


def _others(
    stream: Pieces, type_: OnnxType, count: int, limit: int, data: Data
) -> Iterator[Tensor]:
    """Elements of whole bytes, of varying length or in several pieces, as `TensorEntry.read`."""
    import torch

    from fpx.tensors.dtypes import torch_dtype
    from fpx.tensors.files.onnx_values import varying
    from fpx.tensors.files.raw import raw_blocks

    dtype = torch_dtype(type_.type)
    if not data.varying:
        for raw in raw_blocks(stream, count, dtype.itemsize, limit, str(data.path)):
            yield torch.from_numpy(raw).view(dtype)
        return
    for found in varying(stream, count, limit, str(data.path)):
        codes = found.astype(f"<u{dtype.itemsize}").view("u1")  # the low bits, as they are
        yield torch.from_numpy(codes).view(dtype)


def _follower(
    name: str, type_: OnnxType, shape: tuple[int, ...], path: Path, at: int
) -> Callable[[tuple[int, ...]], Followed]:
    spec, bits = type_.type, type_.bits
    assert isinstance(spec, FormatSpec)

    def follow(index: tuple[int, ...]) -> Followed:
        position = 0
        for place, length in zip(index, shape, strict=True):
            position = position * length + place
        byte, shift = divmod(position * bits, 8)
        with path.open("rb") as file:
            file.seek(at + byte)
            stored = file.read(1 + (shift + bits > 8))
        if len(stored) * 8 < shift + bits:
            raise ends_early(str(path))
        code = int.from_bytes(stored, "little") >> shift & (1 << bits) - 1
        value = element_value(code, spec)
        part = Part("element", name, (byte,), spec.name, code, bits, value, stored[0])
        return Followed((part,), "element", value)

    return follow
