"""Panels, and formats side by side."""

from __future__ import annotations

import pytest

import fpx
from fpx.core.policy import Overflow, Rounding
from fpx.report.decode import Comparison
from tests.helpers import call


@pytest.mark.parametrize("rounding", Rounding)
@pytest.mark.parametrize("overflow", Overflow)
def test_a_panel_names_what_is_not_the_default(rounding: Rounding, overflow: Overflow) -> None:
    lines = str(fpx.decode("1.1", "bf16", rounding=rounding, overflow=overflow)).splitlines()
    told = {line.split()[1]: line.split()[2] for line in lines if len(line.split()) == 4}
    expected = {}
    if rounding is not Rounding.TIES_TO_EVEN:
        expected["rounding"] = rounding.value
    if overflow is not Overflow.IEEE:
        expected["overflow"] = overflow.value
    assert {key: told[key] for key in ("rounding", "overflow") if key in told} == expected


@pytest.mark.parametrize(
    "args", [["1.1"], ["1.1", "--dtype", "all"], ["1.1", "--dtype", "bf16", "--libraries"]], ids=str
)
def test_every_picture_names_it(args: list[str]) -> None:
    modes = ["--rounding", "toward_zero", "--overflow", "saturate"]
    out = call("decode", *args, *modes)[1]
    assert "toward_zero" in out
    assert "saturate" in out
    out = call("decode", *args)[1]
    assert "ties_to_even" not in out
    assert "ieee" not in out


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("65519.999999999999", "-0.49999999999997"),
        ("65520.000000000001", "+inf"),
        ("2049", "-0.5"),
        ("2049.0000000001", "+0.49999999995"),
        ("2048.9999999999999999999999999999999999999999999999999999", "≈ -0.5"),
        ("1e-30", "-1.67772e-23"),
    ],
)
def test_what_is_no_tie_does_not_look_like_one(value: str, says: str) -> None:
    beside = str(Comparison((fpx.decode(value, "fp16"), fpx.decode(value, "fp32"))))
    line = next(line for line in beside.splitlines() if "... in ulps" in line)
    assert line.split("in ulps")[1].strip().startswith(says)
    _, out, _ = call("decode", value, "--dtype", "all", columns=200)
    line = next(line for line in out.splitlines() if " float16 " in line)
    assert ("0.5 " in line) == (says.removeprefix("≈ ") == "-0.5")
    panel = str(fpx.decode(value, "fp16"))
    assert "overflow" in panel or f"({says.removeprefix('+')} ulp)" in panel


def test_formats_without_a_sign_or_a_fraction_stand_beside_others() -> None:
    report = Comparison((fpx.decode(2, "e8m0"), fpx.decode(2, "fp4"), fpx.decode(2, "bf16")))
    rows = {line[:16].strip(): line[16:].split() for line in str(report).splitlines()}
    assert rows["code"] == ["0x80", "0x4", "0x4000"]
    assert rows["sign"] == ["-", "0", "0"]
    assert rows["exponent"] == ["10000000", "10", "10000000"]
    assert rows["fraction"] == ["-", "0", "0000000"]


@pytest.mark.parametrize(
    ("value", "dtype", "formula"),
    [
        ("3.14", "bf16", "(-1)^0 × 2^(128-127) × 1.1001001₂"),
        ("-0x1p-149", "fp32", "(-1)^1 × 2^(1-127) × 0.00000000000000000000001₂"),
        ("2", "e8m0", "2^(128-127) × 1.0₂"),
        ("-inf", "fp16", "exponent all ones, fraction zero: minus infinity"),
        ("inf", "binary8p4se", "the magnitude after the largest finite one: infinity"),
        ("nan", "e4m3fn", "the code reserved for NaN"),
        ("nan(0x5)", "fp16", "exponent all ones, fraction not zero: quiet NaN, payload 0x5"),
        ("snan", "fp16", "exponent all ones, fraction not zero: signaling NaN, payload 0x1"),
    ],
)
def test_formulas(value: str, dtype: str, formula: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    line = next(line for line in str(fpx.decode(value, dtype)).splitlines() if "formula" in line)
    assert line.strip("│ ").removeprefix("formula").strip() == formula


@pytest.mark.parametrize(
    ("code", "dtype", "rounding", "overflow", "shown"),
    [
        ("0x7f", "e4m3fn", "ties_to_even", "ieee", "(464, inf]"),  # 448 is even
        ("0xff", "e4m3fn", "ties_to_even", "ieee", "[-inf, -464)"),
        ("0x7f", "e4m3fn", "ties_to_away", "ieee", "[464, inf]"),
        ("0xff", "e4m3fn", "toward_negative", "ieee", "[-inf, -448)"),
        ("0x7f", "e4m3fn", "toward_negative", "ieee", "no other number"),
        ("0x7f", "e4m3fn", "toward_zero", "nan", "[480, inf]"),
        ("0x7f", "e4m3fn", "ties_to_even", "saturate", "no other number"),
        ("0x80", "e4m3fnuz", "ties_to_even", "ieee", "every number out of range"),
        ("0x80", "e4m3fnuz", "ties_to_even", "saturate", "no other number"),
        ("0xff", "e8m0fnu", "ties_to_even", "ieee", "every number out of range"),
        ("0x7e00", "fp16", "ties_to_even", "nan", "[65520, inf)"),
        ("0x7e01", "fp16", "ties_to_even", "nan", "no other number"),
        ("0x7e00", "fp16", "ties_to_even", "ieee", "no other number"),
    ],
)
def test_a_nan_tells_what_becomes_it(
    code: str, dtype: str, rounding: str, overflow: str, shown: str
) -> None:
    out = str(fpx.decode(code, dtype, rounding=rounding, overflow=overflow))
    (line,) = (line for line in out.splitlines() if "rounds here" in line)
    assert line.strip("│ ").removeprefix("rounds here").strip() == shown
