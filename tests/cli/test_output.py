"""Every command's results in every form, and where they cannot be written."""

from __future__ import annotations

import csv
import io
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

import fpx
from fpx.render.writers import OPTIONS
from tests.helpers import FPX, PATIENCE, REPORTING, call, document
from tests.markdown import table

FORMS = [form.name for form in OPTIONS]

SCALAR = {
    "decode": ["3.14", "nan", "--dtype", "bf16"],
    "encode": ["3.14", "1e9", "--dtype", "fp16"],
    "range": ["--dtype", "fp16", "--dtype", "e8m0"],
    "formats": ["e4m3fn", "e5m7"],
    "table": ["fp4"],
    "distance": ["1", "1.001"],
    "bits": ["-", "--dtype", "bf16"],
}
"""Commands that need no tensor library, with arguments."""


def shown(command: str, *more: str) -> str:
    """What the command prints."""
    code, out, err = call(command, *SCALAR[command], *more, stdin=b"I@\x80?")
    assert (code, err) == (0, "")
    return out


@pytest.mark.parametrize("command", REPORTING)
def test_help_tells_of_every_form_and_has_examples(command: str) -> None:
    code, out, err = call(command, "--help", columns=200)
    assert (code, err) == (0, "")
    for form in FORMS:
        assert f"--{form} " in out
    assert f"fpx {command}" in out.split("Examples")[1]


@pytest.mark.parametrize("command", SCALAR)
def test_every_form_tells_the_same(command: str) -> None:
    document = json.loads(shown(command, "--json"))
    assert list(document)[:4] == ["schema", "fpx", "environment", "results"]
    assert document["schema"].startswith(f"fpx.{command}/")
    assert document["fpx"] == fpx.__version__
    assert [json.loads(line) for line in shown(command, "--jsonl").splitlines()] == (
        document["results"]
    )
    rows = list(csv.DictReader(io.StringIO(shown(command, "--csv"))))
    assert len(rows) == len(document["results"])
    for row, entry in zip(rows, document["results"], strict=True):
        for key, value in flat(entry).items():
            assert row[key] == value, key
    head, *lines = table(shown(command, "--markdown"))
    assert head == list(rows[0])
    assert lines == [list(row.values()) for row in rows]


def flat(entry: dict[str, Any], prefix: str = "") -> dict[str, str]:
    """The columns of a JSON entry, as docs/ci.md tells them."""
    found: dict[str, str] = {}
    for key, value in entry.items():
        if isinstance(value, dict):
            found |= flat(value, f"{prefix}{key}.")
        elif isinstance(value, list):
            found[prefix + key] = " ".join(value)
        elif value is not None:
            text = str(value).lower() if isinstance(value, bool) else str(value)
            found[prefix + key] = text
    return found


@pytest.mark.parametrize("command", SCALAR)
def test_piped_text_is_neither_padded_nor_cut(
    command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    out = shown(command)
    assert out.splitlines()
    assert [line for line in out.splitlines() if line != line.rstrip()] == []


def test_piped_text_is_not_wrapped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    _, out, _ = call("distance", "1", "2", "--dtype", "float128", "--dtype", "fp64")
    assert "+5,192,296,858,534,827,628,530" not in out
    assert " 0x3fff0000000000000000000000000000  " in out
    _, out, _ = call("range", "--compare", "float32", "bfloat16")
    assert "instead of 24; not every value of float32 is a value of bfloat16.\n" in out


@pytest.mark.parametrize("pair", [("json", "jsonl"), ("csv", "json"), ("markdown", "csv")])
def test_forms_exclude_each_other(pair: tuple[str, str]) -> None:
    code, out, err = call("formats", "bf16", *(f"--{form}" for form in pair))
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert all(f"--{form}" in err for form in pair)
    assert "choose one" in err


def test_a_document_is_whole_or_not_there() -> None:
    for args in (
        ["bits", "/no/such", "--dtype", "bf16"],
        ["bits", "-", "--dtype", "bf16", "--offset", "9"],
        ["decode", "-"],
        ["encode", "-", "--dtype", "bf16"],
    ):
        code, out, err = call(*args, "--json", stdin=b"1\n2\nx\n")
        assert (code, out, err.count("\n")) == (2, "", 1)


def test_of_no_value_there_are_no_results() -> None:
    """As of every form: a stream may be empty, and a document of one is."""
    for args, schema in (
        (["decode", "-"], "fpx.decode/1"),
        (["decode", "-", "--dtype", "all"], "fpx.decode/1"),
        (["decode", "-", "--rounding", "stochastic"], "fpx.decode-stochastic/1"),
        (["encode", "-", "--dtype", "bf16"], "fpx.encode/1"),
    ):
        found = document(*args, stdin="")
        assert (found["schema"], found["results"]) == (schema, [])

        for form in ("jsonl", "csv", "markdown"):
            assert call(*args, f"--{form}", stdin="") == (0, "", "")
        code, out, err = call(*args, "--json", "--save", "x.json", stdin="")
        assert (code, out, err) == (2, "", "fpx: no value: stdin is empty\n")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
@pytest.mark.parametrize(
    "args",
    [["decode", "1"], ["table", "e4m3fn", "--csv"], ["range", "--json"], ["--help"],
     ["decode", "--help"], ["--version"]],
    ids=" ".join,
)  # fmt: skip
def test_a_full_disk_is_one_line(args: list[str]) -> None:
    with Path("/dev/full").open("w") as full:
        result = subprocess.run(
            [*FPX, *args], stdout=full, stderr=subprocess.PIPE, text=True, timeout=PATIENCE
        )
    assert result.returncode == 2
    assert result.stderr == "fpx: the output cannot be written: No space left on device\n"
