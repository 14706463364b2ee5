"""`fpx calc`."""

from __future__ import annotations

import csv
import json
from io import StringIO
from pathlib import Path

import pytest

import fpx
from tests.helpers import call, document, results


def test_calc() -> None:
    (entry,) = results("calc", "0.05 - 1e-5", "--dtype", "bf16")
    assert (entry["code"], entry["value"], entry["exact"]) == (
        "0x3d4d",
        "0.050048828125",
        "0.04999",
    )
    assert (entry["error"], entry["error_ulp"]) == ("0.000058828125", "0.24096")
    assert entry["absorbed"] == [
        {
            "operation": "0.05 - 1e-05", "column": 6, "kept": "0.050048828125",
            "operand": "0.000010013580322265625", "smallest_that_counts": "0.0001220703125",
            "threshold": "0.0001220703125", "threshold_counts": True,
        }
    ]  # fmt: skip
    assert "steps" not in entry
    assert "libraries" not in entry
    assert len(results("calc", "1 + 1")) == 4


def test_options_reach_the_arithmetic() -> None:
    def code(*options: str) -> str:
        (entry,) = results("calc", "sum(max, 1, 2^-8, -max, 1/3)", "--dtype", "bf16", *options)
        return str(entry["code"])

    found = [
        code(),
        code("--order", "exact"),
        code("--order", "pairwise"),
        code("--rounding", "toward_positive"),
        code("--precise"),
    ]
    # max keeps what follows out; halves cancel; upwards there is an infinity from the start
    assert found == ["0x3eab", "0x3fab", "0x0000", "0x7f80", "0x3fab"]
    (entry,) = results("calc", "max + max", "--dtype", "bf16", "--overflow", "saturate")
    assert entry["code"] == "0x7f7f"
    assert entry["overflow"] == "saturate"


def test_an_expression_may_come_in_words_and_begin_with_a_sign() -> None:
    (entry,) = results("calc", "-1", "+", "3", "--dtype", "fp16")
    assert (entry["expression"], entry["value"]) == ("-1 + 3", "2")
    (entry,) = results("calc", "-inf", "--dtype", "fp16")
    assert entry["value"] == "-inf"
    assert call("calc", "--dytpe", "fp16", "1")[2] == (
        "fpx: no such option: '--dytpe'; did you mean '--dtype'? (see fpx calc --help)\n"
    )


@pytest.mark.parametrize(
    ("meaning", "code"),
    # 0x3c00 is 1 as a code; 16 and 0b10 are 16 and 2, or the 16th and 2nd subnormal
    [("auto", "0x4c40"), ("value", "0x7382"), ("code", "0x3c00")],
)
def test_what_codes_and_integers_mean(meaning: str, code: str) -> None:
    text = "0x3c00 + 16 + 0b10"
    (entry,) = results("calc", text, "--dtype", "fp16", "--as", meaning)
    assert entry["code"] == code
    assert fpx.calc(text, "fp16", read_as=meaning).to_dict()["results"] == [entry]


def test_steps_and_libraries_are_rows() -> None:
    _, out, _ = call("calc", "0.1 + 0.2", "--dtype", "bf16", "--trace", "--csv")
    rows = list(csv.DictReader(StringIO(out)))
    assert [row["step.operation"] for row in rows] == ["0.1", "0.2", "0.1 + 0.2"]
    assert {row["code"] for row in rows} == {"0x3e9a"}
    _, out, _ = call("calc", "0.1 + 0.2", "--dtype", "bf16", "--libraries", "--csv")
    rows = list(csv.DictReader(StringIO(out)))
    assert [row["library.library"] for row in rows] == ["numpy", "torch"]
    (entry,) = results("calc", "0.1 + 0.2", "--dtype", "bf16", "--trace")
    assert [step["code"] for step in entry["steps"]] == ["0x3dcd", "0x3e4d", "0x3e9a"]
    assert [step["operands"] for step in entry["steps"]] == [[], [], ["0x3dcd", "0x3e4d"]]
    assert set(document("calc", "1", "--libraries")["environment"]) == {
        "torch", "numpy", "ml_dtypes",
    }  # fmt: skip


def test_all_codes() -> None:
    found = document("calc", "x + y", "--dtype", "fp4,fp6_e2m3", "--all", "x", "--all", "y")
    assert found["schema"] == "fpx.calc-all/1"
    assert [entry["count"] for entry in found["results"]] == [256, 4096]
    _, out, _ = call("calc", "x + y", "--dtype", "fp4", "--all", "x,y", "--csv")
    assert [row["variable"] for row in csv.DictReader(StringIO(out))] == ["x", "y"]


@pytest.mark.parametrize(
    ("args", "failing"),
    [
        (["1/3", "--fail-if", "inexact"], "inexact holds (inexact is 1)"),
        (["1/4", "--fail-if", "inexact"], None),
        (["0.05 - 1e-5", "--fail-if", "absorbed_count > 0"], "(absorbed_count is 1)"),
        (["0.1 + 0.2", "--fail-if", "error_ulp>0.4"], None),
        (["0.1 + 0.2", "--fail-if", "error_ulp>=0.4"], "(error_ulp is 0.4)"),
        (["0/0", "--fail-if", "error_ulp>9"], "counts as met: there is no error_ulp"),
        (["x * 0.98", "--all", "x", "--fail-if", "unchanged_normal_count>237"], "is 238)"),
        (["x * 0.98", "--all", "x", "--fail-if", "overflow_count"], None),
    ],
)
def test_fail_if(args: list[str], failing: str | None) -> None:
    dtype = "e4m3fn" if "--all" in args else "bf16"
    code, out, err = call("calc", *args, "--dtype", dtype, "--json")
    assert code == int(failing is not None)
    assert (failing in err) if failing else err == ""
    found = json.loads(out)
    assert len(found["failures"]) == code
    assert found["checks"][0]["check"] == args[-1]


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["1 + $"], "'1 + $', column 5: '$' means nothing here"),
        (["x + 1"], "a variable takes --all x"),
        (["1 + 1", "--all", "x"], "'1 + 1' has no variable 'x'"),
        (["x", "--all", "x", "--dtype", "fp32"], "--all runs over formats of up to 16 bits"),
        (["x", "--all", "x", "--trace"], "--trace is of single results: leave out --all"),
        (["1", "--fail-if", "inexct"], "did you mean 'inexact'?"),
        (["1", "--fail-if", "inexact=1"], "no condition: write NAME or NAME OPERATOR NUMBER"),
        (["1", "--dtype", "mxfp4"], "mxfp4 is numbers with scales"),
        (["sum(1, 2)", "--dtype", "e8m0", "--order", "kahan"], "that --order kahan keeps"),
        (["1e99999999", "--dtype", "bf16", "--precise"], "leave out --precise"),
    ],
)  # fmt: skip
def test_errors_are_one_line(args: list[str], says: str) -> None:
    code, out, err = call("calc", *args)
    assert (code, out) == (2, "")
    assert err.startswith("fpx: ")
    assert err.count("\n") == 1
    assert says in err


def test_results_are_saved(tmp_path: Path) -> None:
    names = ("r.json", "r.csv", "r.md", "r.svg", "r.html", "r.txt", "r.xml")
    saves = [part for name in names for part in ("--save", str(tmp_path / name))]
    assert call("calc", "1/3", "--dtype", "bf16", *saves)[0] == 0
    assert json.loads((tmp_path / "r.json").read_text())["schema"] == "fpx.calc/1"
    for name in names:
        assert "1/3" in (tmp_path / name).read_text()


def test_errors_beyond_every_float() -> None:
    """Of float128 too, in ulps of which the largest have more digits than Python converts."""
    for text, dtype, digits in (
        ("[1e307/7]*7 - 1e307", "fp64", "2.52477e+614"),
        ("[1e4931/19]*19 - 1e4931", "fp128", "e+9862"),
    ):
        args = ("calc", text, "--dtype", dtype, "--fail-if", "error_ulp>1")
        code, out, err = call(*args, "--json")
        assert code == 1
        assert f"{digits})\n" in err
        (failure,) = json.loads(out)["failures"]
        assert failure["value"] is None
        assert digits in failure["reason"]
