"""Which tensors are a weight: by metadata, by names and shapes, by values; and which are left."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from fpx.errors import InputError
from fpx.tensors.opening import Opened, open_all
from fpx.tensors.quantised.group import REMARKS
from fpx.tensors.quantised.model import Evidence, Quantised
from tests import quantised_writers as writers
from tests.quantised_writers import Made, Raw
from tests.tensors.quantised.test_layouts import same, weight

BESIDE = Raw("F32", (2,), b"\0" * 8)  # a tensor that has nothing to do with any other


def opened(made: Made, folder: Path) -> Opened:
    return open_all([made.with_("z.bias", BESIDE).write(folder)])


def quantised(made: Made, folder: Path) -> Quantised:
    return weight(opened(made, folder), made.name)[1]


def left(made: Made, folder: Path) -> str:
    """The one line that is said of a pair that does not add up; its tensors stay as they are."""
    found = opened(made, folder)
    (source,) = found.sources
    assert [entry.name for entry in source.entries] == sorted([*made.tensors, "z.bias"])
    assert all(entry.quantised is None for entry in source.entries)
    for entry in source.entries:
        assert sum(len(block) for block in entry.blocks(1 << 12)) == entry.count
    (line,) = source.notes
    assert line.endswith(REMARKS)
    return line


# -- metadata --------------------------------------------------------------------------------------

MODELOPT = {"quant_method": "modelopt", "quant_algo": "NVFP4"}


@pytest.mark.parametrize(
    ("made", "config", "layout"),
    [
        (writers.nvfp4("modelopt", (128, 64)), MODELOPT, "modelopt NVFP4"),
        (
            writers.mx("float6_e2m3fn"),
            {"quant_method": "quark", "global_quant_config": {"weight": {"dtype": "fp6_e2m3"}}},
            "Quark MXFP6 E2M3",
        ),
        (
            writers.mx("float6_e3m2fn"),
            {"quant_method": "quark", "global_quant_config": {"weight": {"dtype": "fp6_e3m2"}}},
            "Quark MXFP6 E3M2",
        ),
        (writers.mx("float4_e2m1fn"), {"quant_method": "quark"}, "Quark MXFP4"),
        (writers.scaled_fp8((6, 1), (1, 40)), {"quant_method": "fbgemm_fp8"}, "fbgemm FP8"),
        (
            writers.scaled_fp8((6, 1), (1, 40)), {"quant_method": "compressed-tensors"},
            "compressed-tensors float-quantized",
        ),
        (writers.gpt_oss(), {"quant_method": "mxfp4"}, "gpt-oss MXFP4"),
        (writers.int8(True), {"quant_method": "bitsandbytes"}, "bitsandbytes LLM.int8"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("nested", [False, True])
def test_the_configuration_beside_a_file_names_the_layout(
    made: Made, config: dict[str, Any], layout: str, nested: bool, tmp_path: Path
) -> None:
    said: dict[str, Any] = {"quantization_config": config}
    made = replace(made, config={"text_config": said} if nested else said)
    found = opened(made, tmp_path)
    entry, what = weight(found, made.name)
    assert (what.layout, what.evidence) == (layout, Evidence.METADATA)
    assert what.recognised_by == f"config.json: quant_method '{config['quant_method']}'"
    assert same(torch.cat(list(entry.blocks(1 << 16))).tolist(), made.values)
    assert found.notes == ()


def test_modelopts_own_configuration(tmp_path: Path) -> None:
    made = writers.nvfp4("modelopt", (128, 64))
    said = {"producer": {"name": "modelopt"}, "quantization": {"quant_algo": "NVFP4"}}
    (tmp_path / "hf_quant_config.json").write_text(json.dumps(said))
    found = quantised(made, tmp_path)
    assert (found.layout, found.evidence) == ("modelopt NVFP4", Evidence.METADATA)


def test_comfyuis_metadata(tmp_path: Path) -> None:
    made = writers.comfyui(writers.nvfp4("comfyui", (128, 64)))
    entry, found = weight(opened(made, tmp_path), "a.weight")
    assert (found.layout, found.evidence) == ("ComfyUI nvfp4", Evidence.METADATA)
    assert same(torch.cat(list(entry.blocks(1 << 16))).tolist(), made.values)


@pytest.mark.parametrize("form", ["metadata", "tensor"])
def test_comfyuis_mxfp8_by_its_metadata_whatever_its_scales_look_like(
    form: str, tmp_path: Path
) -> None:
    made = writers.mx("float8_e4m3fn", shape=(128, 128), dtype="F8_E4M3", swizzled=True)
    text = json.dumps({"format": "mxfp8"}).encode()
    if form == "metadata":
        made = writers.comfyui(made, "mxfp8")
    else:
        made = made.with_("a.comfy_quant", Raw("U8", (len(text),), text))
    found = opened(made, tmp_path)
    entry, how = weight(found, "a.weight")
    assert (how.layout, how.evidence) == ("ComfyUI mxfp8", Evidence.METADATA)
    assert found.notes == ()
    assert same(torch.cat(list(entry.blocks(1 << 16))).tolist(), made.values)


def test_comfyuis_tensor_of_metadata(tmp_path: Path) -> None:
    text = json.dumps({"format": "nvfp4"}).encode()
    made = writers.nvfp4("comfyui", (128, 64))
    made = made.with_("a.comfy_quant", Raw("U8", (len(text),), text))
    entry, found = weight(opened(made, tmp_path), "a.weight")
    assert (found.layout, found.evidence) == ("ComfyUI nvfp4", Evidence.METADATA)
    assert found.beside == ("a.comfy_quant",)
    assert same(torch.cat(list(entry.blocks(1 << 16))).tolist(), made.values)


def test_torchaos_metadata_say_whether_scales_are_in_tiles(tmp_path: Path) -> None:
    for writer, swizzled in (("torchao", False), ("torchao-swizzled", True)):
        made = writers.nvfp4(writer, (128, 64))
        made = writers.torchao(made, "NVFP4Tensor", is_swizzled_scales=swizzled, block_size=16)
        entry, found = weight(opened(made, tmp_path), "a.weight")
        assert (found.layout, found.evidence) == ("torchao NVFP4Tensor", Evidence.METADATA)
        assert same(torch.cat(list(entry.blocks(1 << 16))).tolist(), made.values)


def test_mlxs_configuration(tmp_path: Path) -> None:
    made = replace(writers.mlx_nvfp4(False), config={"quantization": {"group_size": 16, "bits": 4}})
    assert quantised(made, tmp_path).evidence is Evidence.METADATA


def test_the_block_of_a_configuration_counts(tmp_path: Path) -> None:
    made = writers.scaled_fp8((2, 2), (100, 80), (200, 160), ending="weight_scale_inv")
    found = quantised(made.with_config(quant_method="fp8", weight_block_size=[100, 80]), tmp_path)
    assert str(found.reach) == "block:100x80"


def test_a_configuration_of_another_method_does_not_count(tmp_path: Path) -> None:
    found = quantised(writers.gpt_oss().with_config(quant_method="gptq"), tmp_path)
    assert found.evidence is Evidence.NAMES
    assert "gptq" in found.recognised_by


def broken(folder: Path, content: bytes) -> None:
    (folder / "config.json").write_bytes(content)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"{", "is not read"),
        (b"\xff\xfe", "is not read"),
        (b"[" * 100_000, "too many parts"),
        (b" " * (5 << 20), "more than 4,194,304 bytes"),
    ],
)
def test_a_broken_configuration_is_a_note(content: bytes, why: str, tmp_path: Path) -> None:
    broken(tmp_path, content)
    found = opened(writers.gpt_oss(), tmp_path)
    (line,) = found.notes
    assert "config.json" in line
    assert why in line
    assert line.endswith("names are used")
    assert weight(found, "a.gate_up_proj")[1].evidence is Evidence.NAMES


@pytest.mark.parametrize("content", [b"[]", b"3", b'{"quantization_config": []}', b"{}",
                                     b'{"quantization_config": {"quant_method": 3}}',
                                     b'{"text_config": 3, "quantization": 5}'])  # fmt: skip
def test_a_configuration_that_says_nothing(content: bytes, tmp_path: Path) -> None:
    broken(tmp_path, content)
    assert opened(writers.gpt_oss(), tmp_path).notes == ()


def test_a_configuration_that_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "config.json")
    (line,) = opened(writers.gpt_oss(), tmp_path).notes
    assert "no regular file" in line


def test_no_configuration_is_looked_for_without_need(tmp_path: Path) -> None:
    broken(tmp_path, b"{")
    save_file({"weight": torch.zeros(3)}, tmp_path / "x.safetensors")
    assert open_all([tmp_path / "x.safetensors"]).notes == ()


@pytest.mark.parametrize("text", ["{", "[]", '{"layers": [1]}', '{"layers": {"a": 3}}'])
def test_broken_metadata_are_a_note(text: str, tmp_path: Path) -> None:
    made = replace(writers.nvfp4("comfyui"), metadata={"_quantization_metadata": text})
    found = opened(made, tmp_path)
    (line,) = found.notes
    assert "_quantization_metadata is not understood" in line
    assert weight(found, "a.weight")[1].evidence is Evidence.NAMES


def test_metadata_that_lie_about_the_format(tmp_path: Path) -> None:
    made = writers.scaled_fp8((6, 1), (1, 40)).without("a.input_scale")
    said = {"layers": {"a": {"format": "nvfp4"}}}
    made = replace(made, metadata={"_quantization_metadata": json.dumps(said)})
    assert "says nvfp4, which codes of its dtype are not" in left(made, tmp_path)


# -- values ----------------------------------------------------------------------------------------


def structured(writer: str) -> Made:
    """NVFP4 whose rows differ in magnitude, as those of weights do, in whole tiles of scales."""
    rows, columns = 256, 16
    scales = [0x20 + 3 * (row * 7 % 17) + row * column % 3 for row in range(rows)
              for column in range(columns)]  # fmt: skip
    made = writers.nvfp4(writer, (rows, 16 * columns))
    data = bytes(scales)
    if writer == "comfyui":
        data, *_ = writers.tiled(scales, rows, columns)
    raw = replace(made.tensors["a.weight_scale"], data=data)
    codes = writers.codes_of(rows * columns * 16, 4)
    values = writers.numbers(
        codes, writers.FP4, made.shape, (1, 16),
        [writers.value_of(each, writers.E4M3) for each in scales], writers.GLOBAL,
    )  # fmt: skip
    return replace(made.with_("a.weight_scale", raw), values=values)


@pytest.mark.parametrize(
    ("writer", "layout"), [("modelopt", "modelopt NVFP4"), ("comfyui", "ComfyUI nvfp4")]
)
def test_the_order_of_scales_tells_comfyui_from_modelopt(
    writer: str, layout: str, tmp_path: Path
) -> None:
    made = structured(writer)
    found = opened(made, tmp_path)
    entry, what = weight(found, "a.weight")
    assert (what.layout, what.evidence) == (layout, Evidence.LIKELY)
    assert same(torch.cat(list(entry.blocks(1 << 16))).tolist(), made.values)
    (line,) = found.notes
    assert f"a.weight: taken for {layout}" in line
    assert "--as" in line


def test_scales_without_order_do_not_tell(tmp_path: Path) -> None:
    line = left(writers.nvfp4("modelopt", (128, 64)), tmp_path)
    assert "modelopt NVFP4, ComfyUI nvfp4" in line
    assert "--as" in line


def test_elements_that_names_do_not_tell(tmp_path: Path) -> None:
    line = left(writers.mx("float6_e2m3fn"), tmp_path)
    assert "float6_e2m3fn, float6_e3m2fn" in line


# -- damage ----------------------------------------------------------------------------------------

NV = writers.nvfp4("modelopt")
CT = writers.nvfp4("compressed-tensors")


def raw(dtype: str, *shape: int) -> Raw:
    size = {"F8_E4M3": 1, "U8": 1, "F32": 4, "I64": 8, "BF16": 2, "I8": 1, "I32": 4}[dtype]
    count = 1
    for length in shape:
        count *= length
    return Raw(dtype, shape, bytes(count * size))


@pytest.mark.parametrize(
    ("made", "says"),
    [
        (NV.with_("a.weight_scale", raw("F8_E4M3", 6, 5)), "of shape [6, 5] do not fit codes"),
        (NV.with_("a.weight_scale", raw("F8_E4M3", 4, 6)), "of shape [4, 6] do not fit codes"),
        (NV.with_("a.weight_scale", raw("F8_E4M3", 24)), "of shape [24] do not fit codes"),
        (NV.with_("a.weight_scale", raw("I64", 6, 4)), "codes of U8 and scales of I64"),
        (NV.with_("a.weight_scale_2", raw("F32", 2)), "its global scale a.weight_scale_2 is"),
        (NV.with_("a.weight_scale_2", raw("I64")), "its global scale a.weight_scale_2 is int64"),
        (NV.without("a.weight_scale_2"), "its global scale a.weight_scale_2 is missing"),
        (NV.with_("a.weight_scale_inv", raw("F8_E4M3", 6, 4)), "several tensors of scales"),
        (CT.without("a.weight_scale"), "a.weight_packed: codes without scales"),
        (CT.without("a.weight_packed"), "a.weight_scale: scales of weights that nobody has"),
        (CT.with_("a.weight_zero_point", raw("F8_E4M3", 6, 4)), "it has zero points"),
        (
            writers.mx("float6_e2m3fn", ("weight_packed", "weight_scale")).with_(
                "a.weight_packed", raw("U8", 6, 71)
            ),
            "do not fit codes of shape [6, 71]",
        ),
        (writers.deepseek().with_("a.weight_scale_inv", raw("F32", 2, 2)), "do not fit codes"),
        (writers.deepseek().with_("a.weight_scale_inv", raw("F32", 3, 2, 1)), "do not fit"),
        (writers.deepseek().without("a.weight"), "nobody has"),
        (writers.deepseek().with_("a.weight", raw("BF16", 300, 200)), "codes of BF16"),
        (writers.gpt_oss().without("a.gate_up_proj_scales"), "codes without scales"),
        (writers.gpt_oss().without("a.gate_up_proj_blocks"), "nobody has"),
        (
            writers.gpt_oss().with_("a.gate_up_proj_scales", raw("U8", 2, 4, 4)),
            "its scales a.gate_up_proj_scales of shape [2, 4, 4] do not fit codes of shape "
            "[2, 4, 3, 16]",
        ),
        (writers.bitsandbytes().without("a.weight.absmax"), "a.weight.absmax is missing"),
        (
            writers.bitsandbytes().without("a.weight.quant_state.bitsandbytes__nf4"),
            "its a.weight.quant_state.bitsandbytes__nf4 is missing",
        ),
        (writers.bitsandbytes().with_("a.weight.absmax", raw("F32", 3)), "has 3 numbers"),
        (writers.bitsandbytes().with_("a.weight.absmax", raw("I64", 4)), "is int64"),
        (writers.bitsandbytes(shape=(5, 40)).with_("a.weight", raw("U8", 99, 1)), "do not suffice"),
        (writers.bitsandbytes(blocksize=48), "blocksize of 48"),
        (writers.bitsandbytes(blocksize="64"), "blocksize of '64'"),
        (writers.bitsandbytes(quant_type="fp4"), "is of type 'fp4'"),
        (writers.bitsandbytes(nested=True, nested_offset=float("inf")), "no nested_offset"),
        (writers.bitsandbytes(nested=True, nested_blocksize=0), "nested_absmax has 1 numbers"),
        (
            writers.bitsandbytes(nested=True).without("a.weight.nested_absmax"),
            "its a.weight.nested_absmax is missing",
        ),
        (
            writers.bitsandbytes().with_(
                "a.weight.quant_state.bitsandbytes__nf4", Raw("U8", (3,), b"{[}")
            ),
            "is no JSON object",
        ),
    ],
)  # fmt: skip
def test_what_does_not_add_up_is_left_and_said_in_one_line(
    made: Made, says: str, tmp_path: Path
) -> None:
    assert says in left(made, tmp_path)


def test_a_bad_pair_does_not_harm_the_others(tmp_path: Path) -> None:
    made = CT.with_("b.weight_packed", raw("U8", 6, 32))
    made = made.with_("b.weight_scale", raw("F8_E4M3", 6, 9))
    made = made.with_("b.weight_global_scale", raw("F32", 1))
    found = opened(made, tmp_path)
    entry, _ = weight(found, "a.weight")
    assert same(torch.cat(list(entry.blocks(1 << 16))).tolist(), CT.values)
    assert [each.name for each in found.sources[0].entries] == [
        "a.weight", "b.weight_global_scale", "b.weight_packed", "b.weight_scale", "z.bias",
    ]  # fmt: skip
    (line,) = found.notes
    assert "b.weight_packed" in line


def test_what_many_weights_have_wrong_is_one_line(tmp_path: Path) -> None:
    made = CT
    for number in range(50):
        made = made.with_(f"b{number}.weight_packed", raw("I32", 6, 32))
        made = made.with_(f"b{number}.weight_scale", raw("BF16", 6, 9))
        made = made.with_(f"c{number}.qweight", raw("I32", 6, 32))
    unknown, unread = opened(made, tmp_path).notes
    assert "b0.weight_packed, b1.weight_packed, b10.weight_packed, … (47 more)" in unknown
    assert "codes of I32 and scales of BF16 under such names are no layout" in unknown
    assert "GPTQ or AWQ" in unread


def test_many_bad_pairs_have_few_lines(tmp_path: Path) -> None:
    made = CT
    for number in range(50):
        made = made.with_(f"b{number}.weight_packed", raw("U8", 6, 32))
        made = made.with_(f"b{number}.weight_scale", raw("F8_E4M3", 6, 9 + number))
        made = made.with_(f"b{number}.weight_global_scale", raw("F32", 1))
    notes = opened(made, tmp_path).notes
    assert len(notes) == 21
    assert "and 30 more lines like these" in notes[-1]


def test_a_weight_without_the_scales_that_others_have(tmp_path: Path) -> None:
    made = writers.deepseek().with_("b.weight", raw("F8_E4M3", 4, 4))
    (line,) = opened(made, tmp_path).notes
    assert "b.weight: codes without scales" in line


def test_plain_fp8_is_no_damage(tmp_path: Path) -> None:
    made = Made({"b.weight": raw("F8_E4M3", 4, 4)}, "b.weight", (4, 4), [])
    found = opened(made, tmp_path)
    assert found.notes == ()
    assert [each.quantised for each in found.sources[0].entries] == [None, None]


def test_parameters_that_are_called_scale_are_no_scales(tmp_path: Path) -> None:
    tensors = {
        "norm.weight": torch.ones(4), "norm.scale": torch.ones(4), "logit_scale": torch.ones(()),
        "k_scale": torch.ones(()), "attn.k_proj.k_scale": torch.ones(()),
    }  # fmt: skip
    save_file(tensors, tmp_path / "x.safetensors")
    found = open_all([tmp_path / "x.safetensors"])
    assert found.notes == ()
    assert len(found.sources[0].entries) == 5


def test_a_weight_of_the_same_name_is_not_hidden(tmp_path: Path) -> None:
    made = CT.with_("a.weight", raw("BF16", 6, 64))
    names = [entry.name for entry in opened(made, tmp_path).sources[0].entries]
    assert names == ["a.weight", "a.weight_packed", "z.bias"]


# -- several files ---------------------------------------------------------------------------------


def shards(made: Made, folder: Path, *elsewhere: str) -> Path:
    """A checkpoint of two files, of which the second has some of the tensors; its index."""
    other = {name: tensor for name, tensor in made.tensors.items() if name in elsewhere}
    first = made.without(*elsewhere).write(folder, "m-1.safetensors")
    replace(made, tensors={**other, "z.bias": BESIDE}).write(folder, "m-2.safetensors")
    files = {name: "m-2.safetensors" if name in elsewhere else "m-1.safetensors"
             for name in [*made.tensors, "z.bias"]}  # fmt: skip
    files["z.bias"] = "m-2.safetensors"
    index = first.with_name("model.safetensors.index.json")
    index.write_text(json.dumps({"weight_map": files}))
    return index


@pytest.mark.parametrize("name", ["index", "folder", "no index"])
def test_scales_in_another_shard(name: str, tmp_path: Path) -> None:
    index = shards(CT, tmp_path, "a.weight_scale", "a.weight_global_scale")
    if name == "no index":
        index.unlink()
    found = open_all([index if name == "index" else tmp_path])
    entry, _ = weight(found, "a.weight")
    assert same(torch.cat(list(entry.blocks(1 << 16))).tolist(), CT.values)
    assert found.notes == ()
    assert [[each.name for each in source.entries] for source in found.sources] == [
        ["a.weight"], ["z.bias"],
    ]  # fmt: skip


def test_one_shard_alone_lacks_the_scales_of_the_other(tmp_path: Path) -> None:
    shards(CT, tmp_path, "a.weight_scale")
    (line,) = open_all([tmp_path / "m-1.safetensors"]).notes
    assert "a.weight_packed: codes without scales" in line
    (line,) = open_all([tmp_path / "m-2.safetensors"]).notes
    assert "a.weight_scale: scales of weights that nobody has" in line


def test_scales_that_several_files_have(tmp_path: Path) -> None:
    shards(CT, tmp_path, "a.weight_scale").unlink()
    copy = (tmp_path / "m-2.safetensors").read_bytes()
    (tmp_path / "m-3.safetensors").write_bytes(copy)
    found = open_all([tmp_path])
    assert len([note for note in found.notes if note.endswith(REMARKS)]) >= 1
    assert all(entry.quantised is None for source in found.sources for entry in source.entries)


def test_files_that_are_named_apart_are_no_checkpoint(tmp_path: Path) -> None:
    shards(CT, tmp_path, "a.weight_scale")
    found = open_all([tmp_path / "m-1.safetensors", tmp_path / "m-2.safetensors"])
    assert all(entry.quantised is None for source in found.sources for entry in source.entries)


def test_state_dicts_of_torch_are_paired_too(tmp_path: Path) -> None:
    codes = torch.randn(4, 8).to(torch.float8_e4m3fn)
    scale = torch.tensor([[0.5], [2.0], [1.0], [4.0]])
    torch.save({"a.weight": codes, "a.weight_scale": scale}, tmp_path / "x.pt")
    entry, _ = weight(open_all([tmp_path / "x.pt"]), "a.weight")
    assert torch.equal(torch.cat(list(entry.blocks(99))).view(4, 8), codes.double() * scale)
    entry, _ = weight(open_all([{"a.weight": codes.t(), "a.weight_scale": scale[:1]}]), "a.weight")
    assert torch.equal(torch.cat(list(entry.blocks(99))).view(8, 4), codes.double().t() * 0.5)


def test_truncated_data_are_one_line(tmp_path: Path) -> None:
    path = CT.write(tmp_path)
    entry, _ = weight(open_all([path]), "a.weight")
    path.write_bytes(path.read_bytes()[:-150])
    with pytest.raises(InputError, match="ends too early"):
        list(entry.blocks(100))
