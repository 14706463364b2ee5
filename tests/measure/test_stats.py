"""Statistics of blocks, merged."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fpx.casts.rounding import round_codes
from fpx.casts.values import values
from fpx.core.formats import FORMATS
from fpx.core.spec import FormatSpec
from fpx.measure.derived import metrics_of
from fpx.measure.stats import CastStats
from fpx.tensors.dtypes import cast_dtype
from tests.helpers import E8M0, F16, F32
from tests.measure.definitions import TARGETS, block_of, row_of, same


@pytest.mark.parametrize("target", TARGETS, ids=lambda s: s.name)
def test_split_anywhere_and_merged_is_the_whole(target: FormatSpec) -> None:
    x = torch.cat([torch.randn(5000) * 1e4, torch.tensor([1e30, math.nan, 0.0])])

    def stats(start: int, end: int) -> CastStats:
        return block_of(x[start:end], x[start:end].to(cast_dtype(target)), target, start)

    whole = stats(0, len(x))
    same(stats(0, 700).merge(stats(700, 4000).merge(stats(4000, len(x)))), whole)
    same(stats(0, 700).merge(stats(700, 4000)).merge(stats(4000, len(x))), whole)
    same(CastStats().merge(whole).merge(CastStats()), whole)


def test_a_backend_that_is_far_off_is_measured_exactly() -> None:
    x = torch.tensor([1 + 2**-23, 2.0**-20 + 2**-43, 3.0, 0.0])
    q = torch.tensor([2.0, 1.0, -(2.0**-20), 2.0**-14], dtype=torch.float16)
    stats = block_of(x, q, F16)
    errors = (q.double() - x.double()).abs()
    assert stats.maxima["surviving_max_abs_error"] == errors.max().item() == 3 + 2.0**-20
    assert stats.maxima["surviving_max_rel_error"] == (errors[:3] / x[:3].double()).max().item()
    rms = metrics_of(stats, F16, on_device=False)["rms_error"]
    assert rms == pytest.approx(math.sqrt((errors**2).mean().item()), rel=1e-15, abs=0)


def test_a_lost_nan_is_one_that_became_a_number() -> None:
    row = row_of(torch.tensor([math.inf, 1e9, math.nan, 1.0]), FORMATS["float8_e4m3fnuz"])
    assert (row.nan_input_count, row.nan_lost_count) == (1, 0)  # though three results are NaN
    x = torch.tensor([math.nan, math.inf, 1.0])
    stats = block_of(x, torch.tensor([0.0, math.nan, 1.0]).half(), F16)
    assert stats.counts["nan_lost_count"] == 1


@pytest.mark.parametrize("scale", [1e-200, 1e-300])
def test_the_noise_of_a_total_loss_does_not_vanish(scale: float) -> None:
    """Its squares underflow in float64; 0 dB is what losing everything means."""
    x = torch.tensor([3.0, 4.0], dtype=torch.float64) * scale
    row = row_of(x, F32)
    assert row.sqnr_db == pytest.approx(0, abs=1e-9)
    assert row.rms_error == pytest.approx(5 * scale / math.sqrt(2), rel=1e-14)
    assert row.max_rel_error == 1


def test_the_relative_error_of_zero_is_none() -> None:
    """float8_e8m0fnu has no zero: what torch makes of 0 is off, by no share of it."""
    row = row_of(torch.tensor([0.0, 1.0]), E8M0)
    assert (row.max_rel_error, row.max_rel_error_location) == (0, None)
    assert row.max_abs_error == 2.0**-127


@given(
    st.lists(st.floats(width=32), min_size=1, max_size=12),
    st.lists(st.integers(0, 12), min_size=2, max_size=2),
    st.sampled_from([F16, FORMATS["float8_e4m3fn"], FORMATS["float4_e2m1fn"]]),
)
def test_merging_is_associative(numbers: list[float], cuts: list[int], target: FormatSpec) -> None:
    """Whatever is merged first, counts, maxima, places and histograms are those of the whole."""
    x = torch.tensor(numbers)
    q = values(round_codes(x.view(torch.int32), F32, target), target)
    first, second = sorted(min(cut, len(x)) for cut in cuts)
    parts = [
        block_of(x[start:end], q[start:end], target, start) if start < end else CastStats()
        for start, end in ((0, first), (first, second), (second, len(x)))
    ]
    a, b, c = parts
    whole = block_of(x, q, target)
    for merged in (a.merge(b).merge(c), a.merge(b.merge(c))):
        same(merged, whole)
    taken_in = CastStats()
    for part in parts:
        taken_in.add(part)
    same(taken_in, whole)
