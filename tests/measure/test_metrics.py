"""Measurers: the one of torch's operations beside one that goes by the definitions."""

from __future__ import annotations

import math
from collections.abc import Mapping
from fractions import Fraction
from functools import cache

import numpy as np
import pytest
import torch

import fpx
from fpx.casts.backends import BACKENDS
from fpx.casts.scaling import scales_of
from fpx.casts.stochastic import chances
from fpx.casts.values import values
from fpx.core.blocks import BLOCK_FORMATS
from fpx.core.names import find_format
from fpx.core.policy import Stochastic
from fpx.core.spec import FormatSpec
from fpx.measure import derived, metrics
from fpx.measure.block import SourceBlock
from fpx.measure.measurement import NOTHING, Known, Maximum, Measurement
from fpx.measure.metrics import measure
from fpx.measure.scaled import measure_scales
from fpx.measure.squares import ScaledSquares
from fpx.measure.stochastic_casting import measure_chances
from fpx.report.metrics import METRICS, Merge
from fpx.tensors.dtypes import container, origin_of
from tests.helpers import BF16, E4M3, E5M2, E8M0, F16, F32, F64
from tests.measure.plain import measure_plainly

FLOATS = [torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.float8_e4m3fn,
          torch.float8_e5m2, torch.float8_e5m2fnuz, torch.float8_e8m0fnu]  # fmt: skip
INTEGERS = [torch.int8, torch.int16, torch.int32, torch.int64, torch.uint8, torch.uint16,
            torch.uint32, torch.uint64, torch.bool]  # fmt: skip
LACKED = ("fp4", "e2m3fn", "e3m4", "tf32", "e5m7", "binary8p4se", "e7m10", "e4m3b11fnuz")
TARGETS = [F16, BF16, F32, F64, E4M3, E5M2, E8M0, *map(find_format, LACKED)]


def equal(one: Measurement, other: Measurement) -> None:
    """Equal, sums but for their last bits."""
    assert one.counts == other.counts
    assert one.maxima == other.maxima
    assert one.minima == other.minima
    assert one.firsts == other.firsts
    assert one.exponents == other.exponents
    assert one.sums.keys() == other.sums.keys()
    for name in one.sums:
        off = abs(_total(one, name) - _total(other, name))
        size = abs(_total(other, name))
        if name == "error_ulp":  # its terms have signs, and their sum is as exact as they are large
            largest = other.maxima.get("surviving_max_error_ulp", Maximum(0.0, 0)).value
            size = max(size, Fraction(largest) * other.counts["count"])
        assert off <= size * Fraction(1, 10**12), name


def _total(measurement: Measurement, name: str) -> Fraction:
    found = measurement.sums[name]
    if isinstance(found, ScaledSquares):
        return Fraction(found.total) * Fraction(4) ** found.exponent
    return Fraction(found)


def _random_codes(dtype: torch.dtype, count: int, seed: int) -> torch.Tensor:
    """Numbers of every exponent, NaNs and infinities among them."""
    rng = np.random.default_rng(seed)
    if dtype is torch.bool:
        return torch.from_numpy(rng.integers(0, 2, count).astype(bool))
    raw = torch.from_numpy(rng.integers(0, 256, count * dtype.itemsize, dtype=np.uint8)).view(dtype)
    if dtype.is_floating_point or dtype.itemsize == 1:
        return raw
    shifts = torch.from_numpy(rng.integers(0, 8 * dtype.itemsize, count))
    return (raw.to(torch.int64) >> shifts).to(dtype)


def blocks(dtype: torch.dtype) -> list[torch.Tensor]:
    """Blocks of every kind: wild, tame, at thresholds, without and of nothing but extremes."""
    wild = _random_codes(dtype, 50, 1)
    if not dtype.is_floating_point:
        edges = [0, 1, 65519, 65520, 2**53 - 1, 2**53 + 1, 2**62 - 1, -(2**62) + 1, 2**63 - 1,
                 (2**12 - 1) * 2**52 - 1, (2**12 - 1) * 2**52, 2**64 - 1, -(2**63)]  # fmt: skip
        ends = (0, 1) if dtype is torch.bool else (torch.iinfo(dtype).min, torch.iinfo(dtype).max)
        fits = [edge for edge in edges if ends[0] <= edge <= ends[1]]
        return [torch.tensor(fits, dtype=dtype), torch.zeros(3, dtype=dtype), wild]
    rng = np.random.default_rng(2)
    normal = torch.from_numpy(rng.standard_normal(30))
    tiny, inf, nan = 2.0**-149, math.inf, math.nan
    specials = [0.0, -0.0, inf, -inf, nan, tiny, -3 * tiny, 2.0**-25, 65519.0, -65520.0, 464.0,
                448.0, 5e-324, 1.5e-310, 1.7e308, 3.4e38, 7.0, -5.0, 1e-7, 1e-9]  # fmt: skip
    wide = [
        normal, normal * 2.0**-20, normal * 2.0**-130, normal * 2.0**12, normal * 2.0**120,
        torch.tensor(specials), torch.tensor([nan, nan]), torch.tensor([inf, -inf, inf]),
        torch.tensor([-0.0, 0.0]), torch.cat([normal[:9] * 2.0**-160, torch.zeros(3)]),
        torch.tensor([1e30, 3e38, -2e38]), 1 + torch.arange(-20, 20) * 2.0**-11,
    ]  # fmt: skip
    return [*(block.to(torch.float64).to(dtype) for block in wide), wild]


def _weights(count: int) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(4).integers(1, 1000, count)).to(torch.float64)


@cache
def cast_blocks(
    dtype: torch.dtype, target: FormatSpec
) -> list[tuple[torch.Tensor, torch.Tensor, Measurement]]:
    """Blocks of every kind, their exact casts, and what is measured there by the definitions."""
    origin, found = origin_of(dtype), []
    for x in blocks(dtype):
        q = values(BACKENDS["exact"].cast(x.view(container(origin)), origin, target), target)
        found.append((x, q, measure_plainly(SourceBlock(x), q, target)))
    return found


@pytest.mark.parametrize("target", TARGETS, ids=lambda s: s.name)
@pytest.mark.parametrize("dtype", [*FLOATS, *INTEGERS], ids=str)
def test_measurers_agree(dtype: torch.dtype, target: FormatSpec) -> None:
    for x, q, expected in cast_blocks(dtype, target):
        equal(measure(SourceBlock(x), q, target), expected)
    weighted = SourceBlock(x, _weights(len(x)))
    equal(measure(weighted, q, target), measure_plainly(weighted, q, target))


@pytest.mark.parametrize(
    "target", [F16, BF16, F32, E4M3, E8M0, find_format("fp4")], ids=lambda s: s.name
)
@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_measurers_agree_on_casts_that_are_wrong(dtype: torch.dtype, target: FormatSpec) -> None:
    """Codes that have nothing to do with the numbers."""
    rng = np.random.default_rng(3)
    for x in blocks(dtype):
        raw = torch.from_numpy(rng.integers(0, 1 << min(target.bits, 62), len(x)))
        q = values(raw.to(container(target)), target)
        source = SourceBlock(x)
        equal(measure(source, q, target), measure_plainly(source, q, target))


def test_what_is_known_is_not_looked_for() -> None:
    x = torch.tensor([1.0004, 7e4, 1e-9, 0.3])
    q = x.half().double()
    source = SourceBlock(x)
    for measurer in (measure, measure_plainly):
        every = measurer(source, q, F16, NOTHING)
        expected = {"surviving_max_abs_error": 0, "surviving_max_rel_error": 2,
                    "surviving_max_error_ulp": 0, "max_abs": 1}  # fmt: skip
        assert {name: every.maxima[name].position for name in expected} == expected
        assert every.firsts == {"overflow_count": 1, "destroyed_count": 1}
        maxima = {name: largest.value for name, largest in every.maxima.items()}
        again = measurer(source, q, F16, Known(maxima, {*every.firsts}))
        assert (again.maxima, again.firsts) == ({}, {})
        assert (again.counts, again.exponents) == (every.counts, every.exponents)
        less = {name: math.nextafter(value, 0) for name, value in maxima.items()}
        assert measurer(source, q, F16, Known(less)).maxima == every.maxima
        more = {"surviving_max_rel_error": 1.5}
        assert measurer(source, q, F16, Known(more)).maxima.keys() == maxima.keys() - more.keys()


def _counts_of_scales() -> Mapping[str, int]:
    target = BLOCK_FORMATS["mxfp4"]
    return measure_scales(
        scales_of(torch.ones(1, dtype=torch.float64), None, target), None, target
    ).counts


@pytest.mark.parametrize("to", ["fp4", "fp4:tensor", "int8:tensor", "nf4"])
def test_a_nan_that_becomes_zero_is_no_underflow(to: str) -> None:
    """It was no number; as one, it would be no share of those that were."""
    x = torch.tensor([math.nan, -math.nan, math.nan, 1.0, 1.0])
    (row,) = fpx.cast_compare(x, to=to).rows
    assert (row.nan_lost_count, row.underflow_count, row.underflow_rate) == (3, 0, 0.0)


def _counts_of_draws() -> set[str]:
    codes, up = torch.zeros(1, dtype=torch.int16), torch.zeros(1, dtype=torch.bool)
    found = measure_chances(chances(codes, F16, E4M3), up, E4M3, Stochastic())
    return {*found.counts, *found.sums}


def test_every_metric_is_measured_once() -> None:
    """A row of the table and a measurement of the same name, for each."""
    measured = {
        Merge.SUM: metrics.COUNTS, Merge.MAX: metrics.MAXIMA, Merge.MIN: metrics.MINIMA,
        Merge.DERIVED: derived.DERIVED,
    }  # fmt: skip
    for merge, found in measured.items():
        named = {n for n, row in METRICS.items() if row.merge is merge}
        if merge is Merge.SUM:
            elsewhere = {name for name in named if METRICS[name].of_scales}
            assert elsewhere == {*_counts_of_scales(), "clipped_count"}
            of_draws = {name for name in named if METRICS[name].of_draws}
            assert of_draws == _counts_of_draws() & set(METRICS)
            elsewhere |= of_draws
            named = {name for name in named - elsewhere if not METRICS[name].on_device}
        assert named == set(found) - {"finite_count"}
    firsts = {n for n, row in METRICS.items() if row.location and row.merge is Merge.SUM}
    assert {name for name in firsts if not METRICS[name].on_device} == set(metrics.FIRSTS)
    both = torch.tensor([1], dtype=torch.uint8)
    found_on_device = metrics.measure_mismatches(both, both, E4M3).counts
    counted = {name for name, row in METRICS.items() if row.on_device and row.is_count}
    assert counted == set(found_on_device)
