"""`fpx cast-compare`."""

from __future__ import annotations

import json
import os
import signal
import struct
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import fpx
from tests.helpers import PATIENCE, call, results, running, without_compiling


def test_cast_compare_reports_a_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save_file({"ok": torch.ones(4), "w\x1b[31m": torch.tensor([[1.0, 7e4], [1e-9, 2.0]])}, path)
    code, out, err = call("cast-compare", str(path), "--to", "fp16", "--json")
    assert (code, err) == (0, "")
    rows = {row["tensor"]: row for row in json.loads(out)["results"]}
    row = rows["w\x1b[31m"]
    assert (row["overflow_count"], row["overflow_to_inf_count"], row["underflow_count"]) == (
        1,
        1,
        1,
    )
    assert row["first_overflow"]["index"] == [0, 1]
    assert row["first_overflow"]["value"] == 7e4
    assert row["first_overflow"]["result"] is None
    assert row["first_overflow"]["shown"] == "70000 -> inf"
    assert rows["ok"]["exact_count"] == 4
    code, out, _ = call("cast-compare", str(path), "--to", "fp16")
    assert code == 0
    assert "\x1b" not in out


def test_fail_if_exits_1_and_names_the_row(tmp_path: Path) -> None:
    path = tmp_path / "x.npy"
    np.save(path, np.array([1.0, 1e6], dtype=np.float32))
    args = ["cast-compare", str(path), "--to", "fp16"]
    code, out, err = call(*args, "--fail-if", "overflow_count>0", "--fail-if", "sqnr_db>0")
    assert code == 1
    assert "float16" in out
    assert err.startswith("fpx: ")
    assert "overflow_count>0 holds" in err
    assert err.count("\n") == 1
    assert call(*args, "--fail-if", "overflow_count > 50%")[0] == 0
    assert call(*args, "--fail-if", "overflow_count>=50%")[0] == 1


def test_a_bad_file_among_good_ones(tmp_path: Path) -> None:
    good = tmp_path / "good.npy"
    np.save(good, np.ones(3, np.float32))
    code, out, err = call("cast-compare", str(good), str(tmp_path / "absent.pt"), "--json")
    assert code == 2
    assert len(json.loads(out)["results"]) == 2
    assert "absent.pt" in err
    assert err.count("\n") == 1


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has CUDA")
def test_cuda_without_cuda_exits_3() -> None:
    code, out, err = call("cast-compare", "normal", "--device", "cuda")
    assert (code, out) == (3, "")
    assert err.startswith("fpx: torch")
    code, _, err = call("cast-compare", "normal", "--device", "auto", "--size", "10")
    assert code == 0
    assert err.startswith("fpx: auto took cpu")


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
def test_cuda_agrees_with_the_cpu() -> None:
    code, out, _ = call("cast-compare", "--device", "cuda", "--json")
    assert code == 0
    for row in json.loads(out)["results"]:
        assert row["device_mismatch_count"] == 0


def test_ctrl_c_shows_the_totals_so_far(tmp_path: Path) -> None:
    path = tmp_path / "x.npy"
    with path.open("wb") as file:  # sparse: 40 GB that take no room
        header = {"descr": "<f4", "fortran_order": False, "shape": (10_000_000_000,)}
        np.lib.format.write_array_header_1_0(file, header)
        file.truncate(file.tell() + 40_000_000_000)
    args = ("cast-compare", path, "--to", "fp16", "--json")
    with running(*args, stdin=subprocess.DEVNULL) as process:
        fds = Path(f"/proc/{process.pid}/fd")
        deadline = time.monotonic() + PATIENCE
        while not any(os.path.realpath(fd) == str(path.resolve()) for fd in fds.iterdir()):
            assert time.monotonic() < deadline  # it has not begun to read
            time.sleep(0.05)
        time.sleep(1)
        process.send_signal(signal.SIGINT)
        start = time.monotonic()
        out, err = process.communicate(timeout=PATIENCE)
        assert time.monotonic() - start < 5
    assert process.returncode == 130
    assert without_compiling(err).startswith("fpx: interrupted")
    document = json.loads(out)
    assert document["partial"] is True
    assert 0 < document["totals"][0]["count"] < 1_000_000_000


def test_the_seed_alone_tells_what_is_drawn() -> None:
    def numbers(*options: str) -> tuple[object, ...]:
        (row,) = results("cast-compare", "normal", "--to", "fp16", "--size", "500", *options)
        return row["max_abs_error"], row["rms_error"], row["exact_count"]

    assert numbers() == numbers("--seed", "0") != numbers("--seed", "1")
    assert numbers("--seed", "1") == numbers("--seed", "1") != numbers("--seed", "2")


@pytest.mark.parametrize("size", [7, 500])
def test_so_many_values_are_drawn_as_were_asked_for(size: int) -> None:
    rows = results("cast-compare", "normal", "uniform", "--to", "fp16", "--size", str(size))
    assert [row["count"] for row in rows] == [size, size]


@pytest.mark.parametrize("name", ["float64", "bfloat16"])
def test_distributions_are_drawn_in_the_format_that_was_asked_for(name: str) -> None:
    args = ("cast-compare", "normal", "--to", "fp16", "--size", "500")
    (row,) = results(*args, "--from", name)
    assert row["from"] == name
    (plain,) = results(*args)
    assert plain["from"] == "float32"
    assert plain["rms_error"] != row["rms_error"]


def test_views_and_tolerances_reach_the_report(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    save_file({"x": torch.tensor([7e4, 1e-9] + [1.0] * 8), "n": torch.arange(4)}, path)
    args = ("cast-compare", path, "--to", "fp16")
    code, out, err = call(*args)
    assert (code, "values by exponent" in out) == (0, False)
    assert err == f"fpx: note: {path}: 1 int64 tensor left as it is: --integers casts such too\n"
    assert "x: values by exponent" in call(*args, "--histogram")[1]
    entries = results(*args, "--integers")
    assert {entry["tensor"] for entry in entries} == {"x", "n"}

    def verdict(*options: str) -> str:
        found: str = json.loads(call(*args, "--json", *options)[1])["results"][0]["verdict"]
        return found

    assert verdict() == "loses range"
    assert verdict("--tolerate-overflow", "0.1") == "loses small values"
    assert verdict("--tolerate-overflow", "10%", "--tolerate-underflow", "11.2%") == "fits"
    assert verdict("--tolerate-overflow", "9%", "--tolerate-underflow", "1") == "loses range"
    save_file({"x": torch.full((9,), 3e-7)}, path)
    assert verdict() == "loses small values"
    assert verdict("--tolerate-loss", "29.4") == "fits"
    for option, bad in (("overflow", "x"), ("underflow", "101%"), ("loss", "-1"), ("loss", "nan")):
        code, out, err = call(*args, f"--tolerate-{option}", bad)
        assert (code, out, err.count("\n")) == (2, "", 1)
        assert f"--tolerate-{option}" in err


def test_all_is_what_can_be_measured(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.ones(2))
    found = [entry["to"] for entry in results("cast-compare", tmp_path / "x.npy", "--to", "all")]
    assert found == [name for name in fpx.FORMATS if name != "float128"]
    eight = results("cast-compare", tmp_path / "x.npy", "--to", "all8,bf16")
    assert len(eight) == sum(spec.bits == 8 for spec in fpx.FORMATS.values()) + 1
    assert call("cast-compare", tmp_path / "x.npy", "--to", "float128")[0] == 2


def test_a_gate_does_not_pass_over_what_cannot_be_read(tmp_path: Path) -> None:
    header = {
        name: {"dtype": dtype, "shape": [2], "data_offsets": [at, at + 8]}
        for name, dtype, at in (("a", "F32", 0), ("b", "F99", 8))
    }
    head = json.dumps(header).encode()
    path = tmp_path / "x.safetensors"
    path.write_bytes(struct.pack("<Q", len(head)) + head + bytes(16))
    args = ["cast-compare", path, "--to", "fp16"]
    note = f"fpx: note: {path}: b: F99 is not read\n"
    code, _, err = call(*args)
    assert (code, err) == (0, note)
    code, _, err = call(*args, "--fail-if", "overflow_count>0")
    assert (code, err) == (3, f"{note}fpx: 1 tensor not checked, because unread: 'b'\n")
    code, _, err = call(*args, "--fail-if", "overflow_count>0", "--exclude", "b")
    assert (code, err) == (0, "")
