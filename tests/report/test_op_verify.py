"""What a row of op-verify counts, and what is checked of it."""

from __future__ import annotations

from fractions import Fraction

import pytest

from fpx.report.limits import parse_limit
from fpx.report.op_verify import CAUSES, NUMBERS, CauseCount, FunctionRow


def row(**counts: int) -> FunctionRow:
    causes = tuple(CauseCount(name, name, name, count, ()) for name, count in counts.items())
    return FunctionRow(
        "exp", "e^x", "bfloat16", "torch", "2.0", "cpu", "all", checked_count=1000,
        wrong_count=sum(counts.values()), max_error_ulp=1.25, max_steps=7, causes=causes,
    )  # fmt: skip


def test_every_number_has_a_value() -> None:
    found = row(one_step=3, nan_made=2).numbers()
    assert set(found) == set(NUMBERS)
    assert found["wrong_percent"] == Fraction(1, 2)
    assert (found["max_error_ulp"], found["max_steps"]) == (Fraction(5, 4), 7)
    assert (found["one_step_count"], found["nan_made_count"], found["nan_lost_count"]) == (3, 2, 0)
    assert set(NUMBERS) >= {f"{cause}_count" for cause in CAUSES}
    nothing = FunctionRow("exp", "e^x", "bfloat16", "torch", "2.0", "cpu", "none").numbers()
    assert set(nothing.values()) == {0}


@pytest.mark.parametrize(
    ("condition", "fails"),
    [("wrong_count", True), ("wrong_count>5", False), ("max_error_ulp>1.25", False),
     ("max_error_ulp>1.2", True), ("wrong_percent>=0.5", True), ("nan_lost_count", False)],
)  # fmt: skip
def test_conditions(condition: str, fails: bool) -> None:
    assert parse_limit(condition, NUMBERS).fails(row(one_step=3, nan_made=2)) == fails


def test_verdicts() -> None:
    assert row(one_step=3, nan_made=2).verdict == "one_step"
    assert row().verdict == "right"
    assert FunctionRow("exp", "", "f", "t", "2", "cpu", "none").verdict == "not run"
    assert FunctionRow("exp", "", "f", "t", "2", "cpu", "none", False).verdict == "absent"
    assert row().title == "exp of bfloat16 by torch on cpu"
