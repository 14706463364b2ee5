"""The report of `fpx diff`: answers, outcomes, checks and its JSON."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
import torch

import fpx
from fpx.report.diff import DiffReport, Unchanged
from fpx.report.diff_row import Change, Comparison, outcome_of

ONES = torch.ones(10)


def changed(at: int, to: float) -> torch.Tensor:
    x = ONES.clone()
    x[at] = to
    return x


UP = 1 + 2.0**-23
"""The float32 after 1."""


@pytest.mark.parametrize(
    ("a", "b", "kinds", "answer"),
    [
        ({"x": ONES, "y": ONES}, {"x": ONES, "y": ONES}, {}, "Equal: 2 tensors, bit for bit."),
        ({"x": ONES}, {"x": changed(2, UP)}, {}, "x differs: by up to 1 code."),
        ({"x": ONES, "y": ONES}, {"x": changed(2, UP), "y": ONES}, {},
         "1 of 2 tensors differs: x, by up to 1 code."),
        ({"x": ONES, "y": ONES}, {"x": changed(2, UP), "y": changed(1, math.nan)}, {},
         "2 of 2 tensors differ: worst y, 1 became NaN."),
        ({"x": ONES, "y": ONES}, {"x": changed(2, UP), "y": ONES}, {"tolerance_ulp": 4},
         "Within 4 codes: 2 tensors, 1 bit for bit, 1 up to 1 code apart."),
        ({"x": ONES}, {"x": ONES.half()}, {},
         "No difference: 1 tensor, correctly rounded from float32 to float16."),
        ({"x": ONES, "y": ONES * 0}, {"x": ONES.half(), "y": ONES * -0.0}, {},
         "No difference: 2 tensors, 1 but for signs of zeros and bits of NaNs, 1 correctly "
         "rounded from float32 to float16."),
        ({"x": ONES, "y": ONES, "z": ONES[:2]}, {"x": ONES, "u": ONES, "w": ONES[:4]}, {},
         "1 missing, 1 extra, 1 renamed; otherwise equal: 1 tensor, bit for bit."),
        ({"y": ONES}, {"u": ONES}, {}, "No two tensors of one name and shape: 1 renamed."),
        ({"x": ONES, "y": ONES}, {"x": changed(0, 2), "y": ONES[:3]}, {},
         "x differs: by up to 8,388,608 codes; 1 reshaped."),
        ({"x\n\x1b[1m": ONES}, {"x\n\x1b[1m": changed(2, UP)}, {},
         r"x\n\x1b[1m differs: by up to 1 code."),
    ],
)  # fmt: skip
def test_the_answer(a: Any, b: Any, kinds: Any, answer: str) -> None:
    report = fpx.diff(a, b, **kinds)
    assert report.answer == answer
    assert repr(report) == f"<DiffReport: {len(report)} row{'s' * (len(report) > 1)}, {answer}>"


def test_what_was_passed_over_is_told() -> None:
    report = fpx.diff({"x": ONES, "z": object()}, {"x": ONES})
    assert report.answer == "Equal: 1 tensor, bit for bit; 1 passed over, see the notes."
    document = report.to_dict()
    assert (document["passed_over"], document["equal"]) == (1, False)
    assert fpx.diff({"x": ONES}, {"x": ONES}).equal


def test_outcomes() -> None:
    assert outcome_of(Comparison(3), converted=False) is Change.EQUAL
    assert outcome_of(Comparison(3), converted=True) is Change.CONVERTED
    assert outcome_of(Comparison(3, differing_count=1), converted=False) is Change.SAME_VALUES
    for converted in (False, True):
        near = Comparison(3, differing_count=1, max_distance=2)
        assert outcome_of(near, converted) is Change.WITHIN_TOLERANCE
        far = Comparison(3, differing_count=1, beyond_count=1, max_distance=2)
        assert outcome_of(far, converted) is Change.DIFFERS


def report_of_all() -> DiffReport:
    a = {"same": ONES, "lost": ONES, "far": ONES * 1e6, "gone": ONES[:1], "old": ONES[:2] * 3,
         "shape": ONES, "half": ONES, "whole": torch.tensor([2**63 - 1])}  # fmt: skip
    b = {"same": ONES, "lost": changed(1, -math.inf), "far": (ONES * 1e6).half(), "new": ONES[:3],
         "young": ONES[:2] * 3, "shape": ONES.view(2, 5), "half": ONES.half(),
         "whole": torch.tensor([-(2**63)])}  # fmt: skip
    return fpx.diff(a, b)


def test_the_document_is_strict_and_tells_all() -> None:
    report = report_of_all()
    document = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert document["schema"] == "fpx.diff/1"
    entries = {entry["tensor"]: entry for entry in document["results"]}
    assert {name: entry["outcome"] for name, entry in entries.items()} == {
        "same": "equal", "lost": "differs", "far": "differs", "gone": "missing",
        "old": "renamed", "shape": "reshaped", "half": "converted", "whole": "differs",
        "new": "extra",
    }  # fmt: skip
    assert len({tuple(entry) for entry in entries.values()}) == 1  # all have the same keys
    spot = entries["lost"]["first_lost_spot"]
    assert spot == {
        "index": [1], "a": 1.0, "b": None, "a_code": "0x3f800000", "b_code": "0xff800000",
        "expected": 1.0, "expected_code": "0x3f800000",
    }  # fmt: skip
    assert entries["lost"]["sqnr_db"] is None
    assert entries["lost"]["inf_appeared_count"] == entries["lost"]["beyond_count"] == 1
    assert entries["far"]["out_of_range_count"] == 10
    assert entries["far"]["max_distance"] is None
    assert entries["whole"]["max_distance"] == 2**64 - 1
    assert entries["whole"]["max_abs_error"] is None
    assert entries["old"]["b"]["tensor"] == "young"
    assert entries["gone"]["b"] is entries["new"]["a"] is entries["shape"]["count"] is None
    assert entries["shape"]["b"]["shape"] == [2, 5]
    assert sum(document["counts"].values()) == len(entries)
    assert (document["counts"]["differs"], document["equal"]) == (3, False)
    assert document["checks"] == [
        {"check": "tolerance_ulp=0", "tolerance_ulp": 0, "allow_renamed": False}
    ]
    assert len(document["failures"]) == 7
    assert "inf" not in json.dumps(entries).replace("inf_", "")


def test_the_table_always_has_the_same_columns() -> None:
    columns = fpx.diff(ONES, ONES).table().columns
    table = report_of_all().table()
    assert table.columns == columns
    assert all(len(row) == len(columns) for row in table.rows)
    cells = {row[0]: dict(zip(columns, row, strict=True)) for row in table.rows}
    assert cells["shape"]["b.shape"] == "2 5"
    assert cells["gone"]["b.dtype"] is None
    assert cells["lost"]["first_lost_spot.b_code"] == "0xff800000"
    assert cells["same"]["max_distance_spot.index"] is None


def test_the_worst_comes_first() -> None:
    assert [row.tensor for row in report_of_all().worst_first()] == [
        "shape", "gone", "new", "old", "far", "lost", "whole", "half", "same",
    ]  # fmt: skip


def test_why_rows_fail() -> None:
    texts = [failure.text for failure in report_of_all().failures()]
    assert texts == [
        "tensor shape: shape [10] became [2, 5]",
        "tensor gone: missing in B",
        "tensor new: in B alone",
        "tensor old: renamed to 'young' (`allow_renamed=True` allows that)",
        "tensor far: 10 of 10 values differ, 10 became inf, 10 out of range",
        "tensor lost: 1 of 10 values differ, 1 became inf",
        "tensor whole: 1 of 1 values differ, by up to 18,446,744,073,709,551,615 codes",
    ]
    check = Unchanged(allow_renamed=True)
    renamed = next(row for row in report_of_all().rows if row.tensor == "old")
    assert not check.fails(renamed)
    assert Unchanged().fails(renamed)
    assert check.value(renamed) is None
