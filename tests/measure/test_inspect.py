"""Statistics and extremes of tensors as they are."""

from __future__ import annotations

import io
import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from fpx.measure.values import extremes, tensor_stats
from fpx.tensors.memory import entry_of
from tests.helpers import call, document, results, run
from tests.tensors.reading import open_files


def test_stats_by_hand() -> None:
    x = torch.tensor([1.0, -3.0, 0.0, -0.0, math.inf, math.nan, 1e-40, 2e-45])
    stats = tensor_stats(entry_of("x", x))
    assert (stats.min, stats.max, stats.max_abs) == (-3.0, 1.0, 3.0)
    assert stats.min_abs == float(x[7])
    assert (stats.zero_count, stats.subnormal_count) == (2, 2)
    assert (stats.nan_count, stats.inf_count) == (1, 1)
    assert stats.exponent_histogram == {0: 1, 1: 1, -133: 1, -149: 1}
    nothing = tensor_stats(entry_of("x", torch.tensor([math.nan])))
    assert {nothing.min, nothing.max, nothing.max_abs, nothing.min_abs} == {None}
    assert {nothing.mean, nothing.std, nothing.channel} == {None}


@pytest.mark.parametrize(
    "dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.float8_e4m3fn,
              torch.float8_e5m2, torch.int64, torch.uint8, torch.bool], ids=str,
)  # fmt: skip
def test_stats_are_numpys(dtype: torch.dtype) -> None:
    x = (torch.randn(100_000, generator=torch.Generator().manual_seed(1)) * 100).to(dtype)
    stats = tensor_stats(entry_of("x", x))
    values = x.to(torch.float64).numpy()
    finite = values[np.isfinite(values)]
    assert (stats.min, stats.max) == (finite.min(), finite.max())
    assert stats.max_abs == np.abs(finite).max()
    assert stats.min_abs == np.abs(finite[finite != 0]).min()
    assert stats.mean == pytest.approx(finite.mean(), rel=1e-12, abs=1e-12)
    assert stats.std == pytest.approx(finite.std(), rel=1e-12)
    assert stats.zero_count == (values == 0).sum()
    assert stats.nan_count == np.isnan(values).sum()
    assert stats.inf_count == np.isinf(values).sum()
    normal = torch.finfo(dtype).smallest_normal if dtype.is_floating_point else 0
    assert stats.subnormal_count == ((values != 0) & (np.abs(values) < normal)).sum()
    _, exponents = np.frexp(np.abs(finite[finite != 0]))
    unique, counts = np.unique(exponents - 1, return_counts=True)
    assert stats.exponent_histogram == dict(zip(unique.tolist(), counts.tolist(), strict=True))


def test_extremes_are_where_they_are(tmp_path: Path) -> None:
    x = torch.randn(300, 500, generator=torch.Generator().manual_seed(2))
    x[0, :3] = torch.tensor([math.nan, math.inf, 0.0])
    save_file({"x": x}, tmp_path / "x.safetensors")
    (source,) = open_files(str(tmp_path / "x.safetensors"))
    largest, smallest, closest_to_zero = extremes(source.entries[0], 5, block=1000)
    values = torch.where(x.isnan(), -math.inf, x)
    order = values.view(-1).argsort(descending=True, stable=True)[:5]
    assert [item.index for item in largest] == [divmod(int(at), 500) for at in order]
    assert (largest[0].value, largest[0].shortest) == (math.inf, "inf")
    for item in (*largest, *smallest, *closest_to_zero):
        assert x[item.index].item() == item.value
        assert float(np.float32(item.shortest)) == item.value
    closest = x[x != 0].abs()
    assert abs(closest_to_zero[0].value) == closest[~closest.isnan()].min().item()
    assert smallest[0].value == x[~x.isnan()].min().item()
    _, out, _ = call("inspect", tmp_path / "x.safetensors", "--tensor", "x", "--top", "3")
    assert "inf" in out


@pytest.mark.parametrize("dtype", [torch.int64, torch.uint64, torch.uint8, torch.bool], ids=str)
def test_extremes_of_integers_are_exact(dtype: torch.dtype) -> None:
    """Also where float64, in which neighbours beyond 2^53 are one, has not all of them."""
    bits = [2**53, 2**53 + 1, 3, 0, -(2**63), -(2**63) + 1, 2**63 - 1, 2**63 - 2, -1, -2, 1, 0]
    x = torch.tensor(bits, dtype=torch.int64)
    x = x.view(dtype) if dtype.itemsize == 8 else x.to(dtype)
    numbers = [value.item() for value in x]
    entry = entry_of("x", x)
    for count, block in ((len(x), 100), (len(x), 5), (3, 1), (4, 4)):
        largest, smallest, closest = extremes(entry, count, block=block)
        down, up = sorted(numbers, reverse=True)[:count], sorted(numbers)[:count]
        near = sorted((n for n in numbers if n), key=abs)[:count]
        for found, wanted in ((largest, down), (smallest, up), (closest, near)):
            assert [abs(item.value) for item in found] == [abs(number) for number in wanted]
            assert all(numbers[item.index[0]] == item.value for item in found)
            assert [item.shortest for item in found] == [str(item.value) for item in found]
        assert [item.value for item in (*largest, *smallest)] == down + up


def test_values_of_uint64_are_shown(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.array([2**64 - 1, 2**63, 7], np.uint64))
    code, out, err = call("inspect", tmp_path / "x.npy", "--tensor", "x")
    assert (code, err) == (0, "")
    assert "18446744073709551615" in out
    assert "9223372036854775808" in out


def test_exponents_of_integers_are_exact() -> None:
    for dtype, wanted in (
        (torch.int64, {62: 1, 0: 2, 63: 1}),
        (torch.uint64, {62: 1, 63: 2, 0: 1}),
    ):
        x = torch.tensor([2**63 - 1, 1, -1, -(2**63)]).view(dtype)
        assert tensor_stats(entry_of("x", x)).exponent_histogram == wanted


def test_extremes_of_what_comes_on_stdin() -> None:
    data = io.BytesIO()
    np.save(data, np.array([3.0, -7.0, 1e-9, -1e-12, 0.0], np.float32))
    args = ("inspect", "-", "--tensor", "stdin", "--top", "1", "--json")
    result = run(*args, warm=True, input=data.getvalue(), text=False)
    assert result.returncode == 0
    (found,) = json.loads(result.stdout)["results"]
    assert [found[key][0]["index"] for key in ("largest", "smallest", "closest_to_zero")] == [
        [0], [1], [3],
    ]  # fmt: skip
    assert found["closest_to_zero"][0]["value"] == float(np.float32(-1e-12))


def test_the_smallest_normal_is_none_of_the_subnormals() -> None:
    x = torch.tensor([2.0**-14, 2.0**-15, -(2.0**-24), -(2.0**-14), 0.0], dtype=torch.float16)
    assert tensor_stats(entry_of("x", x)).subnormal_count == 2
    x = torch.tensor([2.0**-6, 2.0**-7]).to(torch.float8_e4m3fn)
    assert tensor_stats(entry_of("x", x)).subnormal_count == 1


def test_contiguous_is_what_torch_says(tmp_path: Path) -> None:
    """Axes of one element may have any stride, and so may everything where there is nothing."""
    rng, base = np.random.default_rng(0), torch.zeros(5000)
    views = {"odd": base.as_strided((1, 4), (7, 1))}
    for number in range(300):
        axes = int(rng.integers(0, 4))
        shape = [int(n) for n in rng.choice([0, 1, 1, 2, 3], axes)]
        stride = [int(n) for n in rng.integers(1, 9, axes)]
        if rng.random() < 0.5:  # right but for the axes of one element
            right = torch.empty(shape).stride()
            stride = [s if n == 1 else r for s, n, r in zip(stride, shape, right, strict=True)]
        views[str(number)] = base.as_strided(shape, stride)
    torch.save(views, tmp_path / "x.pt")
    found = {row["tensor"]: row["contiguous"] for row in results("inspect", tmp_path / "x.pt")}
    assert found == {name: view.is_contiguous() for name, view in views.items()}
    assert 30 < sum(found.values()) < 270


def test_a_tensor_that_several_files_have_is_not_chosen(tmp_path: Path) -> None:
    for name, value in (("a", 1.0), ("b", 2.0)):
        save_file({"x": torch.full((2,), value), name: torch.ones(1)}, tmp_path / name)
    files = (tmp_path / "a", tmp_path / "b")
    for more in (["--index", "0"], ["--top", "1"], []):
        code, out, err = call("inspect", *files, "--tensor", "x", *more)
        assert (code, out) == (2, "")
        assert err.startswith("fpx: 2 files have a tensor 'x'")
    torch.save({"a": {"b": torch.ones(2)}, "a.b": torch.zeros(2)}, tmp_path / "x.pt")
    _, _, err = call("inspect", tmp_path / "x.pt", "--tensor", "a.b")
    assert err == "fpx: 2 tensors are called 'a.b' there: none is chosen\n"
    (entry,) = results("inspect", *files, "--tensor", "b", "--index", "0")
    assert entry["value"] == "1"


def test_sizes_of_files_whose_tensors_have_one_name(tmp_path: Path) -> None:
    save_file({"x": torch.ones(2)}, tmp_path / "a.safetensors")
    save_file({"x": torch.ones(5)}, tmp_path / "b.safetensors")
    found = document("inspect", tmp_path)
    assert (found["bytes"], found["storage_bytes"], found["storage_count"]) == (28, 28, 2)
