"""What quantising cost, beside what fpx's own rules give in the same format."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
import torch

import fpx
from fpx.measure.diff import diff
from fpx.measure.diff_rows import Work
from fpx.measure.matching import by_name
from fpx.report.diff import Unchanged
from fpx.report.diff_row import Change, DiffRow
from fpx.tensors.opening import open_all
from fpx.tensors.progress import Silent
from tests.helpers import drawn
from tests.quantised_writers import deepseek

LEVELS = torch.tensor([0, 0.5, 1, 1.5, 2, 3, 4, 6])
W = torch.randn(64, 128, generator=torch.Generator().manual_seed(0))


def mxfp4(w: torch.Tensor, bump: int = 0) -> dict[str, torch.Tensor]:
    """The rule `floor` of OCP MX v1.0 as compressed-tensors stores it; scales 2^bump too large."""
    blocks = w.float().view(len(w), -1, 32)
    exponents = blocks.abs().amax(2).log2().floor() - 2 + bump
    ratio = blocks * 2.0 ** -exponents[..., None]
    codes = ratio.abs()[..., None].sub(LEVELS).abs().argmin(-1) + 8 * (ratio < 0)
    codes = codes.view(w.shape).to(torch.uint8)
    return {"w.weight_packed": codes[:, ::2] | codes[:, 1::2] << 4,
            "w.weight_scale": (exponents + 127).to(torch.uint8)}  # fmt: skip


def row_of(a: Any, b: Any, **kinds: Any) -> DiffRow:
    (row,) = diff(a, b, **kinds).rows
    return row


def given(row: DiffRow) -> dict[str, float | None]:
    assert row.quantised is not None
    return {rule.rule: rule.sqnr_db for rule in row.quantised.rules}


def test_the_same_rule_gives_the_same_and_the_best_is_beside_it() -> None:
    row = row_of({"w.weight": W}, mxfp4(W))
    assert row.outcome is Change.DIFFERS
    assert row.comparison is not None
    assert given(row)["floor"] == row.comparison.sqnr_db
    targets = [f"mxfp4:rule={rule}" for rule in given(row)]
    casts = {each.to: each.metrics["sqnr_db"] for each in fpx.cast_compare(W, targets).rows}
    assert list(given(row).values()) == list(casts.values())
    quantised = row.quantised
    assert quantised is not None
    best = quantised.best
    assert best is not None
    assert best.sqnr_db == max(value for value in casts.values() if value is not None)
    assert casts[best.to] == best.sqnr_db
    assert row.shortfall_db == pytest.approx((best.sqnr_db or 0) - (row.comparison.sqnr_db or 0))


def test_a_checkpoint_that_is_worse_than_its_format_is_told() -> None:
    good, bad = (diff({"w.weight": W}, mxfp4(W, bump)) for bump in (0, 2))
    (row,) = bad.rows
    assert row.shortfall_db is not None
    assert row.shortfall_db > 3
    assert bad.answer.endswith(f"; fpx's own rules give {row.shortfall_db:.2f} dB more, by even.")
    assert row.shortfall_db > (good.rows[0].shortfall_db or 0)
    assert bad.failures()[0].text.endswith(f"values differ, SQNR {row.comparison.sqnr_db:.2f} dB")  # type: ignore[union-attr]


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
def test_of_every_dtype_in_a(dtype: torch.dtype) -> None:
    w = W.to(dtype)
    row = row_of({"w.weight": w}, mxfp4(w))
    assert row.comparison is not None
    assert given(row)["floor"] == row.comparison.sqnr_db


def test_scales_that_reach_further_take_two_passes(tmp_path: Any) -> None:
    codes = (W / 16).to(torch.float8_e4m3fn)
    b = {"w.weight": codes, "w.weight_scale": torch.full((64, 1), 16.0)}
    row = row_of({"w.weight": W}, b)
    (amax, _) = fpx.cast_compare(W, ["e4m3fn:channel", "e4m3fn:channel,rule=rceil"]).rows
    assert row.b is not None
    assert row.b.stored_as == "float8_e4m3fn:channel"
    assert given(row)["amax"] == amax.metrics["sqnr_db"]
    made = deepseek()
    path = made.write(tmp_path)
    assert row_of({made.name: torch.rand(made.shape)}, path).quantised is not None


def test_what_lost_nothing_is_not_cast_again() -> None:
    exact = {"w.weight": torch.ones(2, 32) * 6}
    row = row_of(exact, mxfp4(exact["w.weight"]))
    assert (row.outcome, row.quantised) == (Change.CONVERTED, None)
    both = row_of(mxfp4(W), mxfp4(W))
    assert (both.outcome, both.quantised) == (Change.EQUAL, None)


def test_numbers_that_fpx_does_not_encode_and_whole_ones_have_no_rules() -> None:
    b = {"w.weight": torch.ones(4, 8).to(torch.float8_e4m3fn),
         "w.weight_scale": torch.ones(4, 1, dtype=torch.float64)}  # fmt: skip
    whole = row_of({"w.weight": torch.arange(256).view(4, 64)}, mxfp4(torch.ones(4, 64)))
    assert given(whole) == {}
    assert whole.shortfall_db is None
    assert whole.quantised is not None
    assert whole.quantised.to_dict() == {
        "layout": "compressed-tensors mxfp4-pack-quantized", "best": None, "rules": [],
    }  # fmt: skip
    assert all(row.quantised is None for row in diff({"w.weight": W[:4, :8]}, b).rows)


def test_sqnr_that_is_no_number_is_not_subtracted() -> None:
    b = mxfp4(W)
    b["w.weight_scale"][3, 1] = 255  # NaN
    report = diff({"w.weight": W}, b)
    assert report.answer == "w.weight is quantised in B: 32 became NaN."
    assert report.rows[0].shortfall_db is None
    halves = torch.full((2, 32), 1.5)
    report = diff({"w.weight": halves}, mxfp4(halves, 3))  # 0.75, which becomes 0.5
    assert report.rows[0].shortfall_db == math.inf
    assert report.answer.endswith(" dB; w.weight loses nothing by fpx's own rule floor.")
    assert "inf" not in drawn(report, 120).replace("Information", "")


def test_every_tensor_of_zeros_nan_and_infinity_has_an_answer() -> None:
    for value in (0.0, math.nan, math.inf):
        a = W.clone()
        a[3] = value
        found = diff({"w.weight": a}, mxfp4(W))
        json.dumps(found.to_dict(), allow_nan=False)
        assert "quantised in B" in found.answer
        for width in (60, 80, 120):
            assert all(len(line) <= width for line in drawn(found, width).splitlines())


def test_progress_comes_to_its_end() -> None:
    class Counting:
        total = seen = 0

        def start(self, total: int) -> None:
            self.total = total

        def advance(self, count: int) -> None:
            self.seen += count

    for a, b in (
        (W, mxfp4(W)),
        (torch.ones(64, 128) * 6, mxfp4(torch.ones(64, 128) * 6)),
        (W, {"w.weight": (W / 16).to(torch.float8_e4m3fn), "w.weight_scale": torch.tensor(16.0)}),
        (W[:32], mxfp4(W)),
    ):
        progress = Counting()
        diff({"w.weight": a}, b, progress=progress)
        assert progress.seen == progress.total


def test_the_answer_counts_plain_and_quantised_tensors_apart() -> None:
    a = {"w.weight": W, "norm": W[0]}
    report = diff(a, {**mxfp4(W, 2), "norm": W[0] * 2})
    assert report.answer.startswith(
        "1 of 2 tensors differs: norm, by up to 8,388,608 codes; 1 of 2 tensors is quantised in B: "
        "w.weight, SQNR "
    )
    assert [row.tensor for row in report.worst_first()] == ["norm", "w.weight"]
    shown = drawn(report, 120)
    assert "to mxfp4" in shown
    plain, found = (each.table().columns for each in (diff(a, a), report))
    assert plain == found
    assert {"b.stored_as", "quantised.layout", "quantised.best.sqnr_db"} <= set(found)


def test_stdin_is_read_once() -> None:
    # what can be read only once has no second pass: see `Work.twice`
    work = Work(Unchanged(), Silent(), 64, [], twice=False)
    work.run(*(by_name(open_all([each]).sources, ()) for each in ({"w.weight": W}, mxfp4(W))))
    (row,) = work.rows
    assert row.outcome is Change.DIFFERS
    assert given(row) == {}


def test_numpy_arrays_too() -> None:
    a = {"w.weight": W.numpy()}
    b = {name: np.asarray(value) for name, value in mxfp4(W).items()}
    assert given(row_of(a, b)) == given(row_of({"w.weight": W}, mxfp4(W)))
