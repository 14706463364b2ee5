"""Verdicts and outcomes, on tensors made for them."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

import fpx
from fpx.errors import InputError
from fpx.report.cast_row import CastRow
from fpx.report.metrics import METRICS
from fpx.report.verdicts import (
    RULES,
    SCALED_RULES,
    SEVERITY,
    Judgement,
    Outcome,
    Tolerance,
    Verdict,
    judge,
    worst,
)

F64 = torch.float64
INF, NAN = math.inf, math.nan


def row_of(x: list[float] | torch.Tensor, to: str = "fp16", **kinds: Any) -> CastRow:
    tensor = x if isinstance(x, torch.Tensor) else torch.tensor(x, dtype=F64)
    backend = "exact" if to == "e8m0fnu" else None  # where torch drops the sign
    (row,) = fpx.cast_compare(tensor, to=to, backend=backend, **kinds).rows
    return row


@pytest.mark.parametrize(
    ("x", "to", "expected"),
    [
        ([1.0, 0.5, -0.0], "fp16", Outcome.EXACT),
        ([1.0, NAN, INF, -INF], "fp16", Outcome.EXACT),
        ([1.0, INF], "e4m3fn", Outcome.ROUNDED),  # infinity becomes NaN: not what it was
        ([1.0, NAN], "fp4", Outcome.ROUNDED),  # which has no NaN
        ([1.0004], "fp16", Outcome.ROUNDED),
        ([1e-9], "fp16", Outcome.ROUNDED),
        ([500.0, 1.0], "e4m3fn", Outcome.SATURATED),
        ([7e4, 1.0], "fp16", Outcome.DESTROYED),
        ([-1.0, 2.0], "e8m0fnu", Outcome.DESTROYED),  # which has no negative values
        ([65519.999999999], "fp16", Outcome.DESTROYED),  # by way of float32, in torch
        ([], "fp16", Outcome.EMPTY),
        ([NAN, INF], "fp16", Outcome.EMPTY),
    ],
)
def test_outcomes(x: list[float], to: str, expected: Outcome) -> None:
    row = row_of(x, to)
    assert row.outcome is expected
    assert row.to_dict()["outcome"] == expected.value


@pytest.mark.parametrize(
    ("x", "to", "outcome", "sqnr"),
    [([1.0], "fp16", "exact", INF), ([7e4], "fp16", "destroyed", -INF), ([], "fp16", "empty", NAN),
     ([NAN], "fp16", "empty", NAN)],
)  # fmt: skip
def test_null_is_told_apart_by_the_outcome(
    x: list[float], to: str, outcome: str, sqnr: float
) -> None:
    row = row_of(x, to)
    assert row.sqnr_db == pytest.approx(sqnr, nan_ok=True)
    entry = row.to_dict()
    assert (entry["sqnr_db"], entry["outcome"]) == (None, outcome)


def test_what_is_destroyed_has_an_infinite_error() -> None:
    """Half of a tensor became infinite: not 74 dB."""
    row = row_of([1.0004] * 64 + [1e6] * 64)
    assert (row.destroyed_count, row.destroyed_rate, row.sqnr_db) == (64, 0.5, -INF)
    for name in ("max_abs_error", "max_rel_error", "max_error_ulp", "rms_error"):
        assert row.metrics[name] == INF
        assert 0 < row.number(f"surviving_{name}") < 1
    assert 67 < row.surviving_sqnr_db < 68
    assert math.isnan(row.mean_error_ulp)
    (total,) = fpx.cast_compare([torch.ones(5), torch.tensor([1e6])], to="fp16").totals
    assert total.sqnr_db == -INF


@pytest.mark.parametrize(
    ("x", "to", "verdict", "decided_by"),
    [
        ([1.0, 65519.0], "fp16", Verdict.FITS, None),
        ([1.0, 65520.0], "fp16", Verdict.LOSES_RANGE, "destroyed_rate"),
        ([1.0, 464.0], "e4m3fn", Verdict.FITS, None),
        ([1.0, 465.0], "e4m3fn", Verdict.LOSES_RANGE, "overflow_rate"),
        ([-1.0], "e8m0fnu", Verdict.LOSES_RANGE, "destroyed_rate"),
        ([1.0, NAN], "fp4", Verdict.LOSES_RANGE, "nan_lost_rate"),
        ([1e-9] + [1.0] * 98, "fp16", Verdict.LOSES_SMALL_VALUES, "underflow_rate"),
        ([1e-9] + [1.0] * 99, "fp16", Verdict.FITS, None),  # 1% is not more than 1%
        ([1e-9] + [1.0] * 98 + [0.0], "fp16", Verdict.LOSES_SMALL_VALUES, "underflow_rate"),
        ([3e-7] * 50, "fp16", Verdict.LOSES_SMALL_VALUES, "small_value_loss_db"),
        ([0.1] * 50, "fp16", Verdict.FITS, None),  # one value, whose error is what it is
        ([1 + 2**-11] * 9, "fp16", Verdict.FITS, None),  # a tie: 4.8 dB under the average
        ([1.0, 2.0, 3.0] * 99 + [1e-7], "fp16", Verdict.FITS, None),  # and the rest is exact
        ([1e9, 1e-9], "fp16", Verdict.LOSES_RANGE, "destroyed_rate"),  # the worse of both
        ([0.0, 0.0], "fp16", Verdict.FITS, None),
        ([], "fp16", Verdict.FITS, None),
        ([NAN, INF, 1.0], "fp16", Verdict.FITS, None),
    ],
)
def test_verdicts(x: list[float], to: str, verdict: Verdict, decided_by: str | None) -> None:
    row = row_of(x, to)
    assert (row.verdict, row.decided_by) == (verdict, decided_by)
    entry = row.to_dict()
    assert (entry["verdict"], entry["decided_by"]) == (verdict.value, decided_by)
    if decided_by is not None:
        assert row.judgement.value == row.metrics[decided_by]


def test_tolerances_move_the_limits() -> None:
    overflow = [7e4] + [1.0] * 99
    assert row_of(overflow, tolerate_overflow=0.01).verdict is Verdict.FITS
    assert row_of(overflow, tolerate_overflow=0.0099).verdict is Verdict.LOSES_RANGE
    underflow = [1e-9] * 5 + [1.0] * 95
    assert row_of(underflow, tolerate_underflow=0.05).verdict is Verdict.FITS
    assert row_of(underflow, tolerate_underflow=0.049).verdict is Verdict.LOSES_SMALL_VALUES
    small = [3e-7] * 50
    loss = row_of(small).small_value_loss_db
    assert loss > 3
    assert row_of(small, tolerate_loss=loss).verdict is Verdict.FITS
    just_less = math.nextafter(loss, 0)
    assert row_of(small, tolerate_loss=just_less).verdict is Verdict.LOSES_SMALL_VALUES
    assert row_of(small, tolerate_loss=just_less).judgement.limit == just_less


@pytest.mark.parametrize("bad", [-0.1, 1.1, NAN, INF])
def test_tolerances_that_are_none(bad: float) -> None:
    with pytest.raises(InputError, match="tolerate_overflow"):
        Tolerance(overflow_rate=bad)
    with pytest.raises(InputError, match="tolerate_underflow"):
        Tolerance(underflow_rate=bad)
    if not bad > 0:
        with pytest.raises(InputError, match="tolerate_loss"):
            Tolerance(small_value_loss_db=bad)


@pytest.mark.parametrize("exponent", range(-30, 1))
def test_the_loss_of_small_values_is_what_range_costs(exponent: int) -> None:
    """None where all is normal; below, 6 dB a binade, as each costs a bit of float16's values."""
    x = torch.randn(20_000, generator=torch.Generator().manual_seed(1), dtype=F64)
    row = row_of(x * 2.0**exponent)
    unlimited = row_of(x * 2.0**exponent, to="e8m10")  # as many digits, more exponents
    assert row.small_value_loss_db >= 0
    if row.underflow_rate < 0.5:
        lost = unlimited.sqnr_db - row.sqnr_db
        assert row.small_value_loss_db == pytest.approx(lost, abs=0.2)
    else:
        assert row.verdict is Verdict.LOSES_SMALL_VALUES


def test_the_worst_of_several_judgements() -> None:
    fits, small, range_ = (Judgement(verdict) for verdict in sorted(Verdict, key=SEVERITY.get))  # type: ignore[arg-type]
    assert worst([small, fits, range_, small]) is range_
    assert worst([small, fits]) is small
    assert worst([]).verdict is Verdict.FITS


def test_a_total_fits_if_each_tensor_does() -> None:
    big = torch.ones(1_000_000)
    tensors = {"big": big, "tiny": torch.full((9,), 1e-9)}
    for names in (("big", "tiny"), ("tiny", "big")):
        report = fpx.cast_compare({name: tensors[name] for name in names}, to="fp16")
        for total in (*report.totals, *report.subtotals):
            assert total.underflow_rate < 1e-4
            assert total.verdict is Verdict.LOSES_SMALL_VALUES
            assert total.decided_by == "underflow_rate"


def test_rules_are_of_metrics_and_tolerances() -> None:
    nothing: dict[str, int | None] = dict.fromkeys(METRICS, 0)
    assert judge(nothing, Tolerance()).verdict is Verdict.FITS
    plain = {name: None if row.of_scales or row.of_draws else 0 for name, row in METRICS.items()}
    of_plain = [(*rule, plain) for rule in RULES]
    for metric, tolerance, verdict, nothing in [*of_plain, *((*r, nothing) for r in SCALED_RULES)]:
        assert getattr(Tolerance(), tolerance) >= 0
        found = judge({**nothing, metric: 4}, Tolerance())
        assert found == Judgement(verdict, metric, 4, getattr(Tolerance(), tolerance))
