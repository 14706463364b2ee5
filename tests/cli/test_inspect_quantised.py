"""`fpx inspect` of quantised checkpoints: files, options, and what both say of one number."""

from __future__ import annotations

import csv
import io
import json
import math
from fractions import Fraction
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import fpx
from fpx.report.followed import ElementReport
from fpx.tensors.files.onnx_entries import ONNX_TYPES
from tests.helpers import call, document, results
from tests.tensors.quantised.test_layouts import LAYOUTS as WRITTEN
from tests.writers import gguf, nvfp4, onnx, onnx_tensor

WEIGHT = "layer.1.up.weight"


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    return nvfp4(tmp_path / "nvfp4")


def test_a_list_has_weights_and_not_what_they_are_stored_in(checkpoint: Path) -> None:
    found = document("inspect", checkpoint)
    rows = {row["tensor"]: row for row in found["results"]}
    assert set(rows) == {"embed.weight", *(f"layer.{n}.{name}.weight" for n in (0, 1)
                                           for name in ("up", "down"))}  # fmt: skip
    weight = rows[WEIGHT]
    assert (weight["dtype"], weight["shape"], weight["count"]) == ("nvfp4", [4, 64], 256)
    assert (weight["bytes"], weight["bits_per_element"]) == (4 * 32 + 16 + 4, 148 * 8 / 256)
    assert (weight["stride"], weight["contiguous"], weight["storage_bytes"]) == ([64, 1], True, 148)
    stored = weight["quantised"]
    assert stored["stored"] == f"{WEIGHT}_packed"
    assert (stored["doubts"], stored["scale_counts"], stored["scales"][1]["value"]) == (None,) * 3
    assert rows["embed.weight"]["quantised"] is None
    assert found["quantised"] == [
        {"layout": "compressed-tensors nvfp4-pack-quantized", "dtype": "nvfp4",
         "evidence": "metadata",
         "recognised_by": "config.json: quant_method 'compressed-tensors'", "tensors": 4,
         "elements": 1024, "bytes": 592},
    ]  # fmt: skip
    assert (found["elements"], found["bytes"]) == (1024 + 160, 592 + 320)
    size = sum(tensor.nbytes for tensor in load_file(checkpoint / "model.safetensors").values())
    assert found["bytes"] == size


def test_stats_look_at_scales_too(checkpoint: Path) -> None:
    rows = {row["tensor"]: row for row in results("inspect", checkpoint, "--stats")}
    spoiled, sound = rows[WEIGHT], rows["layer.0.up.weight"]
    assert len(spoiled["quantised"]["doubts"]) == 2
    assert sound["quantised"]["doubts"] == []
    counts = spoiled["quantised"]["scale_counts"]
    assert {key: counts[key] for key in counts if key.endswith("count")} == {
        "count": 16, "zero_count": 1, "subnormal_count": 1, "nan_count": 1,
    }  # fmt: skip
    assert {code: counts["codes"][code] for code in ("0x00", "0x03", "0x7f")} == {
        "0x00": 1, "0x03": 1, "0x7f": 1,
    }  # fmt: skip
    assert sum(counts["codes"].values()) == 16
    assert counts["exponent_histogram"]["-8"] == 1  # 3 x 2^-9
    assert sum(counts["exponent_histogram"].values()) == 14
    assert (spoiled["stats"]["nan_count"], sound["stats"]["nan_count"]) == (16, 0)
    assert spoiled["quantised"]["scales"][1]["value"] == "1234.5"
    _, out, _ = call("inspect", checkpoint, "--stats", "--csv")
    head, *lines = csv.reader(io.StringIO(out))
    table = {line[head.index("tensor")]: dict(zip(head, line, strict=True)) for line in lines}
    assert table[WEIGHT]["quantised.scale_counts.zero_count"] == "1"
    assert table[WEIGHT]["quantised.layout"].startswith("compressed-tensors")
    assert table["embed.weight"]["quantised.layout"] == ""
    assert not [name for name in head if "codes" in name or "histogram" in name]


def test_a_baseline_fails_where_scales_became_suspicious(tmp_path: Path) -> None:
    sound, spoiled = nvfp4(tmp_path / "a", spoiled=False), nvfp4(tmp_path / "b")
    old = tmp_path / "old.json"
    old.write_text(call("inspect", sound / "model.safetensors", "--stats", "--json")[1])
    code, _, err = call("inspect", spoiled / "model.safetensors", "--stats", "--baseline", old)
    assert code == 1
    assert "doubts none -> 1 of 16 scales are 0" in err
    code, _, err = call("inspect", sound / "model.safetensors", "--stats", "--baseline", old)
    assert (code, "5 equal" in err) == (0, True)


def test_scales_that_nobody_has_are_a_note(checkpoint: Path) -> None:
    path = checkpoint / "model.safetensors"
    held = load_file(path)
    held["layer.7.up.weight_scale"] = held["layer.0.up.weight_scale"].clone()
    save_file(held, path)
    code, out, err = call("inspect", path)
    assert code == 0
    assert "layer.7.up.weight_scale" in out
    assert "layer.7.up.weight_scale" in err


def test_one_weight(checkpoint: Path) -> None:
    (found,) = results("inspect", checkpoint, "--tensor", WEIGHT)
    stored = found["quantised"]
    assert [scale["direction"] for scale in stored["scales"]] == ["multiplies", "divides"]
    assert [scale["value"] for scale in stored["scales"]] == [None, "1234.5"]
    assert (stored["packing"], stored["reach"]) == ("low-first", "block:16")
    assert [fit["holds"] for fit in stored["fits"]] == [True, True]
    assert found["stats"] is None
    (laid_out,) = results("inspect", checkpoint, "--tensor", WEIGHT, "--layout")
    assert laid_out == {key: found[key] for key in laid_out}
    _, out, _ = call("inspect", checkpoint, "--tensor", WEIGHT, "--layout")
    assert "storage element" not in out
    assert "divides" in out
    assert "Dequantised" not in out
    (top,) = results("inspect", checkpoint, "--tensor", WEIGHT, "--top", "1")
    assert top["dtype"] == "nvfp4"


@pytest.mark.parametrize(
    ("index", "words"),
    [("4,0", "[4, 0] is outside of 'layer.1.up.weight': [4, 64]"),
     ("0", "'layer.1.up.weight' has shape [4, 64]: give 2 indexes, not 1")],
)  # fmt: skip
def test_an_index_that_is_none(checkpoint: Path, index: str, words: str) -> None:
    code, out, err = call("inspect", checkpoint, "--tensor", WEIGHT, "--index", index)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert words in err


def test_functions_give_what_commands_show(checkpoint: Path) -> None:
    found = fpx.inspect(checkpoint, tensor=WEIGHT, index=(-3, 18))
    assert isinstance(found, ElementReport)
    (entry,) = results("inspect", checkpoint, "--tensor", WEIGHT, "--index", "1,18")
    assert found.results() == [entry]
    assert found.exact == Fraction(-176) / Fraction("1234.5")
    assert "0xf[a]" in str(found)


# -- what is followed is what is read --------------------------------------------------------------


def bytes_of(*shape: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(math.prod(shape))
    return torch.randint(256, shape, generator=generator, dtype=torch.uint8)


def tenths(*shape: int) -> torch.Tensor:
    return (bytes_of(*shape) % 0x7F).view(torch.float8_e4m3fn)


def floats(*shape: int) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(9)) + 0.01


def powers(*shape: int) -> torch.Tensor:
    return bytes_of(*shape) % 40 + 100


F8 = torch.float8_e4m3fn
LAYOUTS: dict[str, tuple[dict[str, torch.Tensor], dict[str, Any], str]] = {
    "nvfp4": (
        {"w_packed": bytes_of(3, 24), "w_scale": tenths(3, 3), "w_global_scale": floats(1)},
        {"quantization_config": {"quant_method": "compressed-tensors"}}, "w",
    ),
    "modelopt": (
        {"a.weight": bytes_of(3, 24), "a.weight_scale": tenths(3, 3),
         "a.weight_scale_2": floats(1)[0]},
        {"quantization_config": {"quant_method": "modelopt"}}, "a.weight",
    ),
    "block": (
        {"a.weight": tenths(140, 150), "a.weight_scale_inv": floats(2, 2)},
        {"quantization_config": {"quant_method": "fp8", "weight_block_size": [128, 128]}},
        "a.weight",
    ),
    "channel": ({"a.weight": tenths(5, 7), "a.weight_scale": floats(5, 1).bfloat16()}, {},
                "a.weight"),
    "gpt-oss": (
        {"m.up_blocks": bytes_of(2, 3, 2, 16), "m.up_scales": powers(2, 3, 2)},
        {"quantization_config": {"quant_method": "mxfp4"}}, "m.up",
    ),
    "mxfp6": ({"w_packed": bytes_of(2, 48), "w_scale": powers(2, 2)},
              {"quantization_config": {"quant_method": "compressed-tensors"}}, "w"),
    "mlx": (
        {"a.weight": bytes_of(2, 32).view(torch.uint32), "a.scales": powers(2, 2)},
        {"quantization": {"group_size": 32, "bits": 4, "mode": "mxfp4"}}, "a.weight",
    ),
}  # fmt: skip


@pytest.mark.parametrize("layout", LAYOUTS)
def test_what_is_followed_is_what_is_read(layout: str, tmp_path: Path) -> None:
    held, config, name = LAYOUTS[layout]
    save_file(held, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps(config))
    path = tmp_path / "model.safetensors"
    (info,) = results("inspect", path, "--tensor", name)
    assert info["quantised"]["evidence"] in ("metadata", "names")
    assert all(fit["holds"] for fit in info["quantised"]["fits"])
    assert info["bytes"] == sum(tensor.nbytes for tensor in held.values())
    codes = held[info["quantised"]["stored"]].contiguous().view(torch.uint8).flatten().tolist()
    for element in info["elements"][::3]:
        found = fpx.inspect(path, tensor=name, index=tuple(element["index"]))
        assert isinstance(found, ElementReport)
        assert found.exact is not None
        assert float(found.exact) == element["value"]
        first = found.terms[0]
        assert first.code is not None
        if first.stored is None:
            continue
        # the code is in the file where the report says
        assert first.first_bit is not None
        size = len(first.stored) // 2 - 1
        shape = info["quantised"]["stored_shape"]
        at = 0
        for each, length in zip(first.index, shape, strict=True):
            at = at * length + each
        word = int.from_bytes(codes[at * size : (at + 2) * size], "little")
        assert word & (1 << 8 * size) - 1 == int(first.stored, 16)
        assert word >> first.first_bit & (1 << first.bits) - 1 == int(first.code, 16)


@pytest.mark.parametrize("name", WRITTEN)
def test_every_layout_adds_up(name: str, tmp_path: Path) -> None:
    made, layout = WRITTEN[name]
    path = made.write(tmp_path)
    (info,) = results("inspect", path, "--tensor", made.name)
    stored = info["quantised"]
    assert (stored["layout"], tuple(info["shape"])) == (layout, made.shape)
    assert [fit["says"] for fit in stored["fits"] if not fit["holds"]] == []
    assert stored["fits"]
    named = [stored["stored"], *(scale["tensor"] for scale in stored["scales"]), *stored["beside"]]
    assert sorted(named) == sorted(made.tensors)
    counted = (key for key in made.tensors if key not in stored["beside"])
    assert info["bytes"] == sum(len(made.tensors[key].data) for key in counted)
    for place in (0, 1, len(made.values) // 2, len(made.values) - 1):
        index = tuple(int(at) for at in np.unravel_index(place, made.shape))
        found = fpx.inspect(path, tensor=made.name, index=index)
        assert isinstance(found, ElementReport)
        assert found.exact == made.values[place]
        element = found.terms[0]
        assert element.stored is None or element.first_bit is not None


def test_scales_that_have_scales(tmp_path: Path) -> None:
    made, _ = WRITTEN["nf4-nested"]
    (info,) = results("inspect", made.write(tmp_path), "--tensor", made.name)
    roles = [(scale["role"], scale["format"]) for scale in info["quantised"]["scales"]]
    assert roles == [("scale", "uint8"), ("scale of scales", "float32")]
    (entry,) = results("inspect", tmp_path, "--tensor", made.name, "--index", "0,0")
    assert {item["scale"] for item in entry["around"]} == {None}  # what is looked up is none
    _, out, _ = call("inspect", tmp_path, "--tensor", made.name, "--index", "0,0")
    assert f"map[{entry['terms'][1]['value']}]" in out


def test_a_global_scale_over_a_divisor_is_not_suspicious(tmp_path: Path) -> None:
    made, _ = WRITTEN["mlx-nvfp4-global"]
    (info,) = results("inspect", made.write(tmp_path), "--tensor", made.name)
    assert info["quantised"]["doubts"] == []


def test_neighbours_are_what_codes_beside_would_be(tmp_path: Path) -> None:
    held = {"w_packed": bytes_of(1, 8), "w_scale": tenths(1, 1), "w_global_scale": floats(1)}
    save_file(held, tmp_path / "model.safetensors")
    elements = [Fraction(n, 2) for n in (0, 1, 2, 3, 4, 6, 8, 12)]
    values = sorted({sign * each for sign, each in product((1, -1), elements)})
    factor = Fraction(float(held["w_scale"].float())) / Fraction(float(held["w_global_scale"]))
    for at in range(16):
        found = fpx.inspect(tmp_path / "model.safetensors", tensor="w", index=(0, at))
        assert isinstance(found, ElementReport)
        place = values.index(Fraction(found.terms[0].value))
        for shown, beside in ((found.lower, place - 1), (found.upper, place + 1)):
            inside = 0 <= beside < len(values)
            assert shown is None if not inside else Fraction(shown) == values[beside] * factor  # type: ignore[arg-type]


def test_ggufs_blocks(tmp_path: Path) -> None:
    path = tmp_path / "x.gguf"
    halves = bytes.fromhex("0038") + bytes(range(32))  # a scale of 0.5, and whole numbers
    path.write_bytes(gguf({"w": (8, (2, 32), halves * 2), "q": (16, (256,), bytes(66))}))
    rows = {row["tensor"]: row for row in results("inspect", path)}
    weight = rows["w"]
    assert (weight["dtype"], weight["bytes"], weight["bits_per_element"]) == ("Q8_0", 68, 8.5)
    assert weight["quantised"]["layout"] == "GGUF Q8_0"
    found = fpx.inspect(path, tensor="w", index=(1, 31))
    assert isinstance(found, ElementReport)
    assert (found.value, found.dtype) == ("15.5", "Q8_0")
    (top,) = results("inspect", path, "--tensor", "w", "--top", "1")
    assert (top["dtype"], top["largest"][0]["value"]) == ("Q8_0", 15.5)


@pytest.mark.parametrize("code", [23, 27, 28])
def test_numbers_of_few_bits_have_a_size(code: int, tmp_path: Path) -> None:
    """Those of ONNX, which have no scales."""
    row = ONNX_TYPES[code]
    path = tmp_path / "x.onnx"
    data = bytes(-(-5 * row.bits // 8))
    path.write_bytes(onnx(onnx_tensor("x", code, (5,), (9, data))))
    for options in ([], ["--stats"]):
        (entry,) = results("inspect", path, *options)
        assert (entry["bytes"], entry["storage_bytes"]) == (len(data), len(data))
        assert entry["quantised"]["stored_bytes"] == len(data)
        assert entry["dtype"] == row.type.name
        assert entry["bits_per_element"] == 8 * len(data) / 5
        out = call("inspect", path, *options)[1]
        assert f"onnx, {len(data)} bytes" in out
        assert "?" not in out
        assert "scales" not in out
