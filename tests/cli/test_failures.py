"""Exit codes, and the one line on stderr."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from tests.helpers import PATIENCE, call, run, running


@pytest.mark.parametrize(
    "args",
    [
        ["decode", "x"],
        ["decode", "3.14", "--dtype", "fp17"],
        ["decode", "3.14", "--dtpye", "bf16"],
        ["decode", "3.14", "-x"],
        ["decode"],
        ["decode", "--rounding", "up", "1"],
        ["decode", "0x12345", "--dtype", "bf16"],
        ["decode", "\u202e1\x1b[31m"],
        ["decode", "1", "--json", "--jsonl"],
        ["encode", "1"],
        ["encode", "1", "--dtype", "bf16", "--output", "oct"],
        ["encode", "1", "--dtype", "bf16", "--dtype", "fp16"],
        ["range", "--dtype", "nope"],
        ["nope"],
        ["--nope"],
        ["cast-compare", "nope"],
        ["cast-compare", "normal", "--to", "nope"],
        ["cast-compare", "normal", "--device", "tpu"],
        ["cast-compare", "normal", "--size", "0"],
        ["cast-compare", "normal", "--fail-if", "loss>0"],
        ["cast-compare", "normal", "--fail-if", "sqnr_db>1%"],
    ],
    ids=lambda args: ascii(" ".join(args)),
)
def test_bad_use_is_one_line_and_exit_2(args: list[str]) -> None:
    code, out, err = call(*args)
    assert (code, out) == (2, "")
    assert err.startswith("fpx: ")
    assert err.endswith("\n")
    assert err[:-1].isprintable()


def test_a_closed_pipe_is_no_error(tmp_path: Path) -> None:
    values = tmp_path / "values"
    values.write_text("1\n" * 50_000)
    with (
        values.open() as stdin,
        running("decode", "-", "--jsonl", stdin=stdin) as process,
    ):
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.wait(PATIENCE) == 0
        assert process.stderr.read() == ""


def test_ctrl_c_exits_130() -> None:
    with running("encode", "-", "--dtype", "bf16") as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdin.write("1\n")
        process.stdin.flush()
        process.stdout.readline()  # it is up, and waits for the next line
        time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 130
        assert process.stderr.read() == "fpx: interrupted\n"


def test_debug_shows_the_traceback() -> None:
    result = run("decode", "x", env=os.environ | {"FPX_DEBUG": "1"})
    assert "Traceback" in result.stderr
    assert "Traceback" not in run("decode", "x").stderr


def test_no_name_makes_a_line_endless(tmp_path: Path) -> None:
    save_file({"x" * 5000: torch.tensor([1e9])}, tmp_path / "x.safetensors")
    args = ("cast-compare", tmp_path / "x.safetensors", "--to", "fp16")
    code, _, err = call(*args, "--fail-if", "overflow_count>0", "--json")
    assert (code, err.count("\n")) == (1, 1)
    assert "x" * 100 in err
    assert "…" in err
    assert len(err) < 1100
