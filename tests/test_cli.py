"""The commands as people and programs meet them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from typer.testing import CliRunner

import fpx
from fpx.cli.app import app

FPX = [sys.executable, "-P", "-m", "fpx"]
GOLDEN = Path(__file__).parent / "golden"
FP16_JSON = ["--dtype", "fp16", "--json"]


def run(*args: str, **kinds: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*FPX, *args], capture_output=True, text=True, **kinds)  # type: ignore[call-overload,no-any-return]


def call(*args: str, stdin: str | None = None) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, list(args), input=stdin)
    return result.exit_code, result.stdout, result.stderr


@pytest.mark.parametrize(
    ("args", "lines"),
    [
        (["3.14", "--dtype", "bf16"], ["0x4049"]),
        (["-3.14", "-inf", "-0x1p3", "-1/3", "--dtype", "bf16"],
         ["0xc049", "0xff80", "0xc100", "0xbeab"]),
        (["65519.999999999999", "--dtype", "fp16"], ["0x7bff"]),
        (["65520", "--dtype", "half", "--overflow", "saturate"], ["0x7bff"]),
        (["1.5", "--dtype", "bf16", "--output", "bin"], ["0b0011111111000000"]),
        (["1.5", "--dtype", "bf16", "--output", "int"], ["16320"]),
        (["0x10", "--as", "value", "--dtype", "fp16"], ["0x4c00"]),
        (["1.001", "--rounding", "toward_positive", "--dtype", "bf16"], ["0x3f81"]),
    ],
)  # fmt: skip
def test_encode(args: list[str], lines: list[str]) -> None:
    assert call("encode", *args) == (0, "\n".join(lines) + "\n", "")


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("decode", ["decode", "3.14", "-0", "1/3", "65520", "nan", "1e-8", *FP16_JSON]),
        ("encode", ["encode", "3.14", "1e9", "--dtype", "fp16", "--json"]),
        ("range", ["range", "--dtype", "fp16", "--dtype", "e8m0", "--dtype", "e4m3fn", "--json"]),
    ],
)  # fmt: skip
def test_json_is_golden(name: str, args: list[str]) -> None:
    code, out, err = call(*args)
    assert (code, err) == (0, "")
    golden = GOLDEN / f"{name}.json"
    document = json.loads(out, parse_constant=lambda token: pytest.fail(f"{token} is not JSON"))
    assert document.pop("fpx") == fpx.__version__
    if os.environ.get("FPX_REGENERATE"):  # review the diff before you commit it
        golden.write_text(json.dumps(document, indent=1) + "\n")
    assert document == json.loads(golden.read_text())


DECODE_KEYS = (
    "input format code sign biased_exponent exponent fraction significand classification value "
    "shortest hex_float rounding_error error_ulp ulp lower upper"
)
RANGE_KEYS = (
    "format bits exponent_bits fraction_bits bias emin emax max_finite smallest_normal "
    "smallest_subnormal machine_epsilon unit_roundoff digits10 max_digits10 max_consecutive_integer"
)
CAST_KEYS = (
    "source tensor from to backend device count overflow_count overflow_to_inf_count "
    "overflow_to_nan_count saturated_count underflow_count subnormal_count nan_input_count "
    "inf_input_count exact_count max_abs_error max_rel_error max_error_ulp rms_error sqnr_db"
)


@pytest.mark.parametrize(
    ("keys", "args"),
    [
        (DECODE_KEYS, ["decode", "3.14"]),
        (RANGE_KEYS, ["range"]),
        (CAST_KEYS, ["cast-compare", "normal", "--size", "100"]),
    ],
)
def test_json_keeps_its_promised_keys(keys: str, args: list[str]) -> None:
    document = json.loads(call(*args, "--json")[1])
    assert document["schema"] == f"fpx.{args[0]}/1"
    assert {"schema", "fpx", "environment", "results"} <= set(document)
    for entry in document["results"]:
        assert set(keys.split()) <= set(entry)


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


@pytest.mark.parametrize("command", ["decode", "encode", "range", "cast-compare"])
def test_help_has_examples(command: str) -> None:
    code, out, err = call(command, "--help")
    assert (code, err) == (0, "")
    assert "Examples" in out
    assert f"fpx {command}" in out.split("Examples")[1]


def test_version_and_bare_call() -> None:
    assert call("--version") == (0, f"fpx {fpx.__version__}\n", "")
    code, out, _ = call()
    assert code == 0
    assert "cast-compare" in out


def test_stdin_names_the_bad_line() -> None:
    code, out, err = call("encode", "-", "--dtype", "fp16", stdin="1\n2\nx\n4\n")
    assert (code, out) == (2, "0x3c00\n0x4000\n")
    assert err.startswith("fpx: line 3 of stdin: 'x'")


def test_jsonl_is_one_object_per_line() -> None:
    code, out, _ = call("decode", "-", "--dtype", "bf16", "--jsonl", stdin="1\n-0x1p3\ninf\n")
    assert code == 0
    assert [json.loads(line)["code"] for line in out.splitlines()] == ["0x3f80", "0xc100", "0x7f80"]


@pytest.mark.parametrize("args", [["encode", "-", "--dtype", "bf16"], ["decode", "-", "--jsonl"]])
def test_a_line_is_answered_before_the_next_is_read(args: list[str]) -> None:
    with subprocess.Popen(
        [*FPX, *args], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for value in ("3.14", "-1", "2"):
            process.stdin.write(f"{value}\n")
            process.stdin.flush()
            assert process.stdout.readline()
            if args[0] == "decode":  # float32, float16, bfloat16
                process.stdout.readline()
                process.stdout.readline()
        process.stdin.close()
        assert process.wait() == 0


def test_a_closed_pipe_is_no_error(tmp_path: Path) -> None:
    values = tmp_path / "values"
    values.write_text("1\n" * 50_000)
    with (
        values.open() as stdin,
        subprocess.Popen(
            [*FPX, "decode", "-", "--jsonl"],
            stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        ) as process,
    ):  # fmt: skip
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.wait() == 0
        assert process.stderr.read() == ""


def test_ctrl_c_exits_130() -> None:
    with subprocess.Popen(
        [*FPX, "encode", "-", "--dtype", "bf16"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, bufsize=1,
    ) as process:  # fmt: skip
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdin.write("1\n")
        process.stdin.flush()
        process.stdout.readline()  # it is up, and waits for the next line
        time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        assert process.wait() == 130
        assert process.stderr.read() == "fpx: interrupted\n"


@pytest.mark.parametrize("columns", [60, 80, 120])
def test_output_fits_the_terminal(columns: int) -> None:
    env = os.environ | {"COLUMNS": str(columns), "PYTHONUTF8": "1"}
    for args in (
        ["decode", "1e-40"],
        ["decode", "3.14", "--dtype", "bf16"],
        ["range"],
        ["cast-compare", "--size", "1000"],
    ):
        result = run(*args, env=env)
        assert result.returncode == 0
        assert max(map(len, result.stdout.splitlines())) <= columns
        assert "\x1b" not in result.stdout


def test_tables_show_every_column_at_80() -> None:
    out = run("cast-compare", "--size", "1000", env=os.environ | {"COLUMNS": "80"}).stdout
    assert "SQNR" in out
    assert "first missing" in run("range", env=os.environ | {"COLUMNS": "80"}).stdout


def test_an_ascii_terminal_gets_ascii() -> None:
    env = os.environ | {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    result = run("decode", "1e-40", "--dtype", "fp32", env=env)
    assert result.returncode == 0
    assert result.stdout.isascii()
    assert "2^(1-127) x 0." in result.stdout


def test_debug_shows_the_traceback() -> None:
    result = run("decode", "x", env=os.environ | {"FPX_DEBUG": "1"})
    assert "Traceback" in result.stderr
    assert "Traceback" not in run("decode", "x").stderr


def test_nothing_is_imported_from_the_current_directory(tmp_path: Path) -> None:
    (tmp_path / "rich.py").write_text("raise SystemExit('imported')")
    assert run("encode", "1", "--dtype", "bf16", cwd=tmp_path).stdout == "0x3f80\n"


# -- cast-compare ----------------------------------------------------------------------------------


def test_cast_compare_reports_a_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save_file({"ok": torch.ones(4), "w\x1b[31m": torch.tensor([[1.0, 7e4], [1e-9, 2.0]])}, path)
    code, out, err = call("cast-compare", str(path), "--to", "fp16", "--json")
    assert (code, err) == (0, "")
    rows = {row["tensor"]: row for row in json.loads(out)["results"]}
    row = rows["w\x1b[31m"]
    assert (row["overflow_count"], row["overflow_to_inf_count"], row["underflow_count"]) == (
        1,
        1,
        1,
    )
    assert row["first_overflow"]["index"] == [0, 1]
    assert row["first_overflow"]["value"] == 7e4
    assert row["first_overflow"]["result"] == "inf"
    assert rows["ok"]["exact_count"] == 4
    code, out, _ = call("cast-compare", str(path), "--to", "fp16")
    assert code == 0
    assert "\x1b" not in out


def test_fail_if_exits_1_and_names_the_row(tmp_path: Path) -> None:
    path = tmp_path / "x.npy"
    np.save(path, np.array([1.0, 1e6], dtype=np.float32))
    args = ["cast-compare", str(path), "--to", "fp16"]
    code, out, err = call(*args, "--fail-if", "overflow_count>0", "--fail-if", "sqnr_db<0")
    assert code == 1
    assert "float16" in out
    assert err.startswith("fpx: ")
    assert "overflow_count>0 holds" in err
    assert err.count("\n") == 1
    assert call(*args, "--fail-if", "overflow_count > 50%")[0] == 0
    assert call(*args, "--fail-if", "overflow_count>=50%")[0] == 1


def test_a_bad_file_among_good_ones(tmp_path: Path) -> None:
    good = tmp_path / "good.npy"
    np.save(good, np.ones(3, np.float32))
    code, out, err = call("cast-compare", str(good), str(tmp_path / "absent.pt"), "--json")
    assert code == 2
    assert len(json.loads(out)["results"]) == 2
    assert "absent.pt" in err
    assert err.count("\n") == 1


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has CUDA")
def test_cuda_without_cuda_exits_3() -> None:
    code, out, err = call("cast-compare", "normal", "--device", "cuda")
    assert (code, out) == (3, "")
    assert err.startswith("fpx: torch")
    code, _, err = call("cast-compare", "normal", "--device", "auto", "--size", "10")
    assert code == 0
    assert err.startswith("fpx: auto took cpu")


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
def test_cuda_agrees_with_the_cpu() -> None:
    code, out, _ = call("cast-compare", "--device", "cuda", "--json")
    assert code == 0
    for row in json.loads(out)["results"]:
        assert row["device_mismatch_count"] == 0
