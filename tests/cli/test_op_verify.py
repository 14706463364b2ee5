"""`fpx op-verify`."""

from __future__ import annotations

import csv
import json
import os
import re
import select
import signal
import subprocess
from io import StringIO

import pytest

from fpx.arithmetic.functions.catalogue import FUNCTIONS
from fpx.report.op_verify import CAUSES
from tests.helpers import PATIENCE, call, cells, document, results, running

QUICK = ("op-verify", "softsign", "relu", "--dtype", "bf16")
"""Of one torch rounds inside, so that some results are wrong; the other is right."""


def test_the_command() -> None:
    softsign, relu = results(*QUICK)
    assert (relu["verdict"], relu["checked_count"], relu["inputs"]) == ("right", 1 << 16, "all")
    assert relu["causes"] == relu["binades"] == []
    assert softsign["wrong_count"] == sum(cause["count"] for cause in softsign["causes"]) > 0
    assert softsign["wrong_count"] >= sum(binade["wrong_count"] for binade in softsign["binades"])
    assert {cause["cause"] for cause in softsign["causes"]} <= set(CAUSES)
    assert softsign["max_error_ulp"] == softsign["worst"]["error_ulp"]
    found = document(*QUICK)
    assert found["schema"] == "fpx.op-verify/1"
    assert {"mpmath", "torch", "layout", "compile", "flush_denormal", "seed"} <= set(
        found["environment"]
    )


def test_a_format_is_two_where_nobody_chose() -> None:
    assert [row["format"] for row in results("op-verify", "relu")] == ["bfloat16", "float16"]


def test_without_a_function_they_are_listed() -> None:
    found = document("op-verify")
    assert found["schema"] == "fpx.op-verify-list/1"
    assert [row["function"] for row in found["results"]] == list(FUNCTIONS)
    code, out, err = call("op-verify", columns=120)
    assert (code, err) == (0, "")
    assert "atan2(x, y)" in out


@pytest.mark.parametrize(
    ("condition", "code"),
    [("wrong_count", 1), ("wrong_count>1e", 2), ("wrong_count>99999", 0), ("max_error_ulp>1", 1),
     ("max_error_ulp>9", 0), ("one_step_count>10", 1), ("wrong", 2), ("nan_lost_count", 0),
     ("wrong_count>1e9", 0), ("wrong_count>1e-9", 1)],
)  # fmt: skip
def test_conditions_make_exit_codes(condition: str, code: int) -> None:
    found, _, err = call(*QUICK, "--fail-if", condition)
    assert found == code
    assert err.count("\n") == (code > 0)
    if code == 1:
        assert err.startswith("fpx: softsign of bfloat16 by torch on cpu: ")
        (failure,) = json.loads(call(*QUICK, "--fail-if", condition, "--json")[1])["failures"]
        assert failure["function"] == "softsign"


@pytest.mark.parametrize(
    ("args", "code", "says"),
    [
        ("exq --dtype bf16", 2, "no function 'exq'; did you mean 'exp'?"),
        ("\x1b[31m\u202e --dtype bf16", 2, r"no function '\x1b[31m\u202e'"),
        ("exp --dtype bf17", 2, "did you mean 'bf16'?"),
        ("exp --dtype mxfp4", 2, "numbers with scales"),
        ("exp --dtype fp128", 2, "float128 has 128 bits"),
        ("exp --dtype e4m3fn", 3, "exp of float8_e4m3fn: not checked, torch has no exp"),
        ("all --dtype e5m7", 3, "e5m7: not checked"),
        ("exp --dtype bf16 --backend jax", 2, "--backend"),
        ("exp --dtype bf16 --layout heap", 2, "--layout"),
        ("exp --dtype bf16 --size 0", 2, "--size and --examples must be at least 1"),
        ("exp --dtype bf16 --seed -1", 2, "--seed must be"),
        ("exp --dtype fp64 --exhaustive", 2, "--exhaustive is for up to 32 bits"),
        ("exp --dtype fp32 --exhaustive --layout scalar", 2, "leave out --exhaustive"),
        ("exp --dtype bf16 --backend numpy --compile", 2, "--compile is for torch"),
        ("exp --dtype bf16 --device gpu", 2, "unknown device 'gpu'"),
    ],
)
def test_what_is_wrong_is_one_line(args: str, code: int, says: str) -> None:
    found, out, err = call("op-verify", *args.split(" "))
    assert (found, err.count("\n")) == (code, 1), err
    assert says in err
    assert code == 3 or out == ""


def test_options_reach_the_functions() -> None:
    def entry(*options: str) -> dict[str, object]:
        found: dict[str, object] = results(
            "op-verify", "square", "--dtype", "fp32", "--size", "500", *options
        )[0]
        return found

    plain = entry()
    assert plain["inputs"] == "sampled"
    assert entry("--size", "600")["checked_count"] != plain["checked_count"]
    assert entry("--flush-denormal")["verdict"] in ("flushed to zero", "right")
    numpy = entry("--backend", "numpy")
    assert (numpy["backend"], numpy["verdict"]) == ("numpy", "right")
    three = results("op-verify", "softsign", "--dtype", "bf16", "--examples", "3")[0]
    assert max(len(cause["examples"]) for cause in three["causes"]) == 3
    strided = results("op-verify", "softsign", "--dtype", "bf16", "--layout", "strided")[0]
    assert "[::2]" in strided["worst"]["reproduction"]
    code, _, err = call(*QUICK, "--device", "auto")
    assert (code, err.startswith("fpx: auto took ")) == (0, True)


def test_csv_has_a_column_for_each_cause() -> None:
    _, out, _ = call(*QUICK, "--csv")
    softsign, relu = csv.DictReader(StringIO(out))
    assert {f"{cause}_count" for cause in CAUSES} <= set(softsign)
    assert int(softsign["one_step_count"]) > 0 == int(relu["one_step_count"])


def test_ctrl_c_reports_what_was_covered() -> None:
    terminal, theirs = os.openpty()
    args = ("op-verify", "square", "--dtype", "fp32", "--exhaustive")
    try:
        with running(*args, stdin=subprocess.DEVNULL, stderr=theirs) as process:
            os.close(theirs)
            shown = b""
            while not re.search(rb"[1-9][0-9]*%", shown):
                assert select.select([terminal], [], [], PATIENCE)[0], shown
                shown += os.read(terminal, 4096)
            process.send_signal(signal.SIGINT)
            assert process.stdout is not None
            out = process.stdout.read()
            assert process.wait(PATIENCE) == 130
            while select.select([terminal], [], [], 0)[0] and (more := _read(terminal)):
                shown += more
    finally:
        os.close(terminal)
    assert b"fpx: interrupted after " in shown
    assert b"Traceback" not in shown
    (row,) = (row for row in cells(out) if row[:3] == ["square", "float32", "all"])
    assert row[-1] == "right, part"
    assert 0 < int(row[3].replace(",", "")) < 1 << 32


def _read(terminal: int) -> bytes:
    """What is there to read; nothing once the other end is closed."""
    try:
        return os.read(terminal, 4096)
    except OSError:
        return b""
