"""The compiled measurer beside those of torch's operations and of the definitions."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import pytest
import torch

from fpx.casts.values import values
from fpx.core.names import find_format
from fpx.core.spec import FormatSpec
from fpx.core.thresholds import Thresholds
from fpx.measure import fused
from fpx.measure.block import SourceBlock
from fpx.measure.measurement import Known
from fpx.measure.metrics import measure
from fpx.measure.stats import CastStats
from fpx.report.cast_row import Location
from fpx.tensors.dtypes import cast_dtype, container
from tests.helpers import BF16, E4M3, E5M2, E8M0, F16, F32, F64
from tests.measure.plain import measure_plainly
from tests.measure.test_metrics import FLOATS, INTEGERS, TARGETS, blocks, cast_blocks, equal

pytest.importorskip("numba")
_loaded = fused.load()
assert _loaded is not None
FUSED = _loaded[0]
SOURCES = [torch.float32, torch.float64]
CAST_BY_TORCH = [F16, BF16, F32, E4M3, E5M2, E8M0, find_format("float8_e5m2fnuz")]


def both(x: torch.Tensor, q: torch.Tensor, target: FormatSpec) -> None:
    """The compiled measurer says what torch's says."""
    source = SourceBlock(x)
    equal(FUSED(source, q, target), measure(source, q, target))


@pytest.mark.parametrize("target", TARGETS, ids=lambda s: s.name)
@pytest.mark.parametrize("dtype", [*FLOATS, *INTEGERS], ids=str)
def test_by_the_definitions(dtype: torch.dtype, target: FormatSpec) -> None:
    """Blocks of every kind: also what the compiled measurer leaves to torch's."""
    for x, q, expected in cast_blocks(dtype, target):
        equal(FUSED(SourceBlock(x), q, target), expected)


@pytest.mark.parametrize("target", [t for t in TARGETS if t is not F64], ids=lambda s: s.name)
@pytest.mark.parametrize("dtype", SOURCES, ids=str)
def test_casts_that_are_wrong(dtype: torch.dtype, target: FormatSpec) -> None:
    """Codes that have nothing to do with the numbers."""
    rng = np.random.default_rng(3)
    for x in blocks(dtype):
        raw = torch.from_numpy(rng.integers(0, 1 << min(target.bits, 62), len(x)))
        q = values(raw.to(container(target)), target)
        source = SourceBlock(x)
        equal(FUSED(source, q, target), measure_plainly(source, q, target))


def _wild(count: int, dtype: torch.dtype, seed: int) -> torch.Tensor:
    raw = np.random.default_rng(seed).integers(0, 256, count * dtype.itemsize, dtype=np.uint8)
    return torch.from_numpy(raw).view(dtype)


@pytest.mark.parametrize("target", CAST_BY_TORCH, ids=lambda s: s.name)
@pytest.mark.parametrize("dtype", SOURCES, ids=str)
@pytest.mark.parametrize("count", [1, 2, 7, 2047, 2048, 2049, 4096, 10_001])
def test_long_blocks_as_torch_casts_them(
    count: int, dtype: torch.dtype, target: FormatSpec
) -> None:
    """Of every length about those at which loops begin again, in the target's own dtype."""
    normal = torch.from_numpy(np.random.default_rng(count).standard_normal(count))
    for scale in (1.0, 2.0**-15, 2.0**-130, 2.0**100, 2.0**127):
        x = (normal * scale).to(dtype)
        both(x, x.to(cast_dtype(target)), target)
    for special in (0.0, -0.0, math.nan, math.inf, -1e30, 1e-40, 1.0):
        x = torch.full((count,), special, dtype=dtype)
        both(x, x.to(cast_dtype(target)), target)
        x = torch.cat([normal.to(dtype), x[:1], normal.to(dtype)])
        both(x, x.to(cast_dtype(target)), target)
    x = _wild(count, dtype, 1)
    both(x, x.to(cast_dtype(target)), target)
    both(x[::3], x.to(cast_dtype(target))[::3], target)


@pytest.mark.parametrize("target", [F16, BF16, E4M3], ids=lambda s: s.name)
@pytest.mark.parametrize("dtype", SOURCES, ids=str)
def test_at_thresholds(dtype: torch.dtype, target: FormatSpec) -> None:
    """About every number of the target, and half-way between."""
    codes = torch.arange(1 << target.bits).to(container(target))
    q = values(codes, target)
    middle = (q[1:] + q[:-1]) / 2
    x = torch.cat([q, middle]).to(dtype)
    x = torch.cat([x, x.nextafter(x * 2), x.nextafter(x * 0)])
    both(x, x.to(cast_dtype(target)), target)


def test_the_first_of_equals() -> None:
    x = torch.full((5000,), 1.0004)
    x[:3000] = 1.0
    found = FUSED(SourceBlock(x), x.half(), F16)
    assert {largest.position for largest in found.maxima.values()} == {3000}
    x[4000:] = -7e4
    x[2500] = 1e-9
    found = FUSED(SourceBlock(x), x.half(), F16)
    assert found.firsts == {"overflow_count": 4000, "destroyed_count": 4000}
    assert found.maxima["surviving_max_rel_error"].position == 2500
    assert found.maxima["max_abs"].position == 4000


def test_what_is_known_is_not_looked_for() -> None:
    x = torch.tensor([1.0004, 7e4, 1e-9, 0.3])
    source, q = SourceBlock(x), x.half()
    every = FUSED(source, q, F16)
    equal(every, measure(source, q, F16))
    maxima = {name: largest.value for name, largest in every.maxima.items()}
    again = FUSED(source, q, F16, Known(maxima, {*every.firsts}))
    assert (again.maxima, again.firsts) == ({}, {})
    less = {name: math.nextafter(value, 0) for name, value in maxima.items()}
    assert FUSED(source, q, F16, Known(less)).maxima == every.maxima
    some = FUSED(source, q, F16, Known({}, {"overflow_count"}))
    assert some.firsts == {"destroyed_count": 1}


def _place(block: int, at: int) -> Location:
    return Location("x", (block, at), 0.0, 0.0)


@pytest.mark.parametrize("target", [F16, BF16, E4M3], ids=lambda s: s.name)
@pytest.mark.parametrize("scale", [1.0, 2.0**-15, 2.0**-120, 2.0**-135, 2.0**120])
def test_blocks_one_after_the_other(scale: float, target: FormatSpec) -> None:
    """What is known of blocks before hides no maximum, of errors that are nearly the same too."""
    rng = np.random.default_rng(5)
    fused_stats, stats = CastStats(), CastStats()
    for number in range(60):
        x = torch.from_numpy(rng.standard_normal(3).astype(np.float32)) * scale
        if number % 2 and scale == 1:  # just above a tie, where the relative error is largest
            bits = (127 << 23) + (1 << (22 - target.fraction_bits)) + number
            x = torch.cat([x, torch.tensor([bits], dtype=torch.int32).view(torch.float32)])
        q = x.to(cast_dtype(target))
        source = SourceBlock(x)
        for measurer, found in ((FUSED, fused_stats), (measure, stats)):
            place = partial(_place, number)
            found.take(measurer(source, q, target, found.known), place)
    assert fused_stats.maxima == stats.maxima
    assert fused_stats.locations == stats.locations


@pytest.mark.parametrize("target", [F16, BF16, E4M3], ids=lambda s: s.name)
@pytest.mark.parametrize("scale", [1.0, 2.0**-9, 2.0**-24, 2.0**-120, 2.0**-135, 2.0**-147])
def test_the_least_that_is_more_than_known(scale: float, target: FormatSpec) -> None:
    """By the last bit of a float64."""
    numbers = np.random.default_rng(6).standard_normal(200).astype(np.float32) * scale
    for x in torch.from_numpy(numbers.astype(np.float32)).view(-1, 1):
        q = x.to(cast_dtype(target))
        source = SourceBlock(x)
        every = {name: most.value for name, most in FUSED(source, q, target).maxima.items()}
        assert FUSED(source, q, target, Known(every)).maxima == {}
        less = {name: math.nextafter(value, 0) for name, value in every.items()}
        found = FUSED(source, q, target, Known(less)).maxima
        assert {name: most.value for name, most in found.items()} == every


NARROW = [torch.float16, torch.bfloat16, torch.float8_e4m3fn, torch.float8_e5m2,
          torch.float8_e4m3fnuz, torch.float8_e5m2fnuz]  # fmt: skip


@pytest.mark.parametrize("dtype", NARROW, ids=str)
def test_every_result(dtype: torch.dtype) -> None:
    """Of casts that are right, and of such that give any code at all; none overflows."""
    target = find_format(str(dtype).removeprefix("torch."))
    every = torch.arange(1 << target.bits).to(container(target)).view(dtype)
    numbers = every.to(torch.float32)
    every, numbers = every[numbers.isfinite()], numbers[numbers.isfinite()]
    for x in (numbers, numbers * (1 + 2.0**-14), numbers * (1 - 2.0**-14), numbers.flip(0)):
        source = SourceBlock(x[x.abs() < Thresholds.of(target).overflow])
        q = every[x.abs() < Thresholds.of(target).overflow]
        equal(FUSED(source, q, target), measure(source, q, target))
    for code in every:  # one by one, as those of others would hide some
        if dtype.itemsize == 1 or int(code.view(container(target))) % 61 == 0:
            q = code.view(1)
            source = SourceBlock(q.to(torch.float32))
            equal(FUSED(source, q, target), measure(source, q, target))


@pytest.mark.parametrize("result", [math.inf, -math.inf, math.nan])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float8_e5m2], ids=str)
def test_results_that_are_not_finite(dtype: torch.dtype, result: float) -> None:
    target = find_format(str(dtype).removeprefix("torch."))
    for number in (2.0, Thresholds.of(target).overflow * (1 - 2.0**-20)):  # within an ulp of 2^16
        x = torch.tensor([1.0, number, 3.0])
        both(x, torch.tensor([1.0, result, 3.0]).to(dtype), target)


def test_errors_of_zeros_and_of_the_smallest_normal() -> None:
    """Which are not normal, and are."""
    both(torch.tensor([0.0, 1.0]), torch.tensor([2.0**-24, 1.0]).half(), F16)
    x = torch.tensor([2.0**-14, 2.0**-20])
    both(x, (x + 2.0**-24).half(), F16)


def test_the_overflow_threshold_itself() -> None:
    x = torch.tensor([65520.0])
    for q in (math.inf, 65504.0):
        both(x, torch.tensor([q]).half(), F16)


@pytest.mark.parametrize("count", [4, 5, 6, 7, 8])
def test_exponents_of_neighbours(count: int) -> None:
    x = 2.0 ** torch.arange(count)
    both(x, x.half(), F16)


def test_targets_of_one_block() -> None:
    """What is told of the block before its casts is told of this one, not of another."""
    loaded = fused.load()
    assert loaded is not None
    first, second = torch.tensor([1.0004, 2.0]), torch.tensor([1.0005, 2.0, 1e-9])
    for x in (first, second, first):
        source = SourceBlock(x)
        for target in (F16, BF16, E4M3, F32):
            q = x.to(cast_dtype(target))
            equal(loaded[0](source, q, target), measure(SourceBlock(x), q, target))


def test_what_it_takes() -> None:
    assert fused.takes(torch.float32, F16)
    assert fused.takes(torch.float64, E4M3)
    assert fused.takes(torch.float32, find_format("tf32"))
    assert not fused.takes(torch.float64, F64)
    for dtype in {*FLOATS, *INTEGERS}:
        assert fused.takes(dtype, F16) == (dtype in (*SOURCES, torch.int32, torch.int64))


def test_what_it_does_not_take_is_torchs(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[torch.dtype] = []

    def measures(source: SourceBlock, *rest: object) -> None:
        asked.append(source.x.dtype)

    monkeypatch.setattr(fused, "measure", measures)
    x = torch.tensor([1e300, 1.0, 2.0], dtype=torch.float64)
    weighted = SourceBlock(x.float(), torch.ones(3, dtype=torch.float64))
    FUSED(weighted, x.half(), F16)
    FUSED(SourceBlock(x), x.half(), F16)  # whose squares overflow
    FUSED(SourceBlock(x / 1e200 / 1e200 / 1e20), x.half() * 0, F16)  # vanish
    FUSED(SourceBlock(torch.tensor([1e30, 1e-200]).double()), x[:2].half() * 0, F16)
    for edge in (2**53 + 1, -(2**53) - 1):
        FUSED(SourceBlock(torch.tensor([0, edge, 1])), x.half(), F16)
    assert len(asked) == 6
    for last in (2**53, -(2**53)):
        FUSED(SourceBlock(torch.tensor([0, last, 1])), x.half(), F16)
    FUSED(SourceBlock(x.float()), x.half(), F16)
    assert len(asked) == 6


def test_a_nan_that_becomes_infinite() -> None:
    x = torch.full((5,), math.nan)
    q = torch.tensor([math.inf, math.nan, 1.0, 0.0, -math.inf])
    both(x, q.half(), F16)
    assert FUSED(SourceBlock(x), q.half(), F16).counts["nan_lost_count"] == 4
