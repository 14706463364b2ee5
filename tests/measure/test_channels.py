"""What a channel that sticks out costs those that share its scales, held to numpy's arithmetic."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import fpx
from fpx.errors import InputError
from tests.helpers import call


def weights() -> np.ndarray[Any, Any]:
    """20 x 48 normal numbers; row 7 is 100 times larger, and so is column 3 ten times."""
    x = np.random.default_rng(2).standard_normal((20, 48))
    x[7] *= 100
    x[:, 3] *= 10
    x[7, 3] = 2000
    return x


def int8(x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """x with one float32 scale for all of it: elements are n / 64 from -127 to 127."""
    step = float(np.float32(np.abs(x).max() / (127 / 64))) / 64
    return np.clip(np.rint(x / step), -127, 127) * step


def decibels(x: np.ndarray[Any, Any], q: np.ndarray[Any, Any]) -> float:
    return float(10 * np.log10((x**2).sum() / ((x - q) ** 2).sum()))


@pytest.mark.parametrize(("axis", "index"), [(0, 7), (1, 3), (-1, 3)])
def test_the_cost_is_what_the_others_lose(axis: int, index: int) -> None:
    x = weights()
    (found,) = fpx.cast_compare(x, to="int8:tensor", axis=axis).channels
    assert (found.channel.axis, found.channel.index) == (axis % 2, index)
    assert found.channel.channels == x.shape[axis]
    others = np.ones(x.shape, bool)
    np.moveaxis(others, axis, 0)[index] = False
    shared = int8(x)
    alone = int8(np.where(others, x, 0))
    assert found.others_sqnr_db == pytest.approx(decibels(x[others], shared[others]), abs=1e-9)
    assert found.alone_sqnr_db == pytest.approx(decibels(x[others], alone[others]), abs=1e-9)
    assert found.others_underflow_count == (shared[others] == 0).sum()
    assert found.alone_underflow_count == (alone[others] == 0).sum()
    lost = found.alone_sqnr_db - found.others_sqnr_db
    assert found.cost_db == pytest.approx(lost)
    zeros = found.others_underflow_count - found.alone_underflow_count
    assert f"costs the others {lost:.2f} dB" in found.text
    assert f"{zeros:,} more of their values underflow" in found.text


def test_scales_of_its_own_cost_the_others_nothing() -> None:
    x = torch.from_numpy(weights()).to(torch.bfloat16)
    report = fpx.cast_compare(x, to=["int8:channel", "mxfp4", "int8:block=4x8"], axis=0)
    alone, blocks, tiles = report.channels
    assert alone.cost_db == blocks.cost_db == 0
    assert alone.text.endswith("costs the others nothing.")
    assert tiles.cost_db > 1  # rows 4 to 6 share tiles with row 7


def test_order_of_storage_and_blocks_do_not_matter(tmp_path: Path) -> None:
    x = np.random.default_rng(5).standard_normal((300, 700)).astype(np.float32)
    x[41] *= 50
    np.save(tmp_path / "c.npy", x)
    np.save(tmp_path / "f.npy", np.asfortranarray(x))
    one, other = (
        fpx.cast_compare(tmp_path / name, to=["int8:tensor", "nvfp4"], axis=0).channels
        for name in ("c.npy", "f.npy")
    )
    for a, b in zip(one, other, strict=True):
        assert a.channel == b.channel
        assert a.others_sqnr_db == pytest.approx(b.others_sqnr_db)
    assert one[0].others_sqnr_db == pytest.approx(
        decibels(np.delete(x, 41, 0).astype(float), np.delete(int8(x.astype(float)), 41, 0))
    )


def test_what_is_not_finite_is_left_out() -> None:
    x = torch.full((4, 32), 448.0)  # scales of 4 and of 1, which lose nothing
    x[1] = 1792.0
    x[0, 0], x[2, 5] = math.nan, math.inf
    (found,) = fpx.cast_compare(x, to="e4m3fn:tensor", axis=0).channels
    assert (found.others_sqnr_db, found.cost_db) == (math.inf, 0)
    assert found.text == "channel 1 of tensor (4 × the median) costs the others nothing."


def test_tensors_without_channels_are_passed_over() -> None:
    tensors = {"w": torch.randn(8, 8), "bias": torch.randn(8), "row": torch.randn(1, 8),
               "none": torch.empty(0, 8), "zeros": torch.zeros(2, 3)}  # fmt: skip
    report = fpx.cast_compare(tensors, to=["fp16", "int8:tensor"], axis=0)
    assert [each.tensor for each in report.channels] == ["w", "zeros"]
    assert "all are zeros" in report.channels[1].text
    assert report.to_dict()["channels"][1]["others_sqnr_db"] is None
    assert fpx.cast_compare(tensors, to="int8:tensor").channels == ()
    with pytest.raises(InputError, match="name a target with scales"):
        fpx.cast_compare(tensors, to="fp16", axis=0)
    with pytest.raises(InputError, match="none of the 5 tensors has channels along axis 4"):
        fpx.cast_compare(tensors, to="mxfp4", axis=4)


def test_the_screen_tells_the_dearest_first(tmp_path: Path) -> None:
    x = weights().astype(np.float32)
    path = tmp_path / "w.npz"
    np.savez(path, even=np.ones_like(x), odd=x)
    args = ("cast-compare", str(path), "--to", "e4m3fn", "--scale", "tensor", "--axis", "0")
    code, out, _ = call(*args, "--top", "1", columns=100)
    assert code == 0
    assert "float8_e4m3fn with a float32 scale per tensor, axis 0: channel 7 of odd (" in out
    table = out[out.index("channels of axis 0") :]
    assert "7 of 20" in table
    assert " even " not in table
    assert "1 more (--all shows every one)" in table
    entry = json.loads(call(*args, "--json")[1])["channels"][1]
    assert (entry["tensor"], entry["to"]) == ("odd", "float8_e4m3fn:tensor")
    assert entry["cost_db"] == pytest.approx(entry["alone_sqnr_db"] - entry["others_sqnr_db"])


@pytest.mark.parametrize("dtype", [torch.int32, torch.int64, torch.uint64], ids=str)
def test_integers_are_the_numbers_that_they_are(dtype: torch.dtype) -> None:
    """Small ones, and ones that float64 lacks, which are zeros beside the channel all the same."""
    x = torch.arange(1, 97).view(4, 24)
    x[2] *= 1000
    for factor in (1, 1 << 40):
        if factor > 1 and dtype is torch.int32:
            continue
        numbers = x * factor + factor // 3
        (as_floats,) = fpx.cast_compare(numbers.double(), to="int8:tensor", axis=0).channels
        (found,) = fpx.cast_compare(
            numbers.to(dtype), to="int8:tensor", axis=0, integers=True
        ).channels
        assert found.others_sqnr_db == pytest.approx(as_floats.others_sqnr_db)
        assert found.alone_sqnr_db == pytest.approx(as_floats.alone_sqnr_db)
        assert found.others_underflow_count == as_floats.others_underflow_count > 0
        assert found.alone_underflow_count == as_floats.alone_underflow_count


def test_an_integer_beside_a_tie_is_not_taken_for_it() -> None:
    """Float64 rounds it to half of the smallest element, which is even: 0."""
    x = torch.tensor([[127 << 55, (1 << 54) + 1, 1 << 54], [(1 << 63) - 1, 0, 0]])
    (found,) = fpx.cast_compare(x, to="int8:tensor", axis=0, integers=True).channels
    assert (found.others_underflow_count, found.alone_underflow_count) == (2, 1)
