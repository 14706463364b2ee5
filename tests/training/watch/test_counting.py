"""Counts of tensors, against casts of each element."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from fpx.core.codec import decode
from fpx.core.formats import FORMATS
from fpx.core.spec import FormatSpec
from fpx.tensors.dtypes import codes_of, spec_of
from fpx.training.watch import counting
from fpx.training.watch.counting import counter_of
from fpx.training.watch.edges import Counted
from fpx.training.watch.targets import watched_formats
from tests.training.watch.oracle import Counts, code, counts, spread

TARGETS = watched_formats("all")
CPU = torch.device("cpu")


def counted(x: Tensor, target: FormatSpec) -> Counts:
    source = spec_of(x.dtype)
    assert source is not None
    edges, counter = counter_of(source, TARGETS, CPU)
    numbers, _ = counter.count(x)
    found = Counted(edges, numbers.tolist())
    return Counts(
        found.finite_count + found.inf_count + found.nan_count,
        found.zero_count,
        found.inf_count,
        found.nan_count,
        found.overflows(target),
        found.underflows(target),
        found.subnormals(target),
    )


def largest(x: Tensor) -> float:
    source = spec_of(x.dtype)
    assert source is not None
    _, magnitude = counter_of(source, TARGETS, CPU)[1].count(x)
    return float(source.finite(int(magnitude)).fraction)


@pytest.mark.parametrize("target", TARGETS, ids=lambda spec: spec.name)
@pytest.mark.parametrize(
    "dtype",
    [torch.float16, torch.bfloat16, torch.float8_e4m3fn, torch.float8_e5m2, torch.float8_e4m3fnuz],
    ids=str,
)
def test_every_code_is_counted_for_what_it_becomes(dtype: torch.dtype, target: FormatSpec) -> None:
    if dtype.itemsize == 1:
        x = torch.arange(256).to(torch.uint8).view(dtype)
    else:
        x = torch.arange(0, 65536, 7).to(torch.int16).view(dtype)
    assert counted(x, target) == counts(x, target)


def near_edges(dtype: torch.dtype) -> Tensor:
    """Every edge of every target, and both its neighbours, of both signs."""
    source = spec_of(dtype)
    assert source is not None
    edges, _ = counter_of(source, TARGETS, CPU)
    near = sorted({edge + d for edge in edges.codes for d in (-1, 0, 1)})
    container = torch.int32 if dtype.itemsize == 4 else torch.int64
    magnitudes = torch.tensor(near, dtype=container)
    return torch.cat([magnitudes, magnitudes | torch.iinfo(container).min]).view(dtype)


@pytest.mark.parametrize("name", ["float16", "bfloat16", "float8_e4m3fn", "float8_e5m2fnuz",
                                  "float4_e2m1fn", "tfloat32"])  # fmt: skip
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_wide_numbers_are_counted_for_what_they_become(dtype: torch.dtype, name: str) -> None:
    x = torch.cat([near_edges(dtype), spread(dtype, 2000)])
    assert counted(x, FORMATS[name]) == counts(x, FORMATS[name])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.float8_e4m3fnuz], ids=str)
def test_the_largest_magnitude_is_that_of_finite_numbers(dtype: torch.dtype) -> None:
    ends = torch.tensor([torch.inf, -torch.inf, torch.nan], dtype=torch.float64).to(dtype)
    x = torch.cat([spread(dtype, 500, seed=1), ends])
    source = spec_of(dtype)
    assert source is not None
    decoded = (decode(code(each, source), source) for each in codes_of(x).tolist())
    assert largest(x) == max(abs(each.fraction) for each in decoded if each is not None)


def test_layouts_of_memory_make_no_difference() -> None:
    x = torch.randn(6, 10) * 1e-7
    for part in (x.t(), x[::2, 1:], x[:, :1].expand(6, 10), x[0, 0]):
        assert counted(part, FORMATS["float16"]) == counts(part, FORMATS["float16"])


def test_an_empty_tensor_has_nothing() -> None:
    assert counted(torch.empty(0, 3), FORMATS["float16"]) == Counts(0, 0, 0, 0, 0, 0, 0)
    assert largest(torch.empty(0)) == 0


def test_large_tensors_are_counted_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    x = spread(torch.float32, 1000)
    whole, most = counted(x, FORMATS["float16"]), largest(x)
    monkeypatch.setattr(counting, "_BLOCK", 17)
    assert (counted(x, FORMATS["float16"]), largest(x)) == (whole, most)
