"""`fpx decode`: side by side, in every format, in every mode."""

from __future__ import annotations

import pytest

from fpx.core.formats import FORMATS
from tests.helpers import call, results


@pytest.mark.parametrize("overflow", ["ieee", "saturate"])
@pytest.mark.parametrize(
    "text", ["1e-999999999", "-1e999999999999", "inf", "nan", "0", "-0", "-1/3", "0x7e"]
)
def test_extreme_surveys(text: str, overflow: str) -> None:
    code, out, err = call("decode", text, "--dtype", "all", "--overflow", overflow)
    assert (code, err) == (0, "")
    assert "float8_e4m3fn" in out


def test_formats_that_refuse_are_named() -> None:
    code, out, err = call("decode", "nan", "--dtype", "all", "--json")
    assert code == 0
    assert "float4_e2m1fn" not in out
    assert err.count("fpx: note: ") == 3
    _, out, _ = call("decode", "nan", "--dtype", "all")
    assert "has no NaN" in out


def test_every_rounding_mode_side_by_side() -> None:
    found = results("decode", "-1.001", "--dtype", "bf16", "--rounding", "all")
    assert {entry["rounding"]: entry["code"] for entry in found} == {
        "ties_to_even": "0xbf80",
        "ties_to_away": "0xbf80",
        "toward_zero": "0xbf80",
        "toward_positive": "0xbf80",
        "toward_negative": "0xbf81",
        "to_odd": "0xbf81",
    }
    code, _, err = call("decode", "1", "--rounding", "up")
    assert code == 2
    assert "ties_to_away" in err


def test_overflow_to_nan() -> None:
    found = results("decode", "70000", "inf", "--dtype", "fp16", "--overflow", "nan")
    assert [entry["value"] for entry in found] == ["nan", "inf"]
    code, _, err = call("decode", "70000", "--dtype", "fp4", "--overflow", "nan")
    assert code == 2
    assert "no NaN" in err


@pytest.mark.parametrize("command", ["decode", "encode"])
def test_what_digits_mean(command: str) -> None:
    for text, meaning, code in (
        ("16", "auto", "0x4c00"), ("16", "code", "0x0010"), ("16", "value", "0x4c00"),
        ("0x10", "code", "0x0010"), ("0x10", "value", "0x4c00"),
    ):  # fmt: skip
        (entry,) = results(command, text, "--as", meaning, "--dtype", "fp16")
        assert entry["code"] == code, (text, meaning)
    assert call(command, "3.14", "--as", "code", "--dtype", "fp16")[0] == 2


def test_a_format_named_twice_is_shown_once() -> None:
    found = results("decode", "1", "--dtype", "bf16", "--dtype", "bfloat16", "--dtype", "e8m7")
    assert [entry["format"] for entry in found] == ["bfloat16"]
    found = results("decode", "1", "--dtype", "all", "--dtype", "bf16")
    assert sorted(entry["format"] for entry in found) == sorted(FORMATS)
    found = results("decode", "1", "--dtype", "fp16", "--dtype", "bf16", "--dtype", "half")
    assert [entry["format"] for entry in found] == ["float16", "bfloat16"]
