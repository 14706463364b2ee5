"""Conditions that a cast must meet."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import fpx
from fpx.errors import InputError
from fpx.report.cast_row import CastRow
from fpx.report.checks import failures, gate, parse_condition
from tests.helpers import call, results


@pytest.mark.parametrize(
    "text", ["", "overflow_count", "x>1", "overflow_count>>1", "sqnr_db<1%", "count>1.2.3"]
)
def test_bad_conditions(text: str) -> None:
    with pytest.raises(InputError):
        parse_condition(text)


@pytest.mark.parametrize(
    ("text", "limit"),
    [("sqnr_db<-3", -3), ("count>+5", 5), ("max_rel_error >= 1e-3", 1e-3), ("rms_error<.5", 0.5),
     ("sqnr_db<=-1.5e+1", -15), ("underflow_count>=0.5%", 0.5), ("exact_count==-0", 0)],
)  # fmt: skip
def test_good_conditions(text: str, limit: float) -> None:
    condition = parse_condition(text)
    assert condition.limit == limit
    assert condition.percent == text.endswith("%")


def test_a_negative_limit_is_compared_with(tmp_path: Path) -> None:
    """A cast that makes much of little has an SQNR below 0 dB."""
    np.save(tmp_path / "x.npy", np.array([0.6 * 2.0**-24, 0.0], np.float32))
    args = ("cast-compare", tmp_path / "x.npy", "--to", "fp16", "--fail-if")
    (row,) = results(*args, "sqnr_db<-300")
    assert 0 < row["sqnr_db"] < 10
    for text, code in (("sqnr_db>-3", 1), ("sqnr_db<-3", 0), ("sqnr_db!=-3", 1)):
        assert call(*args, text)[0] == code, text


def row_with(**metrics: float | None) -> CastRow:
    """A row of 8 elements."""
    (row,) = fpx.cast_compare(torch.ones(8), to="fp16").rows
    return replace(row, metrics={**row.metrics, **metrics})


@pytest.mark.parametrize(
    ("operator", "holds"),
    [(">", (False, False, True)), (">=", (False, True, True)), ("<", (True, False, False)),
     ("<=", (True, True, False)), ("==", (False, True, False)), ("!=", (True, False, True))],
)  # fmt: skip
def test_every_operator(operator: str, holds: tuple[bool, ...]) -> None:
    condition = parse_condition(f"underflow_count{operator}4")
    assert tuple(condition.fails(row_with(underflow_count=n)) for n in (3, 4, 5)) == holds
    share = parse_condition(f"underflow_count{operator}50%")
    assert tuple(share.fails(row_with(underflow_count=n)) for n in (3, 4, 5)) == holds


@pytest.mark.parametrize("operator", [">", ">=", "<", "<=", "==", "!="])
def test_what_was_not_measured_meets_no_condition(operator: str) -> None:
    row = row_with(device_mismatch_count=None, sqnr_db=math.nan)
    assert not parse_condition(f"device_mismatch_count{operator}0").fails(row)
    assert not parse_condition(f"device_mismatch_count{operator}0%").fails(row)
    assert parse_condition(f"sqnr_db{operator}0").fails(row) == (operator == "!=")


def test_failures_tell_row_check_and_value() -> None:
    bad, worse = row_with(underflow_count=2, sqnr_db=40.5), row_with(underflow_count=6)
    asked = [parse_condition(t) for t in ("underflow_count>=25%", "sqnr_db<50", "count>8")]
    found = failures([bad, worse], asked)
    assert [(f.row, f.check, f.value) for f in found] == [
        (bad, asked[0], 25.0), (worse, asked[0], 75.0), (bad, asked[1], 40.5),
    ]  # fmt: skip
    assert [f.text for f in found] == [
        "tensor tensor -> float16: underflow_count>=25% holds (underflow_count is 2, 25%)",
        "tensor tensor -> float16: underflow_count>=25% holds (underflow_count is 6, 75%)",
        "tensor tensor -> float16: sqnr_db<50 holds (sqnr_db is 40.5)",
    ]
    assert gate(asked, found)["failures"][2] == {
        **bad.identity(),
        "check": "sqnr_db<50",
        "value": 40.5,
    }
    big = row_with(underflow_count=123_456_789)
    assert (
        "(underflow_count is 123456789)"
        in failures([big], [parse_condition("underflow_count>0")])[0].text
    )


def test_checks_and_failures_are_in_the_json(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.array([1.0, 1e6, 0.1], dtype=np.float32))
    args = ("cast-compare", tmp_path / "x.npy", "--to", "fp16", "--to", "bf16", "--json")
    assert call(*args)[0] == 0
    found = json.loads(call(*args)[1])
    assert (found["checks"], found["failures"]) == ([], [])
    conditions = ("--fail-if", "overflow_count >0", "--fail-if", "sqnr_db<1e999")
    code, out, err = call(*args, *conditions)
    found = json.loads(out)
    assert code == 1
    assert found["checks"] == [
        {"check": "overflow_count >0", "metric": "overflow_count", "comparison": ">", "limit": 0,
         "percent": False},
        {"check": "sqnr_db<1e999", "metric": "sqnr_db", "comparison": "<", "limit": None,
         "percent": False},
    ]  # fmt: skip
    whose = [(f["tensor"], f["to"], f["check"]) for f in found["failures"]]
    assert whose == [
        ("x", "float16", "overflow_count >0"), ("x", "float16", "sqnr_db<1e999"),
        ("x", "bfloat16", "sqnr_db<1e999"),
    ]  # fmt: skip
    assert found["failures"][0]["value"] == 1
    rows = {row["to"]: row for row in found["results"]}
    assert found["failures"][2]["value"] == rows["bfloat16"]["sqnr_db"]
    assert err.count("\n") == len(whose)
