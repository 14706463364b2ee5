"""--stored and --as of the commands that read tensor files."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors.torch import save_file

import fpx
from tests import quantised_writers as writers
from tests.helpers import call, document, memory_of
from tests.quantised_writers import Made, Raw
from tests.tensors.quantised.test_told import NV, renamed

AS = "W=nvfp4,scale=S,global=G,nibbles=high,swizzled"


def names(*args: object) -> list[str]:
    return [each["tensor"] for each in document(*args)["results"]]


def test_inspect_shows_weights_or_what_is_stored(tmp_path: Path) -> None:
    path = str(writers.nvfp4("modelopt").write(tmp_path))
    assert names("inspect", path) == ["a.weight"]
    stored = ["a.weight", "a.weight_scale", "a.weight_scale_2"]
    assert names("inspect", path, "--stored") == stored
    assert [info.tensor for info in fpx.inspect(path, stored=True).tensors] == stored  # type: ignore[union-attr]


def test_inspect_reads_as_it_is_told(tmp_path: Path) -> None:
    path = str(renamed(writers.nvfp4("comfyui"), **NV).write(tmp_path))
    assert names("inspect", path) == ["G", "S", "W"]
    assert names("inspect", path, "--as", AS) == ["W"]
    _, out, _ = call("inspect", path, "--as", AS, "--tensor", "W", "--index", "0,0")
    assert "high nibble" in out
    assert [info.tensor for info in fpx.inspect(path, as_=AS).tensors] == ["W"]  # type: ignore[union-attr]


def test_what_cannot_be_is_one_line(tmp_path: Path) -> None:
    path = str(renamed(writers.nvfp4("comfyui"), **NV).write(tmp_path))
    for command in (["inspect", path], ["diff", path, path]):
        line = "fpx: --as 'V=nvfp4': no source has a tensor of that name\n"
        assert call(*command, "--as", "V=nvfp4") == (2, "", line)
        code, out, err = call(*command, "--as", "W=nvfp4,scale=S")
        assert (code, out) == (2, "")
        assert "say which tensor has its global scale" in err
        _, _, err = call(*command, "--as", "W=nvfp4,scale=S", "--stored")
        assert "--stored leaves tensors as they are, and --as says what they mean" in err


def test_diff_compares_what_is_meant(tmp_path: Path) -> None:
    made = writers.deepseek()
    path = made.write(tmp_path, "b.safetensors")
    (tmp_path / "a").mkdir()
    values = torch.tensor([float("nan") if each is None else float(each) for each in made.values])
    save_file({"a.weight": values.view(made.shape)}, tmp_path / "a.safetensors")
    (row,) = fpx.diff(tmp_path / "a.safetensors", path).rows
    assert row.a is not None
    assert row.b is not None
    assert (row.a.dtype, row.b.dtype) == ("float32", "float64")
    report = fpx.diff(path, path, stored=True)
    assert [row.a.tensor for row in report.rows if row.a] == ["a.weight", "a.weight_scale_inv"]
    assert report.equal


def test_diff_tells_one_side(tmp_path: Path) -> None:
    made = writers.nvfp4("comfyui")
    told = renamed(made, **NV).write(tmp_path, "b.safetensors")
    original = Made({"W": Raw("F32", (6, 64), bytes(4 * 384))}, "W", (6, 64), [])
    plain = original.write(tmp_path, "a.safetensors")
    report = fpx.diff(plain, told, as_=AS)
    assert [row.b.dtype for row in report.rows if row.b and row.b.tensor == "W"] == ["float64"]
    assert report.passed_over == 0


def test_memory_stays_flat(tmp_path: Path) -> None:
    rows, columns = 4096, 32768  # 134 million elements, of which float64 would take 1 GB
    sizes = {"w.weight_packed": ("U8", (rows, columns // 2)),
             "w.weight_scale": ("F8_E4M3", (rows, columns // 16)),
             "w.weight_global_scale": ("F32", (1,))}  # fmt: skip
    header, at = {}, 0
    for name, (dtype, shape) in sizes.items():
        size = (4 if dtype == "F32" else 1) * torch.Size(shape).numel()
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(header).encode()
    path = tmp_path / "x.safetensors"
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        file.truncate(8 + len(text) + at)  # zeros that take no room
    found = memory_of("inspect", path, "--stats", "--json")
    assert (found.code, found.err) == (0, "")
    assert found.megabytes < 64 + 8  # the scales have 8
