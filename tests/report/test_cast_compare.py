"""Rows of casts: which are worst, and their totals."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

import fpx
from fpx.measure.cast_compare import cast_compare
from fpx.report.checks import failures, parse_condition
from fpx.report.metrics import METRICS
from fpx.report.verdicts import Judgement, Verdict
from tests.helpers import F16, F32, cells, drawn


def test_worst_rows_first_and_totals() -> None:
    report = cast_compare(
        [torch.ones(5), torch.tensor([1e9, 1.0]), torch.tensor([1e-9])], [F16], from_=F32
    )
    assert [row.tensor for row in report.worst_first()] == ["tensor1", "tensor2", "tensor"]
    (total,) = report.totals
    assert (total.count, total.overflow_count, total.underflow_count) == (8, 1, 1)
    assert failures(report.rows, [parse_condition("overflow_count>=50%")])
    assert not failures(report.rows, [parse_condition("overflow_count>50%")])
    assert not failures(report.rows, [parse_condition("device_mismatch_count>=0")])


def worst_of(*tensors: list[float], dtype: torch.dtype = torch.float32) -> list[int]:
    """Which of several tensors come first where the worst do, cast to float16."""
    report = fpx.cast_compare([torch.tensor(x, dtype=dtype) for x in tensors], to="fp16")
    names = [row.tensor for row in report.rows]
    return [names.index(row.tensor) for row in report.worst_first()]


def test_shares_tell_which_is_worse() -> None:
    """Of all elements, not numbers of them: ten of a thousand are fewer than one of one."""
    many, one = [1e9] * 10 + [1.0] * 990, [1e9]
    assert worst_of(many, one) == [1, 0]
    many, one = [1e-9] * 30 + [1.0] * 970, [1e-9, 1.0]  # neither fits
    assert worst_of(many, one) == [1, 0]
    unexpected = 65519.999999999  # float16 by way of float32 is infinity
    many, one = [unexpected] * 10 + [1.0] * 990, [unexpected, 1.0]
    assert worst_of(many, one, dtype=torch.float64) == [1, 0]


def test_what_hurts_most_comes_first() -> None:
    """Overflow, infinities that nobody expects, underflow, noise; what has no data comes last."""
    overflow, unexpected, underflow = [1e9] + [1.0] * 99, [65519.999999999, 1.0], [1e-9] * 3
    noise, less, none, empty = [1 / 3], [1 + 2**-12, 5.0], [1.0], list[float]()
    given = [empty, none, less, noise, underflow, unexpected, overflow]
    order = worst_of(*given, dtype=torch.float64)
    assert order[:5] == [6, 5, 4, 3, 2]
    assert set(order[5:]) == {0, 1}


def test_what_does_not_fit_comes_before_what_does() -> None:
    tensors = {"over": torch.tensor([7e4] + [1.0] * 9), "under": torch.tensor([1e-9] + [1.0] * 9)}
    report = fpx.cast_compare(tensors, to="fp16")
    assert [row.tensor for row in report.worst_first()] == ["over", "under"]
    report = fpx.cast_compare(tensors, to="fp16", tolerate_overflow=0.5)
    assert [row.tensor for row in report.worst_first()] == ["under", "over"]


@pytest.mark.parametrize(
    ("value", "shown"),
    [(7e4, "70000 -> inf"), (-7e4, "-70000 -> -inf"), (-1e-9, "-9.99999972e-10 -> -0")],
)
def test_a_location_shows_what_json_has_no_number_for(value: float, shown: str) -> None:
    (row,) = fpx.cast_compare(torch.tensor([1.0, value]), to="fp16").rows
    at = row.max_abs_error_location
    assert (at.index, at.shown) == ((1,), shown)
    entry = row.to_dict()["max_abs_error_location"]
    assert entry["shown"] == shown
    assert entry["result"] == (None if shown.endswith("inf") else 0)


FINE = Judgement(Verdict.FITS)


def test_differences_from_the_cpu_come_before_underflow() -> None:
    report = fpx.cast_compare([torch.tensor([x]) for x in (1e-9, 1.0, 1.0)], to="fp16")
    rows = [
        replace(row, metrics={**row.metrics, "device_mismatch_count": n}, judgement=FINE)
        for row, n in zip(report.rows, (0, 1, 2), strict=True)
    ]
    found = replace(report, rows=tuple(rows)).worst_first()
    assert [row.device_mismatch_count for row in found] == [2, 1, 0]


def test_the_table_has_the_same_columns_whatever_was_found() -> None:
    tables = [
        fpx.cast_compare(torch.tensor(x), to="fp16").table() for x in ([1.0], [1e9, 1e-9], [0.1])
    ]
    (columns,) = {table.columns for table in tables}
    report = fpx.cast_compare(torch.tensor([[0.5, 7e4]]), to=["fp16", "fp4"])
    assert report.table().columns == columns
    entries = report.to_dict()["results"]
    for entry, row in zip(entries, report.table().rows, strict=True):
        cells = dict(zip(columns, row, strict=True))
        at = entry["first_overflow"]
        index = " ".join(map(str, at["index"]))
        expected = {"tensor": at["tensor"], "index": index, "value": at["value"],
                    "result": at["result"], "shown": at["shown"]}  # fmt: skip
        assert {key: cells.pop(f"first_overflow.{key}") for key in expected} == expected
        flat = {name: cell for name, cell in cells.items() if "." not in name}
        assert flat == {name: entry[name] for name in flat}
        judged = {"verdict", "decided_by", "outcome"}
        assert {*flat} == {*report.rows[0].identity(), *judged, *METRICS}
    table = fpx.cast_compare(torch.ones(0), to="fp16").table()
    assert table.rows[0][table.columns.index("count")] == 0


def test_who_cast_is_said() -> None:
    version = fpx.__version__
    report = fpx.cast_compare(torch.ones(2), to="fp4")
    assert [row.backend for row in (*report.rows, *report.totals)] == ["exact", "exact"]
    assert report.casters == (f"fpx {version} (exact)",)
    assert drawn(report).startswith(
        f"float32 to float4_e2m1fn, cast by fpx {version} (exact) on cpu"
    )
    report = fpx.cast_compare(torch.ones(2), to=["fp16", "fp4"])
    assert report.casters == (f"torch {torch.__version__}", f"fpx {version} (exact)")
    text = drawn(report, 120)
    rows = [row[1] for row in cells(text) if row[0] == "tensor" and row[-1] == "exact"]
    assert rows == ["torch", "exact"]
    report = fpx.cast_compare(torch.ones(2), to="fp16", backend="numpy")
    assert report.casters == (f"numpy {np.__version__}",)
    assert "cast by numpy" in drawn(report)
    assert "torch" not in drawn(report)
