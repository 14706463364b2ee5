"""`fpx decode`: side by side, in every format, in every mode."""

from __future__ import annotations

import json

import pytest

import fpx
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
    found = json.loads(out)
    refused = {entry["format"]: entry["reason"] for entry in found["refused"]}
    assert len(refused) == 3
    assert not refused.keys() & {entry["format"] for entry in found["results"]}
    assert refused["float4_e2m1fn"] == "float4_e2m1fn has no NaN: every code is a number"
    assert found == fpx.survey("nan").to_dict()
    assert err.count("fpx: note: ") == 3
    several = json.loads(call("decode", "nan", "1", "snan", "--dtype", "all", "--json")[1])
    told = [entry["input"] for entry in several["refused"]]
    assert set(told) == {"nan", "snan"}
    assert told.count("nan") == 3
    _, out, _ = call("decode", "nan", "--dtype", "all")
    assert "has no NaN" in out


@pytest.mark.parametrize(
    "more", [[], ["--rounding", "all"], ["--rounding", "stochastic"], ["--libraries"]], ids=str
)
def test_a_format_that_was_named_is_not_left_out(more: list[str]) -> None:
    """Of those that nobody named, the ones that a code is too wide for are."""
    code, out, err = call("decode", "0x4049", "--dtype", "e4m3fn", *more)
    assert (code, out) == (2, "")
    assert "code '0x4049' is wider than the 8 bits of float8_e4m3fn" in err
    code, out, err = call("decode", "0x4049", "--dtype", "bf16,e4m3fn", *more)
    assert "wider than the 8 bits" in out + err
    for every in (["--dtype", "all"], []):
        code, out, err = call("decode", "0x4049", *every, *more, "--csv")
        assert (code, err) == (0, "")
        assert "bfloat16" in out
        assert ("tfloat32" in out) == bool(every)
        assert "float8" not in out
        code, out, err = call("decode", "0x" + "1" * 40, *every, *more)
        assert (code, out) == (2, "")
        assert "wider than the " in err


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


@pytest.mark.parametrize("args", [["1", "3.14", "-inf"], ["-"]], ids=" ".join)
def test_several_numbers_are_a_row_each(args: list[str]) -> None:
    code, out, _ = call("decode", *args, "--dtype", "bf16", stdin="1\n3.14\n-inf\n", columns=90)
    assert code == 0
    title, _, *lines = out.splitlines()
    assert title.startswith("bfloat16 ")
    assert lines[0].split()[0] == "input"
    assert [line.split() for line in lines[2:]] == [
        ["1", "0x3f80", "1", "0", "0", "exact"],
        ["3.14", "0x4049", "3.140625", "+0.000625", "+0.04", "inexact"],
        ["-inf", "0xff80", "-inf", "0", "0", "exact"],
    ]


def test_one_number_is_a_panel_and_one_from_stdin_a_row() -> None:
    assert "╭" in call("decode", "1", "--dtype", "bf16")[1]
    assert "╭" not in call("decode", "-", "--dtype", "bf16", stdin="1\n")[1]
    assert call("decode", "-", "--dtype", "bf16", stdin="") == (0, "", "")


def test_several_numbers_in_several_formats_are_a_row_for_each_of_both() -> None:
    _, out, _ = call("decode", "1", "0.1", "--rounding", "toward_zero", columns=200)
    title, _, head, _, *lines = out.splitlines()
    assert "toward_zero" in title
    assert head.split()[:3] == ["input", "format", "code"]
    entries = results("decode", "1", "0.1", "--rounding", "toward_zero")
    assert [line.split()[:3] for line in lines] == [
        [entry["input"], entry["format"], entry["code"]] for entry in entries
    ]
    assert len(lines) == 8


def test_long_inputs_widen_their_column() -> None:
    _, out, _ = call("decode", "-", "--dtype", "fp16", stdin=f"1\n0.{'1' * 30}\n1\n", columns=120)
    lines = out.splitlines()[-3:]
    at = [line.index("0x") for line in lines]
    assert at[0] < at[1] == at[2]
    assert "0." + "1" * 30 in lines[1]


def test_float64_is_among_the_formats_that_nobody_chose() -> None:
    assert [entry["format"] for entry in results("decode", "0.1")] == [
        "float64", "float32", "float16", "bfloat16"
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["all8", "ALL", "all16,fp4"])
def test_groups_of_formats_are_a_line_each(name: str) -> None:
    out = call("decode", "1", "--dtype", name)[1]
    assert "╭" not in out
    assert "in ulps" in out
