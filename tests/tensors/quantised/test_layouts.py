"""Every layout, as its writer lays it out, reads as the numbers that it means."""

from __future__ import annotations

import math
import struct
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest
import torch

from fpx.core.formats import FORMATS
from fpx.core.packing import Packing
from fpx.tensors.entry import TensorEntry
from fpx.tensors.opening import Opened, list_all, open_all
from fpx.tensors.quantised.model import Evidence, Quantised
from tests import quantised_writers as writers
from tests.quantised_writers import Made

LAYOUTS: dict[str, tuple[Made, str]] = {
    "deepseek": (writers.deepseek(), "block FP8 (DeepSeek's)"),
    "deepseek-3d": (writers.deepseek((3, 130, 140)), "block FP8 (DeepSeek's)"),
    "deepseek-u8": (writers.deepseek(scales="U8"), "block FP8 (DeepSeek's)"),
    "deepseek-e8m0": (writers.deepseek(scales="F8_E8M0"), "block FP8 (DeepSeek's)"),
    "fp8-tensor": (writers.scaled_fp8((), (6, 40)), "FP8"),
    "fp8-tensor-1": (writers.scaled_fp8((1,), (6, 40)), "FP8"),
    "fp8-channel": (writers.scaled_fp8((6, 1), (1, 40)), "FP8"),
    "fp8-channel-1": (writers.scaled_fp8((6,), (1, 40)), "FP8"),
    "fp8-e5m2": (writers.scaled_fp8((6, 1), (1, 40), dtype="F8_E5M2"), "FP8"),
    "fp8-columns": (writers.scaled_fp8((1, 40), (6, 1)), "FP8"),
    "fp8-block": (writers.scaled_fp8((2, 2), (128, 128), (130, 140)), "FP8"),
    "fp8-pb-wo": (writers.scaled_fp8((2, 1, 2, 1), (128, 128), (130, 140)), "FP8"),
    "fp8-expert": (writers.scaled_fp8((3,), (1, 4, 8), (3, 4, 8)), "FP8"),
    "fp8-mistral": (writers.scaled_fp8((), (6, 40), ending="qscale_weight"), "Mistral FP8"),
    "nvfp4-ct": (writers.nvfp4("compressed-tensors"), "compressed-tensors nvfp4-pack-quantized"),
    "nvfp4-ct-3d": (
        writers.nvfp4("compressed-tensors", (2, 3, 32)), "compressed-tensors nvfp4-pack-quantized",
    ),
    "nvfp4-modelopt": (writers.nvfp4("modelopt"), "modelopt NVFP4"),
    "nvfp4-comfyui": (writers.nvfp4("comfyui"), "ComfyUI nvfp4"),
    "nvfp4-comfyui-wide": (writers.nvfp4("comfyui", (130, 80)), "ComfyUI nvfp4"),
    "nvfp4-torchao": (writers.nvfp4("torchao"), "torchao NVFP4Tensor"),
    "nvfp4-torchao-swizzled": (writers.nvfp4("torchao-swizzled"), "torchao NVFP4Tensor"),
    "mxfp4-ct": (
        writers.mx("float4_e2m1fn", ("weight_packed", "weight_scale")),
        "compressed-tensors mxfp4-pack-quantized",
    ),
    "mxfp6-ct": (
        writers.mx("float6_e2m3fn", ("weight_packed", "weight_scale")),
        "compressed-tensors mxfp6-pack-quantized",
    ),
    "mxfp8": (writers.mx("float8_e4m3fn", dtype="F8_E4M3"), "MXFP8"),
    "mxfp8-e5m2": (writers.mx("float8_e5m2", dtype="F8_E5M2", scales="F8_E8M0"), "MXFP8"),
    "mxfp8-inv": (
        writers.mx("float8_e4m3fn", ("weight", "weight_scale_inv"), dtype="F8_E4M3"), "MXFP8",
    ),
    "mxfp8-tail": (writers.mx("float8_e4m3fn", shape=(3, 40), dtype="F8_E4M3"), "MXFP8"),
    "mxfp8-comfyui": (
        writers.comfyui(writers.mx("float8_e4m3fn", dtype="F8_E4M3", swizzled=True), "mxfp8"),
        "ComfyUI mxfp8",
    ),
    "mxfp4-quark": (writers.mx("float4_e2m1fn"), "MXFP4 (Quark's)"),
    "mxfp4-f4": (writers.mx("float4_e2m1fn", dtype="F4"), "MXFP4 (Quark's)"),
    "mxfp6-f6": (writers.mx("float6_e3m2fn", dtype="F6_E3M2"), "MXFP6 (Quark's)"),
    "deepseek-v4": (
        writers.mx("float4_e2m1fn", ("weight", "scale"), dtype="I8", scales="F8_E8M0"),
        "DeepSeek-V4 FP4",
    ),
    "gpt-oss": (writers.gpt_oss(), "gpt-oss MXFP4"),
    "gpt-oss-dots": (writers.gpt_oss(dotted=True), "gpt-oss MXFP4"),
    "mlx-nvfp4": (writers.mlx_nvfp4(False), "MLX nvfp4"),
    "mlx-nvfp4-global": (writers.mlx_nvfp4(True), "MLX nvfp4"),
    "mlx-mxfp4": (writers.mx("float4_e2m1fn", ("weight", "scales"), dtype="U32"), "MLX mxfp4"),
    "mlx-mxfp8": (writers.mx("float8_e4m3fn", ("weight", "scales"), dtype="U32"), "MLX mxfp8"),
    "llm-int8": (writers.int8(scb=True), "bitsandbytes LLM.int8"),
    "int8": (writers.int8(scb=False), "INT8"),
    "nf4": (writers.bitsandbytes(), "bitsandbytes nf4"),
    "fp4": (writers.bitsandbytes("fp4", (7, 64), 32), "bitsandbytes fp4"),
    "nf4-nested": (
        writers.bitsandbytes(shape=(300, 64), block=64, nested=True), "bitsandbytes nf4",
    ),
    "torchao-mxfp6": (
        writers.torchao(
            writers.mx("float6_e3m2fn", ("_weight_qdata", "_weight_scale"), one_per_byte=True),
            "MXTensor", elem_dtype="fp6_e3m2", is_swizzled_scales=False,
        ),
        "torchao MXTensor",
    ),
    "torchao-mxfp4": (
        writers.torchao(
            writers.mx("float4_e2m1fn", ("_weight_qdata", "_weight_scale"), swizzled=True),
            "MXTensor", elem_dtype={"_type": "torch.dtype", "_data": "float4_e2m1fn_x2"},
            is_swizzled_scales=True,
        ),
        "torchao MXTensor",
    ),
}  # fmt: skip


def opened(made: Made, folder: Path) -> Opened:
    return open_all([made.write(folder)])


def weight(found: Opened, name: str) -> tuple[TensorEntry, Quantised]:
    (entry,) = (each for source in found.sources for each in source.entries if each.name == name)
    assert entry.quantised is not None
    return entry, entry.quantised


def same(found: list[float], values: list[Fraction | None]) -> bool:
    """Whether numbers are the nearest float64 to those values; None is a NaN or an infinity."""
    return len(found) == len(values) and all(
        not math.isfinite(a) if b is None else a == float(b)
        for a, b in zip(found, values, strict=True)
    )


@pytest.mark.parametrize("name", LAYOUTS)
@pytest.mark.parametrize("limit", [1 << 15, 77])
def test_the_numbers_are_those_that_the_writer_meant(name: str, limit: int, tmp_path: Path) -> None:
    made, layout = LAYOUTS[name]
    found = opened(made, tmp_path)
    entry, quantised = weight(found, made.name)
    assert (entry.shape, entry.type.name, quantised.layout) == (made.shape, "float64", layout)
    blocks = [block.clone() for block in entry.blocks(limit)]
    assert all(0 < len(block) <= limit and block.dtype == torch.float64 for block in blocks)
    assert same(torch.cat(blocks).tolist(), made.values)
    assert found.notes == ()
    assert len(found.sources[0].entries) == 1  # its scales are no tensors of their own


@pytest.mark.parametrize("name", LAYOUTS)
def test_parts_and_single_elements_are_the_same_numbers(name: str, tmp_path: Path) -> None:
    made, _ = LAYOUTS[name]
    entry, quantised = weight(opened(made, tmp_path), made.name)
    box = tuple(range(length // 3, length - length // 4) for length in made.shape)
    part = entry.part(box, 50)
    indexes = [tuple(int(at) for at in each) for each in torch.cartesian_prod(
        *(torch.tensor(list(along)) for along in box))]  # fmt: skip
    wanted = [made.values[entry.position(index)] for index in indexes]
    assert same(part.reshape(-1).tolist(), wanted)
    assert quantised.follow is not None
    count = len(made.values)
    for place in {0, 1, 2, 3, count - 1, count // 2, *range(5, count, max(count // 60, 1))}:
        followed = quantised.follow(entry.index(place))
        assert followed.value == made.values[place]
        assert followed.parts[0].role == "element"
        for each in followed.parts:
            assert each.tensor in made.tensors


def test_headers_are_listed_with_the_same_weights(tmp_path: Path) -> None:
    made, layout = LAYOUTS["nvfp4-modelopt"]
    (source,) = list_all([made.write(tmp_path)]).sources
    (entry,) = source.entries
    assert entry.quantised is not None
    assert entry.quantised.layout == layout
    assert [each.name for each in list_all([tmp_path], stored=True).sources[0].entries] == [
        "a.weight", "a.weight_scale", "a.weight_scale_2",
    ]  # fmt: skip


def test_what_is_said_of_a_weight(tmp_path: Path) -> None:
    made, _ = LAYOUTS["nvfp4-comfyui"]
    _, found = weight(opened(made, tmp_path), "a.weight")
    assert (found.element, found.stored, found.stored_type, found.stored_shape) == (
        "float4_e2m1fn", "a.weight", "U8", (6, 32),
    )  # fmt: skip
    assert found.packing is Packing.HIGH_FIRST
    assert found.format is not None
    assert found.format.name == "nvfp4"
    block, beside = found.scales
    assert (block.tensor, block.format, block.shape, block.divides, block.swizzled) == (
        "a.weight_scale", "float8_e4m3fn", (128, 4), False, True,
    )  # fmt: skip
    assert (beside.tensor, beside.format, beside.divides) == ("a.weight_scale_2", "float32", False)
    assert str(found.reach) == "block:16"
    assert found.evidence is Evidence.NAMES


@pytest.mark.parametrize(
    ("name", "format_"),
    [
        ("deepseek", "float8_e4m3fn:block=128x128"),
        ("deepseek-3d", "float8_e4m3fn:block=128x128"),
        ("deepseek-e8m0", "float8_e4m3fn:block=128x128,scale=float8_e8m0fnu"),
        ("fp8-tensor", "float8_e4m3fn:tensor"),
        ("fp8-channel", "float8_e4m3fn:channel"),
        ("fp8-columns", "float8_e4m3fn:channel=1"),
        ("fp8-pb-wo", "float8_e4m3fn:block=128x128"),
        ("fp8-expert", "float8_e4m3fn:channel"),
        ("nvfp4-ct", "nvfp4"),
        ("mxfp6-ct", "mxfp6_e2m3"),
        ("mxfp8", "mxfp8_e4m3"),
        ("mxfp8-e5m2", "mxfp8_e5m2"),
        ("gpt-oss", "mxfp4"),
        ("llm-int8", "int8:channel"),
        ("fp4", "fp4_bnb:block=32"),
        ("nf4-nested", "nf4"),
    ],
)
def test_the_format_is_what_fpx_would_encode(name: str, format_: str, tmp_path: Path) -> None:
    made, _ = LAYOUTS[name]
    _, found = weight(opened(made, tmp_path), made.name)
    assert found.format is not None
    assert found.format.name == format_


def test_blocks_that_go_on_from_row_to_row_have_no_format(tmp_path: Path) -> None:
    _, found = weight(opened(LAYOUTS["nf4"][0], tmp_path), "a.weight")
    assert found.format is None


def test_a_global_scale_of_64_bits_is_read_and_has_no_format(tmp_path: Path) -> None:
    made, _ = LAYOUTS["nvfp4-modelopt"]
    wide = writers.Raw("F64", (), struct.pack("<d", float(writers.GLOBAL)))
    entry, found = weight(opened(made.with_("a.weight_scale_2", wide), tmp_path), "a.weight")
    assert found.format is None
    assert same(torch.cat(list(entry.blocks(1 << 15))).tolist(), made.values)


def test_a_scale_of_code_255_is_nan_but_to_gpt_oss(tmp_path: Path) -> None:
    made = writers.mx("float4_e2m1fn")
    scales = bytearray(made.tensors["a.weight_scale"].data)
    scales[1] = 255
    raw = replace(made.tensors["a.weight_scale"], data=bytes(scales))
    entry, quantised = weight(opened(made.with_("a.weight_scale", raw), tmp_path), "a.weight")
    (values,) = entry.blocks(1 << 15)
    assert values[32:64].isnan().all()
    assert values[:32].isfinite().all()
    assert values[64:].isfinite().all()
    assert quantised.follow is not None
    assert quantised.follow((0, 40)).value is None


@pytest.mark.parametrize("name", ["deepseek", "nvfp4-comfyui-wide", "nf4-nested"])
def test_scales_that_have_no_room_are_read_by_parts(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fpx.tensors.quantised.reading._HELD", 0)
    monkeypatch.setattr("fpx.tensors.quantised.reading._FEW", 0)
    monkeypatch.setattr("fpx.tensors.quantised.reading._BLOCK", 100)
    made, _ = LAYOUTS[name]
    entry, _ = weight(opened(made, tmp_path), made.name)
    assert same(torch.cat([each.clone() for each in entry.blocks(64)]).tolist(), made.values)


def test_infinities_of_elements_stay_infinities(tmp_path: Path) -> None:
    tensors = {"w.weight": writers.Raw("F8_E5M2", (1, 4), bytes([0x7C, 0xFC, 0x7D, 0x3C])),
               "w.weight_scale": writers.floats([0.5], ())}  # fmt: skip
    entry, _ = weight(opened(Made(tensors, "", (), []), tmp_path), "w.weight")
    (values,) = entry.blocks(9)
    assert values[[0, 1, 3]].tolist() == [math.inf, -math.inf, 0.5]
    assert values[2].isnan()


def test_codes_without_scales_that_torch_lacks_are_read(tmp_path: Path) -> None:
    raw = writers.Raw("F6_E3M2", (4, 8), writers.packed(writers.codes_of(32, 6), 6))
    spec = FORMATS["float6_e3m2fn"]
    values = [writers.value_of(code, spec) for code in writers.codes_of(32, 6)]
    made = Made({"w": raw}, "w", (4, 8), values)
    entry, quantised = weight(opened(made, tmp_path), "w")
    assert same(torch.cat(list(entry.blocks(99))).tolist(), values)
    assert (quantised.scales, quantised.format) == ((), None)
    assert quantised.follow is not None
    assert quantised.follow((3, 7)).value == values[-1]


def test_the_scale_of_a_nested_scale_is_that_of_its_own_block(tmp_path: Path) -> None:
    made = writers.bitsandbytes(shape=(300, 64), block=64, nested=True)
    entry, found = weight(opened(made, tmp_path), "a.weight")
    assert found.follow is not None
    for row in (0, 255, 256, 299):  # a block of scales ends with row 255
        followed = found.follow((row, 5))
        assert followed.value == made.values[row * 64 + 5]
        (beside,) = (part for part in followed.parts if part.role == "scale of scales")
        assert beside.index == (row // 256,)
    assert same(torch.cat(list(entry.blocks(1 << 16))).tolist(), made.values)
