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
from fpx.cli.app import COMMANDS

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
CONSOLE = re.compile(r"(?<=```console\n).*?(?=```)", re.DOTALL)
EXAMPLE = re.compile(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", re.MULTILINE)


def examples() -> list[tuple[str, str]]:
    """(command, output) of every `$ ` line in a console block."""
    blocks = [b for page in PAGES for b in CONSOLE.findall(page.read_text(encoding="utf-8"))]
    return [
        (command, output.strip("\n"))
        for block in blocks
        for command, output in EXAMPLE.findall(block)
    ]


def output_of(command: str, folder: Path) -> str:
    """What a shell prints for a command at 80 columns, `fpx` being this one."""
    script = folder / "fpx"
    script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -P -m fpx "$@"\n')
    script.chmod(0o755)
    path = os.pathsep.join((str(folder), str(Path(sys.executable).parent), os.environ["PATH"]))
    env = os.environ | {"PATH": path, "COLUMNS": "80", "PYTHONUTF8": "1"}
    result = subprocess.run(
        command, shell=True, cwd=folder, env=env, capture_output=True, encoding="utf-8"
    )
    return "\n".join(line.rstrip() for line in result.stdout.splitlines()).strip("\n")


@pytest.mark.skipif("FPX_REGENERATE" not in os.environ, reason="only with FPX_REGENERATE=1")
def test_regenerate(tmp_path: Path) -> None:
    for page in PAGES:

        def example(found: re.Match[str]) -> str:
            output = output_of(found[1], tmp_path)
            return f"$ {found[1]}\n{output}\n" if output else f"$ {found[1]}\n"

        text = page.read_text(encoding="utf-8")
        new = CONSOLE.sub(lambda block: EXAMPLE.sub(example, block[0]), text)
        page.write_text(new, encoding="utf-8")


def test_there_are_examples() -> None:
    assert len(examples()) >= 6


@pytest.mark.parametrize(("command", "output"), examples(), ids=lambda v: v[:40])
def test_console_examples(command: str, output: str, tmp_path: Path) -> None:
    shown = output_of(command, tmp_path)
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
