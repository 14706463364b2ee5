"""Checkpoints of quantised weights as their writers lay them out, with the numbers that they mean.

Everything is made from codes with fractions and plain loops, apart from how fpx reads them.
"""

from __future__ import annotations

import json
import random
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cache
from itertools import product
from math import prod
from pathlib import Path
from typing import Any

from fpx.core.codec import decode, round_exact
from fpx.core.elements import CODEBOOKS, Element, element_value
from fpx.core.formats import FORMATS
from fpx.core.spec import FormatSpec

FP4, E4M3, E8M0, F32 = (
    FORMATS[name] for name in ("float4_e2m1fn", "float8_e4m3fn", "float8_e8m0fnu", "float32")
)


@dataclass(frozen=True)
class Raw:
    """A tensor of a safetensors file: its dtype there, its shape and its bytes."""

    dtype: str
    shape: tuple[int, ...]
    data: bytes


Tensors = dict[str, Raw]


@dataclass(frozen=True)
class Made:
    """A checkpoint's tensors, and what the weights in it are.

    Attributes:
        tensors: as they are stored.
        name: of the weight.
        shape: of its numbers.
        values: they, in row-major order; None is a NaN.
        metadata, config: of the file, and of config.json beside it.
    """

    tensors: Tensors
    name: str
    shape: tuple[int, ...]
    values: list[Fraction | None]
    metadata: Mapping[str, str] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)

    def write(self, folder: Path, name: str = "model.safetensors") -> Path:
        """The file, with its config.json if it has one."""
        if self.config:
            (folder / "config.json").write_text(json.dumps(self.config))
        path = folder / name
        path.write_bytes(safetensors_of(self.tensors, self.metadata))
        return path

    def without(self, *names: str) -> Made:
        """It without some tensors."""
        kept = {name: raw for name, raw in self.tensors.items() if name not in names}
        return replace(self, tensors=kept)

    def with_(self, name: str, raw: Raw) -> Made:
        """It with one tensor more, or another one."""
        return replace(self, tensors={**self.tensors, name: raw})

    def with_config(self, **said: Any) -> Made:
        """It with a quantization_config."""
        return replace(self, config={"quantization_config": said})


def safetensors_of(tensors: Mapping[str, Raw], metadata: Mapping[str, str] | None = None) -> bytes:
    header: dict[str, Any] = {"__metadata__": dict(metadata)} if metadata else {}
    data = b""
    for name, raw in tensors.items():
        header[name] = {
            "dtype": raw.dtype, "shape": list(raw.shape),
            "data_offsets": [len(data), len(data) + len(raw.data)],
        }  # fmt: skip
        data += raw.data
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


# -- codes -----------------------------------------------------------------------------------------


def codes_of(count: int, bits: int, seed: int = 0) -> list[int]:
    """Codes of which every one comes, if there are enough."""
    found = [code % (1 << bits) for code in range(count)]
    random.Random(seed).shuffle(found)
    return found


def value_of(code: int, spec: FormatSpec) -> Fraction | None:
    found = decode(code, spec)
    return None if found is None else found.fraction


def float32(value: Fraction | float) -> Fraction:
    """The nearest float32."""
    found = value_of(_float32_code(Fraction(value)), F32)
    assert found is not None
    return found


def _float32_code(value: Fraction) -> int:
    numerator, denominator = abs(value).as_integer_ratio()
    return round_exact(numerator, denominator, F32, negative=value < 0).code


def floats(values: Sequence[Fraction | float], shape: tuple[int, ...]) -> Raw:
    data = b"".join(struct.pack("<I", _float32_code(Fraction(each))) for each in values)
    assert len(values) == prod(shape)
    return Raw("F32", shape, data)


def packed(codes: Sequence[int], bits: int, high_first: bool = False) -> bytes:
    """Codes without gaps, by shifting one big number."""
    if high_first:
        assert bits == 4
        return bytes(a << 4 | b for a, b in zip(codes[::2], codes[1::2], strict=True))
    number = 0
    for place, code in enumerate(codes):
        number |= code << bits * place
    return number.to_bytes(len(codes) * bits // 8, "little")


def tiled(codes: Sequence[int], rows: int, columns: int) -> tuple[bytes, int, int]:
    """Scales in cuBLAS's tiles of 128 x 4, and the rows and columns that these have."""
    high, wide = -(-rows // 128) * 128, -(-columns // 4) * 4
    found = bytearray(high * wide)
    for row in range(rows):
        for column in range(columns):
            tile = (row // 128) * (wide // 4) + column // 4
            place = tile * 512 + (row % 32) * 16 + (row % 128) // 32 * 4 + column % 4
            found[place] = codes[row * columns + column]
    return bytes(found), high, wide


def numbers(
    codes: Sequence[int],
    element: Element,
    shape: tuple[int, ...],
    block: tuple[int, ...],
    scales: Sequence[Fraction | None],
    factor: Fraction = Fraction(1),
) -> list[Fraction | None]:
    """element x scale x factor of each code, the scale of the block that the element is in."""
    grid = [-(-length // each) for length, each in zip(shape, block, strict=True)]
    assert len(scales) == prod(grid)
    assert len(codes) == prod(shape)

    @cache  # blocks are large, and codes are few
    def number(code: int, flat: int) -> Fraction | None:
        value, scale = element_value(code, element), scales[flat]
        return None if value is None or scale is None else value * scale * factor

    found: list[Fraction | None] = []
    for code, index in zip(codes, product(*map(range, shape)), strict=True):
        flat = 0
        for at, each, length in zip(index, block, grid, strict=True):
            flat = flat * length + at // each
        found.append(number(code, flat))
    return found


# -- scales ----------------------------------------------------------------------------------------


def e8m0(count: int, seed: int = 1) -> list[int]:
    rng = random.Random(seed)
    return [0, 254, *(rng.randrange(100, 140) for _ in range(count - 2))][:count]


def e4m3(count: int, seed: int = 1) -> list[int]:
    rng = random.Random(seed)
    return [0x7E, 1, *(rng.randrange(0x10, 0x7E) for _ in range(count - 2))][:count]


def plain(count: int, seed: int = 1) -> list[Fraction]:
    rng = random.Random(seed)
    return [float32(Fraction(rng.random()) / 100) for _ in range(count)]


# -- layouts ---------------------------------------------------------------------------------------

GLOBAL = float32(Fraction(1, 2688) * 3)


def deepseek(shape: tuple[int, ...] = (300, 200), scales: str = "F32") -> Made:
    """DeepSeek-V3: `weight_scale_inv`, which multiplies tiles of 128 x 128."""
    codes = codes_of(prod(shape), 8)
    grid = (*shape[:-2], -(-shape[-2] // 128), -(-shape[-1] // 128))
    block = (*(1 for _ in shape[:-2]), 128, 128)
    if scales == "F32":
        given: list[Any] = plain(prod(grid))
        raw = floats(given, grid)
    else:
        found = e8m0(prod(grid))
        given, raw = [value_of(each, E8M0) for each in found], Raw(scales, grid, bytes(found))
    return Made(
        {"a.weight": Raw("F8_E4M3", shape, bytes(codes)), "a.weight_scale_inv": raw},
        "a.weight", shape, numbers(codes, E4M3, shape, block, given),
    )  # fmt: skip


def scaled_fp8(
    grid: tuple[int, ...], block: tuple[int, ...], shape: tuple[int, ...] = (6, 40),
    ending: str = "weight_scale", dtype: str = "F8_E4M3",
) -> Made:  # fmt: skip
    """FP8 with float32 scales, as compressed-tensors, modelopt, fbgemm and Mistral write it."""
    spec = {"F8_E4M3": E4M3, "F8_E5M2": FORMATS["float8_e5m2"]}[dtype]
    codes = codes_of(prod(shape), 8)
    given = plain(prod(grid))
    return Made(
        {"a.weight": Raw(dtype, shape, bytes(codes)), f"a.{ending}": floats(given, grid),
         "a.input_scale": floats([1.0], ())},
        "a.weight", shape, numbers(codes, spec, shape, block, list(given)),
    )  # fmt: skip


def _four_bits(
    shape: tuple[int, ...], block: int, high: bool = False
) -> tuple[list[int], tuple[int, ...], tuple[int, ...], bytes]:
    codes = codes_of(prod(shape), 4)
    grid = (*shape[:-1], -(-shape[-1] // block))
    return codes, grid, (*(1 for _ in shape[:-1]), block), packed(codes, 4, high)


def nvfp4(
    writer: str, shape: tuple[int, ...] = (6, 64), global_: Fraction = GLOBAL
) -> Made:  # fmt: skip
    """NVFP4 of compressed-tensors, modelopt, ComfyUI or torchao, without metadata."""
    codes, grid, block, data = _four_bits(shape, 16, high=writer == "comfyui")
    found = e4m3(prod(grid))
    given = [value_of(each, E4M3) for each in found]
    narrow = (*shape[:-1], shape[-1] // 2)
    divides = writer == "compressed-tensors"
    if divides:
        global_ = float32(1 / global_)
    values = numbers(codes, FP4, shape, block, given, 1 / global_ if divides else global_)
    scale = Raw("F8_E4M3", grid, bytes(found))
    if writer in ("comfyui", "torchao-swizzled"):
        tiles, high, wide = tiled(found, prod(grid[:-1]), grid[-1])
        scale = Raw("F8_E4M3", (high, wide), tiles)
    names = {
        "compressed-tensors": ("weight_packed", "weight_scale", "weight_global_scale"),
        "modelopt": ("weight", "weight_scale", "weight_scale_2"),
        "comfyui": ("weight", "weight_scale", "weight_scale_2"),
        "torchao": ("_weight_qdata", "_weight_scale", "_weight_per_tensor_scale"),
        "torchao-swizzled": ("_weight_qdata", "_weight_scale", "_weight_per_tensor_scale"),
    }[writer]
    tensors = {f"a.{names[0]}": Raw("U8", narrow, data), f"a.{names[1]}": scale,
               f"a.{names[2]}": floats([global_], (1,) if divides else ())}  # fmt: skip
    return Made(tensors, "a.weight", shape, values)


def comfyui(made: Made, form: str = "nvfp4") -> Made:
    """It with the metadata that ComfyUI writes."""
    said = {"format_version": "1.0", "layers": {"a": {"format": form}}}
    return replace(made, metadata={"_quantization_metadata": json.dumps(said)})


def torchao(made: Made, type_: str, **data: Any) -> Made:
    """It with the metadata that torchao writes."""
    said = {"_type": type_, "_data": data, "_tensor_data_names": ["qdata", "scale"]}
    return replace(
        made, metadata={"a.weight": json.dumps(said), "tensor_names": json.dumps(["a.weight"])}
    )


def mx(
    element: str, names: tuple[str, str] = ("weight", "weight_scale"),
    shape: tuple[int, ...] = (6, 96), *, swizzled: bool = False, dtype: str = "U8",
    scales: str = "U8", one_per_byte: bool = False,
) -> Made:  # fmt: skip
    """OCP's MX formats: codes packed from the lowest bits on, scales as bytes."""
    spec = FORMATS[element]
    codes = codes_of(prod(shape), spec.bits)
    grid = (*shape[:-1], -(-shape[-1] // 32))
    found = e8m0(prod(grid))
    given = [value_of(each, E8M0) for each in found]
    values = numbers(codes, spec, shape, (*(1 for _ in shape[:-1]), 32), given)
    width = shape[-1] if one_per_byte else shape[-1] * spec.bits // 8
    data = bytes(codes) if one_per_byte else packed(codes, spec.bits)
    narrow = (*shape[:-1], width)
    if dtype == "U32":
        narrow = (*shape[:-1], width // 4)
    if dtype.startswith(("F4", "F6")):
        narrow = shape
    scale = Raw(scales, grid, bytes(found))
    if swizzled:
        tiles, high, wide = tiled(found, prod(grid[:-1]), grid[-1])
        scale = Raw(scales, (high, wide), tiles)
    tensors = {f"a.{names[0]}": Raw(dtype, narrow, data), f"a.{names[1]}": scale}
    return Made(tensors, "a.weight", shape, values)


def gpt_oss(dotted: bool = False) -> Made:
    """gpt-oss: blocks of 16 bytes; code 255 is 2^128."""
    shape, sign = (2, 4, 96), "." if dotted else "_"
    codes, grid, block, data = _four_bits(shape, 32)
    found = [255, *e8m0(prod(grid) - 1)]
    given = [Fraction(2) ** (each - 127) for each in found]
    name = "a.gate_up_proj"
    tensors = {
        f"{name}{sign}blocks": Raw("U8", (*grid, 16), data),
        f"{name}{sign}scales": Raw("U8", grid, bytes(found)),
    }
    return Made(tensors, name, shape, numbers(codes, FP4, shape, block, list(given)))


def mlx_nvfp4(global_: bool) -> Made:
    """MLX: eight nibbles in a word of 32 bits; an amax in the place of a global scale."""
    shape = (4, 64)
    codes, grid, block, data = _four_bits(shape, 16)
    found = e4m3(prod(grid))
    amax = Fraction(5, 2)
    tensors = {"a.weight": Raw("U32", (4, 8), data), "a.scales": Raw("U8", grid, bytes(found))}
    if global_:
        tensors["a.global_scale"] = floats([amax], ())
    given = [value_of(each, E4M3) for each in found]
    factor = amax / 2688 if global_ else Fraction(1)
    return Made(tensors, "a.weight", shape, numbers(codes, FP4, shape, block, given, factor))


def int8(scb: bool) -> Made:
    """Whole numbers: LLM.int8's `SCB` / 127, or a scale per channel."""
    shape = (8, 32)
    codes = codes_of(prod(shape), 8)
    given = plain(8)
    whole = [Fraction(code - 256 * (code > 127)) for code in codes]
    values: list[Fraction | None] = [
        each * given[place // 32] / (127 if scb else 1) for place, each in enumerate(whole)
    ]
    tensors = {"a.weight": Raw("I8", shape, bytes(codes))}
    if scb:
        tensors |= {"a.SCB": floats(given, (8,)), "a.weight_format": Raw("U8", (), b"\0")}
    else:
        tensors |= {"a.weight_scale": floats(given, (8, 1))}
    return Made(tensors, "a.weight", shape, values)


def bitsandbytes(
    kind: str = "nf4", shape: tuple[int, ...] = (5, 40), block: int = 64, nested: bool = False,
    **changed: Any,
) -> Made:  # fmt: skip
    """NF4 and FP4: the high nibble first, an absmax per 64 elements of the whole tensor."""
    codebook = CODEBOOKS[{"nf4": "nf4", "fp4": "fp4_bnb"}[kind]]
    count = prod(shape)
    codes = codes_of(count, 4)
    blocks = -(-count // block)
    state = {"quant_type": kind, "blocksize": block, "dtype": "bfloat16", "shape": list(shape)}
    tensors = {}
    if nested:
        quantised = codes_of(blocks, 8)
        values = [float32(Fraction(each, 255)) for each in range(256)]
        absmax = [float32(Fraction(3, 7 + place)) for place in range(-(-blocks // 256))]
        offset = float(float32(Fraction(1, 30)))
        scales = [
            values[code] * absmax[place // 256] + Fraction(offset)
            for place, code in enumerate(quantised)
        ]
        state |= {"nested_blocksize": 256, "nested_dtype": "float32", "nested_offset": offset}
        tensors = {
            "a.weight.absmax": Raw("U8", (blocks,), bytes(quantised)),
            "a.weight.nested_absmax": floats(absmax, (len(absmax),)),
            "a.weight.nested_quant_map": floats(values, (256,)),
        }
    else:
        scales = plain(blocks)
        tensors = {"a.weight.absmax": floats(scales, (blocks,))}
    text = json.dumps({**state, **changed}).encode()
    tensors |= {
        "a.weight": Raw("U8", (count // 2, 1), packed(codes, 4, high_first=True)),
        "a.weight.quant_map": floats(list(codebook.values), (16,)),
        f"a.weight.quant_state.bitsandbytes__{kind}": Raw("U8", (len(text),), text),
    }
    found = numbers(codes, codebook, (count,), (block,), list(scales))
    return Made(tensors, "a.weight", shape, found)


Build = Callable[[], Made]
