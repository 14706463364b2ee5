"""The best loss scale, against a search; and what rows say of themselves."""

from __future__ import annotations

from fractions import Fraction

import pytest
import torch
from torch import Tensor

from fpx.casts.rounding import round_codes
from fpx.core.codec import round_exact
from fpx.core.formats import FORMATS
from fpx.core.policy import Overflow
from fpx.core.spec import FormatSpec
from fpx.report.watch_rows import LossScale
from fpx.training.watch.rows import loss_scales, value_rows
from fpx.training.watch.tally import Tally
from fpx.training.watch.targets import watched_formats
from tests.training.watch.oracle import are_beyond, is_beyond

SINGLE, DOUBLE = FORMATS["float32"], FORMATS["float64"]


def scaled(x: Tensor, exponents: range, target: FormatSpec) -> dict[int, tuple[int, int]]:
    """By exponent: how many x * 2^exponent overflow in a format, and how many but 0 become 0."""
    powers = torch.tensor([2.0**exponent for exponent in exponents], dtype=torch.float64)
    wide = x.double() * powers[:, None]  # exact: of float32, far from float64's ends
    codes = wide.view(torch.int64)
    rounded = round_codes(codes.flatten(), DOUBLE, target, overflow=Overflow.SATURATE)
    magnitudes = rounded.view(wide.shape).to(torch.int64) & target.magnitude_mask
    over = are_beyond(wide, target).sum(1)
    lost = ((magnitudes == 0) & (wide != 0)).sum(1)
    return dict(zip(exponents, zip(over.tolist(), lost.tolist(), strict=True), strict=True))


def searched(x: Tensor, target: FormatSpec) -> LossScale:
    """By trying all scales: the smallest, or 1, of those that save most and let none overflow."""
    found = scaled(x, range(-160, 160), target)
    fine = [s for s, (over, _) in found.items() if not over]
    limit = max(fine)
    least = min(found[s][1] for s in fine)
    best = min(s for s in fine if found[s][1] == least and (s >= 0 or limit < 0))
    if limit < 0:
        best = limit
    nonzero = int((x != 0).sum())
    without = found[0][1]
    return LossScale(target.name, best, limit, nonzero, without, without - found[best][1])


DATA = {
    "small": torch.randn(60, generator=torch.Generator().manual_seed(0)) * 1e-7,
    "wide": torch.tensor([1e-12, -3e-9, 2.0**-25, 5e-8, 0.0, 900.0]),
    "fits": torch.tensor([1.0, -2.0, 0.0]),
    "overflows": torch.tensor([1e30, -1e-30, 1.0]),
    "powers": torch.tensor([2.0**-k for k in range(0, 60, 3)]),
    "a tie": torch.tensor([65520.0 * 2.0**-40, 2.0**-70]),
    "just fits": torch.tensor([65519.0, 2.0**-26]),
}


@pytest.mark.parametrize("to", ["float16", "float8_e4m3fn", "float8_e5m2", "float4_e2m1fn"])
@pytest.mark.parametrize("name", DATA)
def test_the_best_loss_scale_is_that_of_a_search(name: str, to: str) -> None:
    x, target = DATA[name], FORMATS[to]
    tally = Tally((target,))
    tally.count("a", "grad_output", x[::2], SINGLE, SINGLE)
    tally.count("b", "weight_grad", x[1::2], SINGLE, SINGLE)
    tally.count("c", "activation", torch.tensor([1e38]), SINGLE, SINGLE)  # which none multiplies
    totals = tally.fetch().totals
    assert loss_scales(totals, (target,)) == (searched(x, target),)
    by_name = {row.name: row.loss_scale for row in value_rows(totals, (target,))}
    assert by_name["c"] is None
    for part, row in ((x[::2], by_name["a"]), (x[1::2], by_name["b"])):
        assert row == (searched(part, target) if (part != 0).any() else None)


def test_no_gradients_have_no_scale() -> None:
    tally = Tally(watched_formats("fp16"))
    tally.count("a", "grad_output", torch.zeros(3), SINGLE, SINGLE)
    tally.count("a", "grad_output", torch.tensor([torch.nan, torch.inf]), SINGLE, SINGLE)
    totals = tally.fetch().totals
    assert loss_scales(totals, watched_formats("fp16")) == ()
    (row,) = value_rows(totals, watched_formats("fp16"))
    assert (row.calls, row.count, row.zero_count, row.destroyed_count) == (2, 5, 3, 2)
    assert (row.nonzero_count, row.amax, row.loses) == (0, 0.0, True)


def test_the_worst_come_first() -> None:
    target = FORMATS["float16"]
    tally = Tally((target,))
    rows = {
        "fine": torch.tensor([1.0, 2.0]),
        "subnormal": torch.tensor([1e-6, 2.0]),
        "half gone": torch.tensor([1e-9, 2.0]),
        "all gone": torch.tensor([1e-9, 1e-9]),
        "overflows": torch.tensor([1e9, 1.0]),
    }
    for name, x in rows.items():
        tally.count(name, "activation", x, SINGLE, SINGLE)
    found = value_rows(tally.fetch().totals, (target,))
    assert [row.name for row in found] == [*rows][::-1]


def test_the_oracle_knows_float16s_end() -> None:
    half = FORMATS["float16"]
    ends = [round_exact(n, 1, SINGLE).code for n in (65519, 65520)]
    assert [is_beyond(code, SINGLE, half) for code in ends] == [False, True]
    assert half.max_finite.fraction == Fraction(65504)
    ends_and_next = torch.tensor([65519.0, 65520.0, 65504.0, 65536.0], dtype=torch.float64)
    for x in (ends_and_next, -ends_and_next):
        assert are_beyond(x, half).tolist() == [False, True, False, True]
    tie = torch.tensor([464.0, 464.0000001], dtype=torch.float64)  # an even one stays
    assert are_beyond(tie, FORMATS["float8_e4m3fn"]).tolist() == [False, True]
