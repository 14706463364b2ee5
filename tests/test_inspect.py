"""`fpx inspect`: layouts, shared storages, values and single elements."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from typer.testing import CliRunner

from fpx.cli.app import app
from fpx.measure.inspect import extremes, tensor_stats
from fpx.tensors.entry import entry_of


def call(*args: object) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, ["inspect", *map(str, args)])
    return result.exit_code, result.stdout, result.stderr


def document(*args: object) -> dict[str, Any]:
    code, out, _ = call(*args, "--json")
    assert code == 0
    found: dict[str, Any] = json.loads(out)
    return found


@pytest.fixture
def points(tmp_path: Path) -> Path:
    x = torch.arange(12.0).view(3, 4)
    path = tmp_path / "points.pt"
    torch.save({"points": x, "t": x.t(), "row": x[1], "own": torch.ones(2, dtype=torch.bfloat16)},
               path)  # fmt: skip
    return path


def test_a_tensor_and_its_transpose_share_a_storage(points: Path) -> None:
    found = document(points)
    rows = {row["tensor"]: row for row in found["results"]}
    assert rows["points"]["storage"] == rows["t"]["storage"] == rows["row"]["storage"]
    assert rows["own"]["storage"] != rows["points"]["storage"]
    assert (rows["points"]["stride"], rows["t"]["stride"]) == ([4, 1], [1, 4])
    assert (rows["points"]["contiguous"], rows["t"]["contiguous"]) == (True, False)
    assert rows["row"]["storage_offset"] == 4
    assert rows["points"]["shares_with"] == ["t", "row"]
    assert rows["points"]["stats"] is None
    assert (found["bytes"], found["storage_bytes"], found["storage_count"]) == (116, 52, 2)
    _, out, _ = call(points)
    assert "sharing saves 64 bytes" in out


def test_the_drawing_maps_indexes_to_the_storage(points: Path) -> None:
    _, out, _ = call(points, "--tensor", "t")
    cells = [line.replace("│", " ").split() for line in out.splitlines() if "│" in line]
    assert cells == [["0", "4", "8"], ["1", "5", "9"], ["2", "6", "10"], ["3", "7", "11"]]
    assert "0 + i0 × 1 + i1 × 4" in out
    _, out, _ = call(points, "--tensor", "row")
    assert "4 + i0 × 1" in out


def test_one_element_down_to_its_bits(points: Path) -> None:
    (entry,) = document(points, "--tensor", "t", "--index", "3,2")["results"]
    assert (entry["value"], entry["code"], entry["format"]) == ("11", "0x41300000", "float32")
    (entry,) = document(points, "--tensor", "t", "--index", "[-1,-1]")["results"]
    assert entry["value"] == "11"
    (entry,) = document(points, "--tensor", "own", "--index", "0")["results"]
    assert (entry["code"], entry["format"]) == ("0x3f80", "bfloat16")


@pytest.mark.parametrize(
    "args",
    [["--tensor", "nope"], ["--tensor", "t", "--index", "1"], ["--tensor", "t", "--index", "4,0"],
     ["--tensor", "t", "--index", "x"], ["--index", "1"], ["--top", "3"],
     ["--tensor", "t", "--top", "0"], ["--tensor", "t", "--top", "1", "--index", "0,0"],
     ["--include", "nothing"]],
)  # fmt: skip
def test_bad_use(points: Path, args: list[str]) -> None:
    code, _, err = call(points, *args)
    assert (code, err.count("\n")) == (2, 1)
    assert err.startswith("fpx: ")


def test_stats_by_hand() -> None:
    x = torch.tensor([1.0, -3.0, 0.0, -0.0, math.inf, math.nan, 1e-40, 2e-45])
    stats = tensor_stats(entry_of("x", x))
    assert (stats.min, stats.max) == (-3.0, math.inf)
    assert (stats.zero_count, stats.subnormal_count) == (2, 2)
    assert (stats.nan_count, stats.inf_count) == (1, 1)
    assert stats.exponent_histogram == {0: 1, 1: 1, -133: 1, -149: 1}
    nothing = tensor_stats(entry_of("x", torch.tensor([math.nan])))
    assert (nothing.min, nothing.max) == (None, None)


@pytest.mark.parametrize(
    "dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.float8_e4m3fn,
              torch.float8_e5m2, torch.int64, torch.uint8, torch.bool], ids=str,
)  # fmt: skip
def test_stats_are_numpys(dtype: torch.dtype) -> None:
    x = (torch.randn(100_000, generator=torch.Generator().manual_seed(1)) * 100).to(dtype)
    stats = tensor_stats(entry_of("x", x))
    values = x.to(torch.float64).numpy()
    finite = values[np.isfinite(values)]
    assert (stats.min, stats.max) == (values[~np.isnan(values)].min(), np.nanmax(values))
    assert stats.zero_count == (values == 0).sum()
    assert stats.nan_count == np.isnan(values).sum()
    _, exponents = np.frexp(np.abs(finite[finite != 0]))
    unique, counts = np.unique(exponents - 1, return_counts=True)
    assert stats.exponent_histogram == dict(zip(unique.tolist(), counts.tolist(), strict=True))


def test_extremes_are_where_they_are(tmp_path: Path) -> None:
    x = torch.randn(300, 500, generator=torch.Generator().manual_seed(2))
    x[0, :3] = torch.tensor([math.nan, math.inf, 0.0])
    save_file({"x": x}, tmp_path / "x.safetensors")
    found = extremes([str(tmp_path / "x.safetensors")], "x", 5)
    values = torch.where(x.isnan(), -math.inf, x)
    order = values.view(-1).argsort(descending=True, stable=True)[:5]
    assert [item.index for item in found.largest] == [divmod(int(at), 500) for at in order]
    assert found.largest[0].value == math.inf
    for item in (*found.largest, *found.smallest, *found.closest_to_zero):
        assert x[item.index].item() == item.value
    closest = x[x != 0].abs()
    assert abs(found.closest_to_zero[0].value) == closest[~closest.isnan()].min().item()
    assert found.smallest[0].value == x[~x.isnan()].min().item()
    _, out, _ = call(tmp_path / "x.safetensors", "--tensor", "x", "--top", "3")
    assert "inf" in out


def test_tables_and_notes(points: Path, tmp_path: Path) -> None:
    code, out, _ = call(points, "--stats")
    assert code == 0
    assert "Values by exponent" in out
    bad = tmp_path / "bad.safetensors"
    bad.write_bytes(b"junk")
    code, out, err = call(points, bad)
    assert code == 2
    assert "points" in out
    assert err.count("\n") == 1
    torch.save({"e\x1b[31mvil": torch.ones(1)}, tmp_path / "evil.pt")
    _, out, _ = call(tmp_path / "evil.pt")
    assert "\x1b" not in out
    assert r"\x1b" in out
