"""`fpx op-verify` on the screen."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fpx.casts.device import find_device
from fpx.casts.environment import environment
from fpx.report.op_verify import (
    BinadeCount,
    CauseCount,
    FunctionRow,
    Operand,
    OpVerifyReport,
    WrongResult,
)
from tests.helpers import cells, drawn

WRONG = WrongResult(
    (Operand("0x3f80", "1"), Operand("0x4000", "2")), "0x4040", "3", "0x4041", "3.015625",
    "3.0000000000000001", 1.0, "hex(torch.add(1, 2))",
)  # fmt: skip
ROW = FunctionRow(
    "add", "x + y", "bfloat16", "torch", "2.0", "cpu", "all", checked_count=1000, wrong_count=7,
    max_error_ulp=1.0, max_steps=1, worst=WRONG,
    causes=(CauseCount("one_step", "one step", "the value next to it", 7, (WRONG,)),),
)  # fmt: skip
RIGHT = replace(ROW, function="mul", wrong_count=0, max_error_ulp=None, causes=(), worst=None)


def report(*rows: FunctionRow, **more: object) -> OpVerifyReport:
    return OpVerifyReport(rows, environment([find_device("cpu")], 0), "1.3", **more)  # type: ignore[arg-type]


def test_a_few_are_shown_in_full() -> None:
    text = drawn(report(ROW, RIGHT))
    lines = cells(text)
    assert ["add", "bfloat16", "all", "1,000", "7", "0.7 %", "1", "one step"] in lines
    assert ["mul", "bfloat16", "all", "1,000", "0", "0 %", "-", "right"] in lines
    assert "add of bfloat16 by torch on cpu: x + y" in text
    assert "one step (7): got the value next to it" in text
    for line in (["x", "0x3f80", "1"], ["y", "0x4000", "2"], ["exact", "3.0000000000000001"],
                 ["expected", "0x4040", "3"], ["got", "0x4041", "3.015625", "(1 ulps off)"],
                 ["hex(torch.add(1, 2))"]):  # fmt: skip
        assert line in lines


def test_many_are_a_table_with_the_worst_causes() -> None:
    others = [replace(RIGHT, function=f"f{n}") for n in range(4)]
    lost = CauseCount("nan_lost", "NaN lost", "a number", 2, (WRONG,))
    bad = replace(ROW, function="bad", causes=(*ROW.causes, lost))
    lines = cells(drawn(report(*others, bad)))
    why = lines[lines.index(["Why"]) :]
    assert why[3] == ["bad", "a number", "2", "0x3f80, 0x4000 -> 0x4041"]
    assert why[4][:3] == ["bad", "the value next to it", "7"]


@pytest.mark.parametrize(
    ("wrong", "checked", "share"),
    [(0, 100, "0 %"), (1, 100_000, "<0.1 %"), (5, 10_000, "<0.1 %"), (1, 1000, "0.1 %"),
     (99_999, 100_000, ">99.9 %"),
     (100, 100, "100 %"), (28_690, 65_536, "43.8 %")],
)  # fmt: skip
def test_shares(wrong: int, checked: int, share: str) -> None:
    row = replace(RIGHT, wrong_count=wrong, checked_count=checked)
    assert share in cells(drawn(report(row)))[3]


@pytest.mark.parametrize(
    ("error", "said"),
    [(0.50003, ">0.5"), (0.5, "0.5"), (0.4996, "0.4996"), (220.034, "220"), (2e7, "2.0e+07")],
)
def test_errors_are_short(error: float, said: str) -> None:
    assert said in cells(drawn(report(replace(ROW, max_error_ulp=error))))[3]


def binade(exponent: int, wrong: int, negative: bool = False, kind: str = "normal") -> BinadeCount:
    return BinadeCount(negative, kind, exponent, 128, wrong)


def test_where_results_are_wrong() -> None:
    """Neighbours that are wrong to a like part are one line; those with the most come first."""
    row = replace(
        ROW,
        binades=(
            binade(1, 5, True), binade(0, 5, True), binade(-127, 3, True, "subnormal"),
            binade(-127, 128, kind="subnormal"), binade(-126, 100), binade(-125, 3), binade(3, 1),
            binade(9, 1),
        ),
    )  # fmt: skip
    text = drawn(report(row))
    lines = [line.strip() for line in text.splitlines() if line.startswith("  x from")]
    assert lines == [
        "x from 0 to 2^-125: 228 of 256 wrong",
        "x from -2^2 to -2^0: 10 of 256 wrong",
        "x from -2^-126 to 0: 3 of 128 wrong",
        "x from 2^-125 to 2^-124: 3 of 128 wrong",
    ]
    assert "and 2 more such" in text


def test_what_is_absent_is_named() -> None:
    absent = replace(RIGHT, function="erf", offered=False)
    text = drawn(report(RIGHT, absent))
    assert "torch has no erf (bfloat16)." in text
    assert not any(row[0] == "erf" for row in cells(text))
    assert "function" not in drawn(report(absent))


def test_options_and_a_part() -> None:
    text = drawn(report(replace(RIGHT, complete=False), layout="strided", compile=True))
    assert "(compile, strided), against correct rounding" in text
    assert "right, part" in text


def test_sampled_is_explained() -> None:
    assert "sampled:" not in drawn(report(RIGHT))
    assert "sampled: boundaries" in drawn(report(replace(RIGHT, inputs="sampled")))


def test_hostile_versions_are_escaped() -> None:
    assert "\x1b[31m" not in drawn(report(replace(RIGHT, version="\x1b[31m")))
