"""The commands: their help, the version, where they are imported from."""

from __future__ import annotations

import os
import re
from importlib import import_module
from pathlib import Path

import pytest

import fpx
from fpx.cli import options
from fpx.cli.app import COMMANDS, reflowed
from fpx.report.metrics import METRICS
from tests.helpers import call, run


@pytest.mark.parametrize("command", COMMANDS)
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


def test_nothing_is_imported_from_the_current_directory(tmp_path: Path) -> None:
    (tmp_path / "rich.py").write_text("raise SystemExit('imported')")
    assert run("encode", "1", "--dtype", "bf16", cwd=tmp_path).stdout == "0x3f80\n"


@pytest.mark.parametrize("command", COMMANDS)
def test_help_in_every_spelling(command: str) -> None:
    told = call(command, "--help", columns=80)
    assert told[0] == 0
    assert f"Usage: fpx {command} " in told[1]
    assert call(command, "-h", columns=80) == told
    assert call("help", command, columns=80) == told


def test_help_and_version_of_fpx_itself() -> None:
    told = call("--help", columns=80)
    assert told[0] == 0
    for args in (["-h"], ["help"], ["help", "help"], []):
        assert call(*args, columns=80) == told
    assert call("-V") == call("--version") == (0, f"fpx {fpx.__version__}\n", "")


def test_the_help_groups_commands() -> None:
    lines = call("--help", columns=100)[1].splitlines()
    group, found = "", {}
    for line in lines:
        words = line.strip("│ ").split()
        if line.startswith("╭─"):
            group = line.strip("╭─╮ ")
        elif words and words[0] in COMMANDS:
            found[words[0]] = group
    assert found == {name: command.group for name, command in COMMANDS.items()}
    assert set(found.values()) == {"Numbers", "Formats", "Tensors", "This machine"}


def test_the_help_says_of_a_command_what_its_own_says_first() -> None:
    for name, command in COMMANDS.items():
        module, _, function = command.where.partition(":")
        own = getattr(import_module(module), function).__doc__
        assert command.says == reflowed(own).split("\n\n")[0], name


LOOK = """
╭─ Options ────────────────────────────────────────────────────────────────────╮
│ --version             -V        Print fpx's version.                         │
│ --install-completion            Install completion for the current shell.    │
│ --show-completion               Show completion for the current shell, to    │
│                                 copy it or customize the installation.       │
│ --help                -h        Show this message and exit.                  │
╰──────────────────────────────────────────────────────────────────────────────╯
╭─ Numbers ────────────────────────────────────────────────────────────────────╮
│ decode        Show a number's bits in a format, with its exact value, error  │
│               and neighbours.                                                │
│ encode        Print the code of each number, one per line and nothing else.  │
"""


def test_the_look_of_the_help() -> None:
    out = call("--help", columns=80)[1]
    assert LOOK in out
    assert out.startswith(
        f"{'':80}\n{' Usage: fpx [OPTIONS] COMMAND [ARGS]...':80}\n{'':80}\n See "
    )
    assert {len(line) for line in out.splitlines()} == {80, 0}


def test_the_help_looks_as_that_of_commands() -> None:
    every, one = (call(*args, columns=70)[1].splitlines() for args in (["-h"], ["bits", "-h"]))
    assert every[0] == one[0] == " " * 70
    assert every[1].startswith(" Usage: ")
    assert one[1].startswith(" Usage: ")
    frame = "╭─ Options " + "─" * 58 + "╮"
    assert frame in every
    assert frame in one


def test_the_help_has_colours_on_a_terminal() -> None:
    told = run("--help", env={**os.environ, "FORCE_COLOR": "1", "COLUMNS": "80"}).stdout
    assert "\x1b[1;36mdecode" in told  # names of commands, and below options
    assert "\x1b[1;36m--version\x1b[0m" in told
    assert "\x1b[1;32m-V\x1b[0m" in told
    assert "\x1b[1mExit codes\x1b[0m" in told


def test_the_help_tells_exit_codes() -> None:
    found = call("--help", columns=80)[1].partition("Exit codes")[2]
    told = {int(line.split()[0]) for line in found.splitlines() if line.strip()}
    page = Path(__file__).parents[2].joinpath("docs/ci.md").read_text(encoding="utf-8")
    table = page.partition("## Exit codes")[2].partition("\n## ")[0]
    assert told == {int(code) for code in re.findall(r"^\| ([0-9]+) \|", table, re.MULTILINE)}
    assert told == {0, 1, 2, 3, 70, 130}


@pytest.mark.parametrize("command", COMMANDS)
def test_paragraphs_of_help_have_no_line_breaks_of_the_source(command: str) -> None:
    out = call(command, "--help", columns=1000)[1].partition("Usage")[2]
    paragraphs = out.partition("Examples")[0].split("\n")[1:]
    ends = [line.strip() for line in paragraphs if line.strip()]
    assert ends
    described = ends if command != "cast-compare" else ends[:4]  # then come lists
    assert all(line[-1] in ".:" or len(line.split()) < 3 for line in described), described
    after = call(command, "--help", columns=1000)[1].partition("Examples")[2].splitlines()
    assert after[1].strip() == ""
    assert f"fpx {command}" in after[2]


def test_reflowed() -> None:
    text = "One\n    sentence.\n\n    Two.\n\n    \b\n    a  b\n    c  d\n    "
    assert reflowed(text) == "One sentence.\n\nTwo.\n\na  b\nc  d"


def test_the_help_lists_metrics() -> None:
    out = call("cast-compare", "--help", columns=1000)[1]
    lines = {" ".join(line.split()) for line in out.splitlines()}
    for row in METRICS.values():
        if row.name.endswith("_rate"):
            assert row.name.removesuffix("_rate") + "_count" in METRICS
        else:
            assert any(line.startswith(f"{row.name} ") for line in lines), row.name


@pytest.mark.parametrize(
    ("args", "meant"),
    [
        (["decod", "1"], "decode"),
        (["help", "cast_compare"], "cast-compare"),
        (["Compare"], "cast-compare"),
        (["--versoin"], "--version"),
        (["decode", "1", "--dtyp", "fp16"], "--dtype"),
        (["decode", "1", "--dtyp=fp16"], "--dtype"),
        (["distance", "1", "2", "--as-", "value"], "--as"),
        (["range", "--compar", "a", "b"], "--compare"),
        (["cast-compare", "--tolerate-overflw", "1"], "--tolerate-overflow"),
        (["decode", "1", "--overflow", "satrate"], "saturate"),
        (["decode", "1", "--rounding", "toward_zer"], "toward_zero"),
        (["encode", "1", "--dtype", "bf16", "--rounding", "ToOdd"], "to_odd"),
        (["encode", "1", "--dtype", "bf16", "--output", "hexa"], "hex"),
        (["decode", "1", "--dtype", "bf17"], "bf16"),
        (["decode", "1", "--dtype", "bf-16"], "bf16"),
        (["range", "--dtype", "flaot16"], "float16"),
        (["table", "float8_e4m3fm"], "float8_e4m3fn"),
        (["decode", "epsillon"], "epsilon"),
        (["cast-verify", "--backend", "torhc"], "torch"),
        (["cast-compare", "normal", "--sort", "sqnr-bd"], "sqnr_db"),
        (["cast-compare", "gradient"], "gradients"),
        (["cast-compare", "normal", "--include", "nromal"], "normal"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else value,
)
def test_a_wrong_name_is_answered_with_the_nearest(args: list[str], meant: str) -> None:
    code, out, err = call(*args)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert f"did you mean '{meant}'?" in err


@pytest.mark.parametrize(
    "args",
    [["zzz"], ["--zzz"], ["decode", "1", "--zzz"], ["decode", "1", "--dtype", "zzz"],
     ["decode", "1", "--overflow", "zzz"], ["cast-compare", "zzz"],
     ["cast-compare", "normal", "--include", "zzz"]],
    ids=" ".join,
)  # fmt: skip
def test_no_name_is_made_up(args: list[str]) -> None:
    code, _, err = call(*args)
    assert code == 2
    assert "did you mean" not in err


def test_names_of_formats_complete() -> None:
    assert options.complete_format("float8_e4m3f") == ["float8_e4m3fn", "float8_e4m3fnuz"]
    assert options.complete_format("bf1") == ["bf16"]
    assert options.complete_format("zz") == []
