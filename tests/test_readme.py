"""README's examples are real: every one is run here."""

from __future__ import annotations

import doctest
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import fpx
from fpx.cli.group import COMMANDS

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [README, *(p.read_text(encoding="utf-8") for p in sorted((ROOT / "docs").glob("*.md")))]


def examples() -> list[tuple[str, str]]:
    """(command, output) of every `$ ` line in a console block."""
    blocks = [b for page in PAGES for b in re.findall(r"```console\n(.*?)```", page, re.DOTALL)]
    return [
        (command, output.strip("\n"))
        for block in blocks
        for command, output in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", block, re.MULTILINE)
    ]


def test_there_are_examples() -> None:
    assert len(examples()) >= 6


@pytest.mark.parametrize(("command", "output"), examples(), ids=lambda v: v[:40])
def test_console_examples(command: str, output: str, tmp_path: Path) -> None:
    script = tmp_path / "fpx"
    script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -P -m fpx "$@"\n')
    script.chmod(0o755)
    here = str(Path(sys.executable).parent)
    path = os.pathsep.join((str(tmp_path), here, os.environ["PATH"]))
    env = os.environ | {"PATH": path, "COLUMNS": "80", "PYTHONUTF8": "1"}
    result = subprocess.run(
        command, shell=True, cwd=tmp_path, env=env, capture_output=True, encoding="utf-8"
    )
    shown = "\n".join(line.rstrip() for line in result.stdout.splitlines()).strip("\n")
    # what torch runs on differs from machine to machine; the numbers must not
    machine = re.compile(r"cast by torch .*|torch .* on cpu|(torch|numpy|ml_dtypes) [0-9]\S* *|─")
    assert machine.sub("", shown) == machine.sub("", output)


def test_python_examples() -> None:
    code = "".join(re.findall(r"```python\n(.*?)```", README, re.DOTALL))
    test = doctest.DocTestParser().get_doctest(code, {}, "README", None, 0)
    assert test.examples
    assert doctest.DocTestRunner().run(test).failed == 0


def test_docstring_examples() -> None:
    assert doctest.testmod(fpx).failed == 0


def test_every_command_has_a_section() -> None:
    for command in COMMANDS:
        assert f"## fpx {command}" in README


def test_the_changelog_knows_this_version() -> None:
    assert f"## {fpx.__version__}" in (ROOT / "CHANGELOG.md").read_text()
