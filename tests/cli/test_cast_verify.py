"""`fpx cast-verify`."""

from __future__ import annotations

import csv
import json
import os
import re
import select
import signal
import subprocess

import pytest

from tests.helpers import PATIENCE, call, cells, running


def test_the_command() -> None:
    code, out, err = call("cast-verify", "--from", "float64", "--to", "fp16")
    assert code == 1
    assert "rounded to float32 on the way" in out
    assert err.startswith("fpx: float64 -> float16 by torch on cpu: ")
    code, out, _ = call("cast-verify", "--from", "bf16", "--to", "fp16", "--json")
    assert code == 0
    (entry,) = json.loads(out)["results"]
    assert (entry["verdict"], entry["checked_count"], entry["codes"]) == ("right", 1 << 16, "all")
    args = ("cast-verify", "--from", "fp16", "--to", "bf16", "--backend", "ml_dtypes")
    assert call(*args)[0] == 0
    assert call(*args, "--fail-on", "any")[0] == 1
    code, _, err = call("cast-verify", "--to", "float128")
    assert (code, err.count("\n")) == (2, 1)


def test_ctrl_c_reports_what_was_covered() -> None:
    """Its stderr is a terminal, whose progress bar says when some casts are done."""
    terminal, theirs = os.openpty()
    args = ("cast-verify", "--from", "fp32", "--to", "fp16")
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
    assert b"fpx: interrupted" in shown
    assert b"Traceback" not in shown
    (row,) = (row for row in cells(out) if row[:3] == ["float32", "float16", "all"])
    assert row[3] == "right, part"
    assert 0 < int(row[4].replace(",", "")) < 1 << 32


def _read(terminal: int) -> bytes:
    """What is there to read; nothing once the other end is closed."""
    try:
        return os.read(terminal, 4096)
    except OSError:
        return b""


WRONG = ("cast-verify", "--from", "fp64", "--to", "fp16", "--size", "2000")
"""torch rounds it wrongly, and nothing else is amiss but the bits of NaNs."""

NANS = ("cast-verify", "--from", "fp16", "--to", "bf16", "--backend", "ml_dtypes")
"""Nothing differs but the bits of NaNs."""


@pytest.mark.parametrize(
    ("args", "kinds"),
    [
        (WRONG, ["wrong_rounding", "policy", "nan_bits", "any"]),
        (NANS, ["nan_bits", "any"]),
    ],
)
def test_fail_on_means_that_kind_or_worse(args: tuple[str, ...], kinds: list[str]) -> None:
    for kind in ("wrong_rounding", "policy", "nan_bits", "any"):
        code, out, err = call(*args, "--fail-on", kind, "--json")
        document = json.loads(out)
        assert document["checks"] == [{"check": kind}]
        assert code == (1 if kind in kinds else 0)
        (entry,) = document["results"]
        differing = sum(cause["count"] for cause in entry["causes"])
        if kind not in kinds:
            assert (document["failures"], err) == ([], "")
            continue
        (failure,) = document["failures"]
        keys = ("from", "to", "backend", "device")
        assert {key: failure[key] for key in keys} == {key: entry[key] for key in keys}
        assert failure["check"] == kind
        assert 0 < failure["value"] <= differing
        if kind in ("nan_bits", "any"):  # which leave nothing out
            assert failure["value"] == differing
        assert err.count("\n") == 1
        assert (
            f"{failure['value']:,} of {entry['checked_count']:,} casts differ ({kind}" in err
            or (kind == "any" and "(any cause)" in err)
        )


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ("--to e5m7 --sample", "to e5m7: not checked, torch has no such cast"),
        ("--from tf32", "from tfloat32: not checked"),
        ("--from fp32 --to bf16 --against numpy", "torch and numpy do not both have"),
        ("--from fp16 --to bf16 --to tf32", "float16 to tfloat32: not checked"),
        ("--backend numpy --against ml_dtypes --sample", "casts: not checked"),
    ],
)
def test_what_is_named_and_cannot_be_checked_is_exit_3(args: str, words: str) -> None:
    code, out, err = call("cast-verify", *args.split())
    assert code == 3
    assert err.count("\n") == 1
    assert err.startswith("fpx: ")
    assert words in err
    document = json.loads(call("cast-verify", *args.split(), "--json")[1])
    assert document["unchecked"] == [err.removeprefix("fpx: ").strip()]
    if "bf16 --to tf32" in args:  # the rest is done, and told
        assert document["results"][0]["checked_count"] == 1 << 16
        assert "65,536" in out


@pytest.mark.parametrize(
    "args",
    [
        "--from fp16 --to fp16",
        "--from fp16 --to e5m7 --backend exact",
        "--from tf32 --to fp16 --backend exact",
        "--from fp16 --to bf16 --against ml_dtypes",
    ],
)
def test_exit_0_is_of_casts_that_were_checked(args: str) -> None:
    code, out, err = call("cast-verify", *args.split(), "--json")
    assert (code, err) == (0, "")
    for entry in json.loads(out)["results"]:
        assert entry["checked_count"] == 1 << 16 or entry["codes"] == "sampled"
        assert entry["checked_count"] > 1000


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ("--backend numpy --compile", "--compile is for torch: numpy has nothing to compile"),
        ("--backend exact --layout strided", "--layout strided changes nothing"),
        ("--against cpu", "--against cpu compares torch on the CPU with itself"),
        ("--size 0", "--size and --examples must be at least 1"),
        ("--fail-on never", "--fail-on: 'never' is not one of wrong_rounding, policy"),
        ("--to float128", "float128 has 128 bits"),
    ],
)
def test_what_makes_no_sense_is_one_line(args: str, words: str) -> None:
    code, out, err = call("cast-verify", "--from", "fp16", *args.split())
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert words in err


def test_a_table_has_counts_in_place_of_causes() -> None:
    _, out, _ = call("cast-verify", "--from", "fp16", "--to", "bf16", "--to", "e4m3fn", "--csv")
    rows = list(csv.DictReader(out.splitlines()))
    _, out, _ = call("cast-verify", "--from", "fp16", "--to", "bf16", "--to", "e4m3fn", "--json")
    entries = json.loads(out)["results"]
    assert [row["to"] for row in rows] == [entry["to"] for entry in entries]
    for row, entry in zip(rows, entries, strict=True):
        assert int(row["checked_count"]) == entry["checked_count"]
        for kind in ("wrong_rounding", "policy", "nan_bits"):
            causes = [cause for cause in entry["causes"] if cause["kind"] == kind]
            assert int(row[f"{kind}_count"]) == sum(cause["count"] for cause in causes)
