"""Exit codes, and the one line on stderr."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
import typer
from safetensors.torch import save_file

import fpx
from fpx.cli.failures import (
    finish,
    in_options,
    speak_of,
)
from fpx.cli.output import SCREEN
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


FULL = "/dev/full"


@pytest.mark.skipif(not Path(FULL).exists(), reason="there is no full disk here")
@pytest.mark.parametrize(("args", "code"), [(("decode", "x"), 2), (("decode", "1"), 0)])
def test_a_full_stderr_does_not_change_the_exit_code(args: tuple[str, ...], code: int) -> None:
    with Path(FULL).open("w") as full:
        assert run(*args, capture_output=False, stdout=-1, stderr=full).returncode == code


@pytest.mark.parametrize(
    ("command", "code"),
    [
        ("decode 1 >&-", 0),
        ("decode 1 2>&-", 0),
        ("decode x 2>&-", 2),
        ("decode x >&- 2>&-", 2),
        ("encode - --dtype fp16 <&-", 0),
    ],
)
def test_a_closed_stream_is_an_empty_one(command: str, code: int) -> None:
    shell = ["sh", "-c", f'"$0" -P -m fpx {command}', sys.executable]
    result = subprocess.run(shell, capture_output=True, text=True, timeout=PATIENCE)
    assert result.returncode == code
    assert "internal error" not in result.stderr


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


def test_a_line_end_in_a_name_is_spelled(tmp_path: Path) -> None:
    save_file({"a\nb": torch.tensor([1e9])}, tmp_path / "x.safetensors")
    save_file({"a\nb": torch.tensor([2e9])}, tmp_path / "y.safetensors")
    save_file({"c": torch.tensor([1e9])}, tmp_path / "z.safetensors")
    x, y, z = (tmp_path / f"{name}.safetensors" for name in "xyz")
    old = tmp_path / "old.json"
    assert call("inspect", x, "--save", old)[0] == 0
    for args in (
        ("cast-compare", x, "--to", "fp16", "--fail-if", "overflow_count>0"),
        ("diff", x, y),
        ("inspect", z, "--baseline", old),
    ):
        code, _, err = call(*args)
        assert code == 1
        assert " a\\nb" in err


def test_no_name_makes_a_line_endless(tmp_path: Path) -> None:
    save_file({"x" * 5000: torch.tensor([1e9])}, tmp_path / "x.safetensors")
    args = ("cast-compare", tmp_path / "x.safetensors", "--to", "fp16")
    code, _, err = call(*args, "--fail-if", "overflow_count>0", "--json")
    assert (code, err.count("\n")) == (1, 1)
    assert "x" * 100 in err
    assert "…" in err
    assert len(err) < 1100


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (
            ["decode", "3", "--dtype"],
            "option '--dtype' requires an argument (see fpx decode --help)",
        ),
        (["bits"], "FILE is missing (see fpx bits --help)"),
        (["decode", "1", "--nope"], "no such option: '--nope' (see fpx decode --help)"),
        (
            ["decode", "--", "-3", "--dtype", "bf16"],
            "no such option: '--dtype' after --: options stand before that (see fpx decode --help)",
        ),
        (["nope"], "no such command: 'nope' (see fpx --help)"),
        (["--nope"], "no such option: '--nope' (see fpx --help)"),
        (["range", "--nope"], "no such option: '--nope' (see fpx range --help)"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_usage_points_to_the_commands_help(args: list[str], message: str) -> None:
    assert call(*args) == (2, "", f"fpx: {message}\n")


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["bits", "-", "--dtype", "bf16", "--offset", "-1"],
         "--offset must not be negative, as -1 is"),
        (["bits", "-", "--dtype", "bf16", "--count", "-2"],
         "--count must not be negative, as -2 is"),
        (["table", "bf16"],
         "bfloat16 has 2^16 codes, too many for a picture: choose some with --around and --count, "
         "or take them as rows with --csv"),
        (["table", "float32", "--csv"],
         "float32 has 2^32 codes, too many for one table: choose some with --around and --count"),
        (["table", "fp4", "--around", "1", "--count", "0"], "--count must be at least 1, not 0"),
        (["decode", "7e4", "--dtype", "fp4", "--overflow", "nan"],
         "float4_e2m1fn has no NaN to overflow to: choose --overflow saturate"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)  # fmt: skip
def test_parameters_are_called_options(args: list[str], message: str) -> None:
    """The library's messages name parameters; on the command line they are options."""
    assert call(*args) == (2, "", f"fpx: {message}\n")


def test_what_messages_call_parameters() -> None:
    class Item(NamedTuple):
        name: str
        param_type_name: str
        opts: list[str]
        metavar: str | None = None

    speak_of(
        "fpx x",
        [
            Item("from_", "option", ["--from"]),
            Item("size", "option", ["-s", "--size"]),
            Item("sample", "option", ["--sample"]),
            Item("sources", "argument", ["sources"], "SOURCE..."),
            Item("file", "argument", ["file"]),
        ],
    )
    try:
        for message, said in (
            ("`size` must be at least 1", "--size must be at least 1"),
            ('choose `from_="int8"` or `size=3`', "choose --from int8 or --size 3"),
            ("leave `sample=True` out", "leave --sample out"),
            ("`sources` or `file`", "SOURCE or FILE"),
            ("`other` and `size", "`other` and `size"),
        ):
            assert in_options(message) == said
    finally:
        speak_of("fpx")
    assert in_options("`size`") == "`size`"


class _Failed(NamedTuple):
    text: str


@pytest.mark.parametrize(
    ("ends", "code", "lines"),
    [
        ({}, None, []),
        ({"took": "cpu"}, None, ["fpx: auto took cpu"]),
        ({"notes": ["a", "b"]}, None, ["fpx: note: a", "fpx: note: b"]),
        ({"errors": ["bad"]}, 2, ["fpx: bad"]),
        ({"failures": [_Failed("f")]}, 1, ["fpx: f"]),
        ({"failures": [_Failed("f")], "errors": ["bad"]}, 2, ["fpx: bad", "fpx: f"]),
        ({"interrupted": "cut", "failures": [_Failed("f")]}, 130, ["fpx: cut"]),
        (
            {"failures": [_Failed(str(n)) for n in range(25)]},
            1,
            [*(f"fpx: {n}" for n in range(20)), "fpx: and 5 more"],
        ),
    ],
    ids=str,
)
def test_how_a_command_ends(
    ends: dict[str, Any], code: int | None, lines: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    ended = None
    try:
        finish(fpx.encode("1", "bf16"), SCREEN, **ends)
    except typer.Exit as error:
        ended = error.exit_code
    out, err = capsys.readouterr()
    assert (ended, out, err.splitlines()) == (code, "0x3f80\n", lines)
