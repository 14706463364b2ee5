"""`fpx inspect`: layouts, shared storages, values and single elements."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import time
import zipfile
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import fpx
from tests.helpers import call, cells, run
from tests.writers import gguf, keras_archive, safetensors


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
    rows = cells(out)
    (at,) = (n for n, row in enumerate(rows) if row[0] == "tensor")
    assert rows[at] == ["tensor", "dtype", "shape", "bytes", "stride", "offset", "storage"]
    assert rows[at + 2 : at + 6] == [
        ["points", "float32", "[3, 4]", "48", "#1"],
        ["t", "float32", "[4, 3]", "48", "[1, 4]", "#1"],
        ["row", "float32", "[4]", "16", "4", "#1"],
        ["own", "bfloat16", "[2]", "4"],
    ]


def test_the_values_of_one_tensor(points: Path) -> None:
    (one,) = document(points, "--tensor", "row", "--stats")["results"]
    assert (one["stats"]["min"], one["stats"]["max"], one["shares_with"]) == (4, 7, ["points", "t"])
    (without,) = document(points, "--tensor", "row")["results"]
    assert without["stats"] is None
    _, out, _ = call("inspect", points, "--tensor", "row", "--stats", "--layout")
    assert "4 + i0 × 1" in out
    assert "Values by exponent" in out
    (laid_out,) = document(points, "--tensor", "row", "--stats", "--layout")["results"]
    assert laid_out == {key: one[key] for key in laid_out}
    _, out, _ = call("inspect", points, "--tensor", "row", "--stats")
    assert cells(out)[:7] == [
        ["row", "float32, shape [4], 4 elements"], ["index", "value"], ["─" * 12], ["0", "4"],
        ["1", "5"], ["2", "6"], ["3", "7"],
    ]  # fmt: skip
    assert ["row", "4", "7", "4", "5.5", "1.11803"] in cells(out)
    assert "Values by exponent" in out


@pytest.mark.parametrize(
    ("args", "words"),
    [(["--index", "0,0", "--stats"], "--index and --stats exclude each other"),
     (["--top", "1", "--stats"], "--top and --stats exclude each other"),
     (["--top", "1", "--index", "0,0"], "--index and --top exclude each other"),
     (["--top", "1", "--layout"], "--top and --layout exclude each other"),
     (["--stats", "--axis", "2"], "'t' has no axis 2: its shape is [4, 3]"),
     (["--stats", "--axis", "-3"], "'t' has no axis -3"),
     (["--axis", "0"], "--axis is of the values: ask for --stats too"),
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
        "tensor,extreme,index,value,shortest", "t,largest,3 2,11.0,11",
        "t,smallest,0 0,0.0,0", "t,closest_to_zero,1 0,1.0,1",
    ]  # fmt: skip


def test_the_drawing_maps_indexes_to_the_storage(points: Path) -> None:
    _, out, _ = call("inspect", points, "--tensor", "t", "--layout")
    assert cells(out)[-4:] == [
        ["0", "0", "4", "8"], ["1", "1", "5", "9"], ["2", "2", "6", "10"], ["3", "3", "7", "11"],
    ]  # fmt: skip
    assert "0 + i0 × 1 + i1 × 4" in out
    assert "storage #1, shared with points, row" in out
    _, out, _ = call("inspect", points, "--tensor", "row", "--layout")
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
     ["--tensor", "t", "--index", "x"], ["--index", "1"], ["--top", "3"], ["--layout"],
     ["--stats", "--axis", "2"],
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


def test_values_of_whole_tensors_and_of_corners(tmp_path: Path) -> None:
    x = torch.arange(600.0).view(2, 15, 20) / 4
    held = {"x": x, "small": x[0, :3, :2].clone(), "scalar": torch.tensor(0.1)}
    path = tmp_path / "x"
    save_file({**held, "none": torch.ones(0, 3), "count": torch.tensor([2**62 + 1])}, path)
    (found,) = document(path, "--tensor", "x")["results"]
    assert (found["whole"], len(found["elements"]), found["stats"]) == (False, 2 * 8 * 8, None)
    for item in found["elements"]:
        assert item["value"] == x[tuple(item["index"])] == float(item["shortest"])
    ends = [[0, 1], [0, 1, 2, 3, 11, 12, 13, 14], [0, 1, 2, 3, 16, 17, 18, 19]]
    assert [item["index"] for item in found["elements"]] == [list(at) for at in product(*ends)]
    _, out, _ = call("inspect", path, "--tensor", "x")
    rows = cells(out)
    assert ["[1, :, :]"] in rows
    assert ["…"] * 10 in rows
    assert [
        "14",
        "145",
        "145.25",
        "145.5",
        "145.75",
        "…",
        "149",
        "149.25",
        "149.5",
        "149.75",
    ] in rows
    (small,) = document(path, "--tensor", "small")["results"]
    assert small["whole"]
    assert [item["index"] for item in small["elements"]] == [[0, 0], [0, 1], [1, 0], [1, 1], [2, 0],
                                                             [2, 1]]  # fmt: skip
    (scalar,) = document(path, "--tensor", "scalar")["results"]
    assert scalar["elements"] == [
        {"index": [], "value": float(torch.tensor(0.1)), "shortest": "0.1"}
    ]
    assert cells(call("inspect", path, "--tensor", "scalar")[1])[-1] == ["0.1"]
    (count,) = document(path, "--tensor", "count")["results"]
    assert count["elements"][0]["value"] == 2**62 + 1
    (none,) = document(path, "--tensor", "none")["results"]
    assert (none["whole"], none["elements"]) == (True, [])
    assert "no elements" in call("inspect", path, "--tensor", "none")[1]
    _, out, _ = call("inspect", path, "--tensor", "small", "--csv")
    assert out.splitlines()[:3] == ["tensor,index,value,shortest", "small,0 0,0.0,0",
                                    "small,0 1,0.25,0.25"]  # fmt: skip


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("how", ["npy", "npz", "stdin", "memory", "pt"])
def test_corners_are_those_of_every_way_to_read(how: str, order: Any, tmp_path: Path) -> None:
    x = np.asarray(np.arange(2000, dtype="<f4").reshape(40, 50), order=order)
    np.save(tmp_path / "x.npy", x)
    np.savez(tmp_path / "x.npz", x=x)
    torch.save({"x": torch.from_numpy(x)}, tmp_path / "x.pt")
    stdin = (tmp_path / "x.npy").read_bytes() if how == "stdin" else None
    name = "stdin" if how == "stdin" else "x"
    for stats in (False, True):
        if how == "memory":
            found = fpx.inspect({"x": x}, tensor="x", stats=stats).results()
        else:
            path = "-" if how == "stdin" else tmp_path / f"x.{how}"
            args = ["inspect", path, "--tensor", name, *["--stats"] * stats, "--json"]
            found = json.loads(call(*args, stdin=stdin)[1])["results"]
        (one,) = found
        assert len(one["elements"]) == 64
        assert all(item["value"] == x[tuple(item["index"])] for item in one["elements"])
        assert (one["stats"] or {}).get("max") == (1999 if stats else None)


def test_the_document_says_what_the_file_holds(tmp_path: Path) -> None:
    save_file({"a.0": torch.ones(2, 3), "a.1": torch.ones(2, 3), "n": torch.arange(5)},
              tmp_path / "x.safetensors", {"format": "pt", "<b>": "=1"})  # fmt: skip
    np.save(tmp_path / "y.npy", np.ones(7, np.float32))
    found = document(tmp_path / "x.safetensors", tmp_path / "y.npy")
    assert found["schema"] == "fpx.inspect/2"
    assert [row["tensor"] for row in found["results"]] == ["a.0", "a.1", "n", "y"]
    assert found["dtypes"] == [
        {"dtype": "float32", "tensors": 3, "elements": 19, "bytes": 76, "bits_per_element": 32},
        {"dtype": "int64", "tensors": 1, "elements": 5, "bytes": 40, "bits_per_element": 64},
    ]
    assert (found["elements"], found["bytes"]) == (24, 116)
    assert found["metadata"] == {str(tmp_path / "x.safetensors"): {"format": "pt", "<b>": "=1"}}
    code, out, _ = call("inspect", tmp_path / "x.safetensors")
    rows = cells(out)
    assert code == 0
    assert ["a.{0..1}", "2", "float32", "[2, 3]", "48"] not in rows  # two are named
    assert ["a.{0,1}", "2", "float32", "[2, 3]", "48"] in rows
    assert ["n", "1", "int64", "[5]", "40"] in rows
    assert ["float32", "2", "12", "48"] in rows
    assert ["format", "pt"] in rows
    assert out.splitlines()[-1] == "3 tensors, 17 elements, 88 bytes"
    _, out, _ = call("inspect", tmp_path / "x.safetensors", "--all")
    assert ["a.1", "float32", "[2, 3]", "24"] in cells(out)


def test_metadata_of_keras_and_gguf(tmp_path: Path) -> None:
    path = keras_archive(tmp_path / "x.keras")
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(tmp_path / "y.keras", "w") as new:
        for name in old.namelist():
            data = old.read(name)
            new.writestr(name, b'{"keras_version": "3.9", "x": [1]}' if "meta" in name else data)
    found = document(tmp_path / "y.keras")
    assert found["metadata"] == {str(tmp_path / "y.keras"): {"keras_version": "3.9"}}
    assert document(path)["metadata"] == {}
    words = [b"word %d" % n for n in range(100)]
    data = gguf({"q": (15, (256,), bytes(292)), "x": (0, (2,), bytes(8))}, tokens=words)
    (tmp_path / "x.gguf").write_bytes(data)
    code, out, err = call("inspect", tmp_path / "x.gguf")
    assert (code, err) == (0, "")
    rows = cells(out)
    assert ["Q8_K", "1", "256", "292"] in rows
    assert ["general.architecture", "test"] in rows
    shown = ", ".join(f"word {n}" for n in range(8))
    assert ["tokens", f"100 items: {shown}, …"] in rows
    found = document(tmp_path / "x.gguf")["metadata"][str(tmp_path / "x.gguf")]
    assert found["tokens"] == {"items": 100, "first": [f"word {n}" for n in range(8)]}
    (q,) = (row for row in document(tmp_path / "x.gguf")["results"] if not row["readable"])
    assert (q["tensor"], q["dtype"], q["bytes"], q["stats"]) == ("q", "Q8_K", 292, None)
    code, _, err = call("inspect", tmp_path / "x.gguf", "--tensor", "q")
    why = "it is made while a model runs, and no file should have it"
    assert (code, err) == (2, f"fpx: 'q' is Q8_K, whose values are not read: {why}\n")
    code, out, _ = call("inspect", tmp_path / "x.gguf", "--stats", "--json")
    assert code == 0
    assert [row["stats"] is None for row in json.loads(out)["results"]] == [False, True]


def test_the_channel_that_sticks_out(tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(3)
    plain, odd = torch.rand(40, 30, generator=generator), torch.rand(40, 30, generator=generator)
    odd[7] *= 300
    save_file({"plain": plain, "odd": odd, "bias": torch.ones(4)}, tmp_path / "x.safetensors")
    rows = document(tmp_path / "x.safetensors", "--stats", "--axis", "-2")["results"]
    found = {row["tensor"]: row for row in rows}
    channel = found["odd"]["stats"]["channel"]
    maxima = odd.abs().amax(1).double()
    assert channel == {
        "axis": 0, "channels": 40, "index": 7, "max_abs": float(maxima[7]),
        "median": float(np.median(maxima.numpy())),
        "ratio": float(maxima[7] / np.median(maxima.numpy())),
    }  # fmt: skip
    assert found["bias"]["stats"]["channel"] is None
    _, out, _ = call("inspect", tmp_path / "x.safetensors", "--stats", "--axis", "0")
    shown = cells(out)
    (at,) = (n for n, row in enumerate(shown) if row[:3] == ["tensor", "axis", "channel"])
    assert shown[at + 2][:3] == ["odd", "0", "7 of 40"]
    assert [row[0] for row in shown[at + 2 : at + 5]] == ["odd", "plain", "bias"]
    code, _, err = call("inspect", tmp_path / "x.safetensors", "--stats", "--axis", "2")
    assert (code, err) == (2, "fpx: none of the 3 tensors has an axis 2\n")


@pytest.mark.slow
def test_hundred_thousand_tensors_are_listed_soon(tmp_path: Path) -> None:
    """The goal is 5 s for any of these; what is held here is what rich's tables would miss."""
    names = [f"{hashlib.md5(str(n).encode()).hexdigest()}" for n in range(100_000)]
    entries = (
        f'"{name}":{{"dtype":"F32","shape":[2],"data_offsets":[{8 * n},{8 * n + 8}]}}'
        for n, name in enumerate(names)
    )
    (tmp_path / "x").write_bytes(safetensors("{" + ",".join(entries) + "}", bytes(800_000)))
    for how in (["--all"], ["--json"]):
        start = time.process_time()
        code, out, _ = call("inspect", tmp_path / "x", *how)
        assert code == 0
        assert out.count("\n") >= 100_000
        assert time.process_time() - start < 15
    assert out.count('"tensor": ') == 100_000


def test_a_name_that_is_nearly_there_is_told(points: Path) -> None:
    code, out, err = call("inspect", points, "--tensor", "pionts")
    assert (code, out) == (2, "")
    assert err == "fpx: no tensor 'pionts' there; did you mean 'points'?\n"
    _, _, err = call("inspect", points, "--tensor", "something else")
    assert err == "fpx: no tensor 'something else' there: fpx inspect FILE lists the names\n"
