"""GGUF's blocks as the numbers that they mean: whole blocks of bytes to float64.

All products and sums are exact in float64: of a float16 scale (11 bits), a scale of scales (8), an
element (8) and a minimum likewise, which lie within 2^-24 to 2^27. The types whose tables are the
library's are decoded by it, to float32, which holds their products of 22 bits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, TypeAlias

import numpy as np

from fpx.core.elements import element_values
from fpx.core.formats import FORMATS
from fpx.tensors.files.gguf_types import IQ4_NL, BlockType, mxfp4_scale, nvfp4_scale
from fpx.tensors.files.raw import Bytes

Codes: TypeAlias = "np.ndarray[Any, np.dtype[Any]]"
Doubles: TypeAlias = "np.ndarray[Any, np.dtype[np.float64]]"

_AT_ONCE = 1 << 15  # elements, so that what lies between bytes and numbers stays in the cache


def decoded(raw: Bytes, type_: BlockType) -> Doubles:
    """The numbers of whole blocks.

    Args:
        raw: the bytes of n blocks, 1-D.
        type_: what they are of.

    Returns:
        float64 of shape [n, elements of a block].
    """
    blocks = raw.reshape(-1, type_.nbytes)
    found = np.empty((len(blocks), type_.elements))
    decode = _library(type_) if type_.by_library else _DECODERS[type_.name]
    step = max(_AT_ONCE // type_.elements, 1)
    with np.errstate(invalid="ignore", over="ignore"):  # of scales that are NaN or infinite
        for start in range(0, len(blocks), step):
            decode(blocks[start : start + step], found[start : start + step])
    return found


_Decode = Callable[[Bytes, Doubles], None]


def _library(type_: BlockType) -> _Decode:
    from gguf import GGMLQuantizationType
    from gguf.quants import dequantize

    kind = GGMLQuantizationType(type_.code)

    def decode(raw: Bytes, out: Doubles) -> None:
        out[:] = dequantize(raw, kind)

    return decode


# -- bytes -----------------------------------------------------------------------------------------


def _float16(raw: Bytes, at: int) -> Doubles:
    """A float16 of each block: [n, 1]."""
    return raw[:, at : at + 2].copy().view("<f2").astype(np.float64)


def _bits(packed: Bytes, width: int, run: int) -> Bytes:
    """Codes of `width` bits: of each run of bytes first those in the lowest bits of all of them."""
    shifts = np.arange(0, 8, width, dtype=np.uint8)[:, None]
    codes = packed.reshape(len(packed), -1, 1, run) >> shifts & np.uint8((1 << width) - 1)
    return codes.reshape(len(packed), -1)


def _put(out: Doubles, codes: Codes, scale: Doubles, minus: Doubles | None = None) -> None:
    """out = codes x scale - minus, where each block has one or several scales: [n, scales]."""
    parts = out.reshape(len(out), scale.shape[1], -1)
    np.multiply(codes.reshape(parts.shape), scale[:, :, None], out=parts)
    if minus is not None:
        parts -= minus[:, :, None]


# -- types -----------------------------------------------------------------------------------------


def _q4_0(raw: Bytes, out: Doubles) -> None:
    _put(out, _bits(raw[:, 2:], 4, 16).view(np.int8) - np.int8(8), _float16(raw, 0))


def _q4_1(raw: Bytes, out: Doubles) -> None:
    _put(out, _bits(raw[:, 4:], 4, 16), _float16(raw, 0), -_float16(raw, 2))


def _q5_0(raw: Bytes, out: Doubles) -> None:
    codes = _bits(raw[:, 6:], 4, 16) | _bits(raw[:, 2:6], 1, 1) << 4
    _put(out, codes.view(np.int8) - np.int8(16), _float16(raw, 0))


def _q5_1(raw: Bytes, out: Doubles) -> None:
    codes = _bits(raw[:, 8:], 4, 16) | _bits(raw[:, 4:8], 1, 1) << 4
    _put(out, codes, _float16(raw, 0), -_float16(raw, 2))


def _q8_0(raw: Bytes, out: Doubles) -> None:
    _put(out, raw[:, 2:].view(np.int8), _float16(raw, 0))


def _q2_k(raw: Bytes, out: Doubles) -> None:
    scales, minima = raw[:, :16] & 15, raw[:, :16] >> 4
    _put(out, _bits(raw[:, 16:80], 2, 32), scales * _float16(raw, 80), minima * _float16(raw, 82))


def _q3_k(raw: Bytes, out: Doubles) -> None:
    low, high = _bits(raw[:, 96:104], 4, 8), _bits(raw[:, 104:108], 2, 4)
    scales = (low | high << 4).view(np.int8) - np.int8(32)
    codes = _bits(raw[:, 32:96], 2, 32) | _bits(raw[:, :32], 1, 32) << 2
    _put(out, codes.view(np.int8) - np.int8(4), scales * _float16(raw, 108))


def _six_bits(raw: Bytes) -> tuple[Bytes, Bytes]:
    """The scales and minima of Q4_K and Q5_K, eight of each: [n, 8]."""
    first, second, rest = raw[:, :4], raw[:, 4:8], raw[:, 8:12]
    scales = np.concatenate((first & 63, rest & 15 | first >> 6 << 4), axis=1)
    return scales, np.concatenate((second & 63, rest >> 4 | second >> 6 << 4), axis=1)


def _q4_k(raw: Bytes, out: Doubles) -> None:
    scales, minima = _six_bits(raw[:, 4:16])
    codes = _bits(raw[:, 16:], 4, 32)
    _put(out, codes, scales * _float16(raw, 0), minima * _float16(raw, 2))


def _q5_k(raw: Bytes, out: Doubles) -> None:
    scales, minima = _six_bits(raw[:, 4:16])
    codes = _bits(raw[:, 48:], 4, 32) | _bits(raw[:, 16:48], 1, 32) << 4
    _put(out, codes, scales * _float16(raw, 0), minima * _float16(raw, 2))


def _q6_k(raw: Bytes, out: Doubles) -> None:
    codes = _bits(raw[:, :128], 4, 64) | _bits(raw[:, 128:192], 2, 32) << 4
    scales = raw[:, 192:208].view(np.int8) * _float16(raw, 208)
    _put(out, codes.view(np.int8) - np.int8(32), scales)


def _iq4_nl(raw: Bytes, out: Doubles) -> None:
    _put(out, _IQ4_NL[_bits(raw[:, 2:], 4, 16)], _float16(raw, 0))


def _iq4_xs(raw: Bytes, out: Doubles) -> None:
    scales = (_bits(raw[:, 4:8], 4, 1) | _bits(raw[:, 2:4], 2, 1) << 4).view(np.int8) - np.int8(32)
    _put(out, _IQ4_NL[_bits(raw[:, 8:], 4, 16)], scales * _float16(raw, 0))


def _tq1_0(raw: Bytes, out: Doubles) -> None:
    """Five digits of base 3 in a byte, as a fraction of 256: each comes up on top in turn."""
    powers = np.array((1, 3, 9, 27, 81), dtype=np.uint8)[:, None]
    parts = [
        (raw[:, first:last].reshape(len(raw), 1, -1) * powers[:digits]).reshape(len(raw), -1)
        for first, last, digits in ((0, 32, 5), (32, 48, 5), (48, 52, 4))
    ]
    digits = np.concatenate(parts, axis=1).astype(np.uint16) * 3 >> 8
    _put(out, digits.astype(np.int8) - np.int8(1), _float16(raw, 52))


def _tq2_0(raw: Bytes, out: Doubles) -> None:
    _put(out, _bits(raw[:, :64], 2, 32).view(np.int8) - np.int8(1), _float16(raw, 64))


def _mxfp4(raw: Bytes, out: Doubles) -> None:
    _put(out, _E2M1[_bits(raw[:, 1:], 4, 16)], _MXFP4[raw[:, :1]])


def _nvfp4(raw: Bytes, out: Doubles) -> None:
    _put(out, _E2M1[_bits(raw[:, 4:], 4, 8)], _NVFP4[raw[:, :4]])


def _q1_0(raw: Bytes, out: Doubles) -> None:
    signs = _bits(raw[:, 2:], 1, 1).view(np.int8) * np.int8(2) - np.int8(1)
    _put(out, signs, _float16(raw, 0))


_IQ4_NL = np.array(IQ4_NL, dtype=np.int8)
_E2M1 = np.array([float(value or 0) for value in element_values(FORMATS["float4_e2m1fn"])])
_MXFP4 = np.array([float(mxfp4_scale(code)) for code in range(256)])
_NVFP4 = np.array([float(nvfp4_scale(code)) for code in range(256)])

_DECODERS: Mapping[str, _Decode] = MappingProxyType(
    {
        "Q4_0": _q4_0, "Q4_1": _q4_1, "Q5_0": _q5_0, "Q5_1": _q5_1, "Q8_0": _q8_0, "Q2_K": _q2_k,
        "Q3_K": _q3_k, "Q4_K": _q4_k, "Q5_K": _q5_k, "Q6_K": _q6_k, "IQ4_NL": _iq4_nl,
        "IQ4_XS": _iq4_xs, "TQ1_0": _tq1_0, "TQ2_0": _tq2_0, "MXFP4": _mxfp4, "NVFP4": _nvfp4,
        "Q1_0": _q1_0,
    }
)  # fmt: skip
