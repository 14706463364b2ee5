"""`fpx cast-compare` as tables."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import fpx
from fpx.measure.cast_compare import cast_compare
from tests.conformance.planted import Planted
from tests.helpers import F16, F32, call, cells, drawn, results


def checkpoint(path: Path, worst: int = 30) -> Path:
    """31 tensors of which one overflows: neither among the first, nor the largest."""
    tensors = {f"layer.{n:02}": torch.full((4,), 1 + n * 2.0**-13) for n in range(31)}
    tensors[f"layer.{worst:02}"] = torch.tensor([1.0, 1e6])
    save_file(tensors, path / "x.safetensors")
    return path / "x.safetensors"


def names(text: str) -> list[str]:
    return [row[0] for row in cells(text) if row[0].startswith("layer.")]


def test_of_many_rows_the_worst_are_shown(tmp_path: Path) -> None:
    path = checkpoint(tmp_path)
    code, out, _ = call("cast-compare", path, "--to", "fp16")
    assert code == 0
    assert names(out)[0] == "layer.30"
    assert len(set(names(out))) == 20
    assert "The worst 20 rows; 11 more" in out
    _, out, _ = call("cast-compare", path, "--to", "fp16", "--top", "3")
    assert names(out)[:3] == ["layer.30", "layer.04", "layer.12"]  # overflow, then an SQNR of 73 dB
    assert "The worst 3 rows; 28 more" in out
    _, out, _ = call("cast-compare", path, "--to", "fp16", "--top", "31")
    assert names(out)[:31] == [f"layer.{n:02}" for n in range(31)]
    assert "more in" not in out
    for bad in ("0", "-1"):
        assert call("cast-compare", path, "--top", bad)[0] == 2


def test_the_columns_say_what_their_heads_say(tmp_path: Path) -> None:
    """Each number another one, so that none stands in the place of another."""
    x = [7e4] * 5 + [1e-9] * 4 + [2.0**-20] * 3 + [1.0, 1.0004]
    np.save(tmp_path / "x.npy", np.array(x))
    _, out, _ = call("cast-compare", tmp_path / "x.npy", "--to", "fp16")
    (row,) = (row for row in cells(out) if row[0] == "x" and len(row) > 4)
    # count, overflow, underflow, subnormal, largest error in ulps, SQNR
    assert row[1:5] == ["14", "5", "4", "3"]
    assert float(row[5]) == pytest.approx(0.41, abs=0.005)


def test_infinities_that_nobody_expects_are_lost_too(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.array([65519.999999999, 1.0]))
    (entry,) = results("cast-compare", tmp_path / "x.npy", "--to", "fp16")
    assert (entry["overflow_count"], entry["unexpected_nonfinite_count"]) == (0, 1)
    _, out, _ = call("cast-compare", tmp_path / "x.npy", "--to", "fp16")
    (row,) = (row for row in cells(out) if row[0] == "x" and len(row) > 4)
    assert row[1:3] == ["2", "1"]


def test_a_device_that_agrees_says_so() -> None:
    report = fpx.cast_compare(torch.ones(3), to="fp16")
    assert "differs" not in drawn(report)
    (row,) = report.rows
    row = replace(row, metrics={**row.metrics, "device_mismatch_count": 0})
    agrees = replace(report, rows=(row,))
    assert "differs" in drawn(agrees)
    (shown,) = (row for row in cells(drawn(agrees)) if row[0] == "tensor" and row[-1].isdigit())
    assert shown[-1] == "0"


def test_long_names_keep_their_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "240")
    name = "model.decoder." + ".".join(f"block{n}" for n in range(20)) + ".attention.weight"
    save_file({name: torch.ones(2)}, tmp_path / "x.safetensors")
    _, out, _ = call("cast-compare", tmp_path / "x.safetensors", "--to", "fp16")
    assert "model.decoder." in out
    assert ".block19.attention.weight" in out


def test_whoever_casts_is_named_with_the_version() -> None:
    """Also a backend that no library of the environment is."""
    report = cast_compare([torch.ones(3)], [F16], from_=F32, backend=Planted())
    assert "cast by planted 0 on cpu" in drawn(report, 120)
