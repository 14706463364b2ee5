"""`fpx inspect`: layouts, shared storages, values and single elements."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.helpers import call, run


def document(*args: object) -> dict[str, Any]:
    code, out, _ = call("inspect", *args, "--json")
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
    _, out, _ = call("inspect", points)
    assert "sharing saves 64 bytes" in out


def test_names_of_storages_are_the_same_at_every_run(points: Path) -> None:
    found = [json.loads(run("inspect", points, "--json").stdout)["results"] for _ in range(2)]
    names = [row["storage"] for row in found[0]]
    assert names == [row["storage"] for row in found[1]] == ["#1", "#1", "#1", "#2"]
    (one,) = document(points, "--tensor", "own")["results"]
    assert (one["storage"], one["shares_with"]) == ("#2", [])
    _, out, _ = call("inspect", points)
    lines = [line.split() for line in out.splitlines()]
    shown = {line[0]: line[-1] for line in lines if len(line) > 7}
    expected = {"points": "#1", "t": "#1", "row": "#1", "own": "own"}
    assert {name: shown[name] for name in expected} == expected


def test_the_values_of_one_tensor(points: Path) -> None:
    (one,) = document(points, "--tensor", "row", "--stats")["results"]
    assert (one["stats"]["min"], one["stats"]["max"], one["shares_with"]) == (4, 7, ["points", "t"])
    (without,) = document(points, "--tensor", "row")["results"]
    assert without["stats"] is None
    _, out, _ = call("inspect", points, "--tensor", "row", "--stats")
    assert "4 + i0 × 1" in out
    assert "Values by exponent" in out


@pytest.mark.parametrize(
    ("args", "words"),
    [(["--index", "0,0", "--stats"], "--index and --stats exclude each other"),
     (["--top", "1", "--stats"], "--top and --stats exclude each other"),
     (["--top", "1", "--index", "0,0"], "--index and --top exclude each other"),
     (["--exclude", "t"], "no tensor 't' there"),
     (["--exclude", "*"], "check --include and --exclude")],
)  # fmt: skip
def test_what_of_one_tensor_cannot_be_asked(points: Path, args: list[str], words: str) -> None:
    code, out, err = call("inspect", points, "--tensor", "t", *args)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert words in err


def test_which_of_two_tensors_is_chosen(points: Path, tmp_path: Path) -> None:
    torch.save({"t": torch.ones(1)}, tmp_path / "other.pt")
    found = ("inspect", points, tmp_path / "other.pt", "--tensor", "t")
    assert "2 files have a tensor 't'" in call(*found)[2]


def test_every_form_has_a_row_per_tensor(points: Path) -> None:
    _, out, _ = call("inspect", points, "--stats", "--csv")
    head, *rows = csv.reader(io.StringIO(out))
    assert [dict(zip(head, row, strict=True))["tensor"] for row in rows] == [
        "points", "t", "row", "own",
    ]  # fmt: skip
    first = dict(zip(head, rows[1], strict=True))
    assert (first["shape"], first["stride"], first["stats.max"]) == ("4 3", "1 4", "11.0")
    _, out, _ = call("inspect", points, "--tensor", "t", "--top", "1", "--csv")
    assert out.splitlines() == [
        "tensor,extreme,index,value", "t,largest,3 2,11.0", "t,smallest,0 0,0.0",
        "t,closest_to_zero,1 0,1.0",
    ]  # fmt: skip


def test_the_drawing_maps_indexes_to_the_storage(points: Path) -> None:
    _, out, _ = call("inspect", points, "--tensor", "t")
    cells = [line.replace("│", " ").split() for line in out.splitlines() if "│" in line]
    assert cells == [["0", "4", "8"], ["1", "5", "9"], ["2", "6", "10"], ["3", "7", "11"]]
    assert "0 + i0 × 1 + i1 × 4" in out
    _, out, _ = call("inspect", points, "--tensor", "row")
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
    code, _, err = call("inspect", points, *args)
    assert (code, err.count("\n")) == (2, 1)
    assert err.startswith("fpx: ")


def test_tables_and_notes(points: Path, tmp_path: Path) -> None:
    code, out, _ = call("inspect", points, "--stats")
    assert code == 0
    assert "Values by exponent" in out
    bad = tmp_path / "bad.safetensors"
    bad.write_bytes(b"junk")
    code, out, err = call("inspect", points, bad)
    assert code == 2
    assert "points" in out
    assert err.count("\n") == 1
    torch.save({"e\x1b[31mvil": torch.ones(1)}, tmp_path / "evil.pt")
    _, out, _ = call("inspect", tmp_path / "evil.pt")
    assert "\x1b" not in out
    assert r"\x1b" in out
