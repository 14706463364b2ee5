"""What README.md and docs/ show of fpx; run by test_docs.py, rewritten by scripts/regenerate."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from pathlib import Path
from typing import NamedTuple

from fpx.report.metrics import METRICS
from tests.forks import with_torch

ROOT = Path(__file__).resolve().parent.parent
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))

_CONSOLE = re.compile(r"(?<=```console\n).*?(?=```)", re.DOTALL)
_COMMAND = re.compile(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", re.MULTILINE)
_PYTHON = re.compile(r"```python\n(.*?)```", re.DOTALL)
_METRICS_HEAD = "| metric | unit | what it says |\n|---|---|---|\n"
_METRICS_ROWS = re.compile(rf"(?<={re.escape(_METRICS_HEAD)})(?:\|.*\n)*")
_SCREEN = re.compile(r"(?<=\n)<!-- explore ([\w-]+) -->\n```text\n(?:[^`]*\n)?```\n")
_KEYS_HEAD = "<!-- keys -->\n| key | does |\n|---|---|\n"
_KEY_ROWS = re.compile(rf"(?<={re.escape(_KEYS_HEAD)})(?:\|.*\n)*")
_PATIENCE = 120  # seconds for one example, on a busy machine


class Example(NamedTuple):
    """A line after `$ ` in a console block, and what the page shows below it."""

    command: str
    output: str


def examples(text: str) -> list[Example]:
    """The console examples of a page, in its order."""
    return [
        Example(command, output.strip("\n"))
        for block in _CONSOLE.findall(text)
        for command, output in _COMMAND.findall(block)
    ]


def python_examples(text: str) -> str:
    """The Python examples of a page as one doctest."""
    return "".join(_PYTHON.findall(text))


def output_of(command: str, folder: Path) -> str:
    """What a shell prints for a command at 80 columns, `fpx` being this one.

    Args:
        command: a line for sh.
        folder: where it runs; gets a script named `fpx`.
    """
    hidden = folder / ".python"
    hidden.mkdir(exist_ok=True)
    started = shlex.join(with_torch())
    for script, what in ((folder / "fpx", "-m fpx "), (hidden / "python", "")):
        script.write_text(f'#!/bin/sh\nexec {started} {what}"$@"\n')
        script.chmod(0o755)
    path = os.pathsep.join((str(folder), str(hidden), os.environ["PATH"]))
    env = os.environ | {"PATH": path, "COLUMNS": "80", "PYTHONUTF8": "1"}
    result = subprocess.run(
        command,
        shell=True,
        cwd=folder,
        env=env,
        capture_output=True,
        encoding="utf-8",
        timeout=_PATIENCE,
    )
    return "\n".join(line.rstrip() for line in result.stdout.splitlines()).strip("\n")


def with_metrics(text: str) -> str:
    """A page with a row for every metric in its table of them, if it has one."""
    rows = ""
    for row in METRICS.values():
        says = row.says.replace("|", "\\|")
        rows += f"| `{row.name}` | {row.unit} | {says} |\n"
    return _METRICS_ROWS.sub(lambda _: rows, text)


def with_screens(text: str) -> str:
    """A page with the screens of `fpx explore` that it names, and its table of keys."""
    if not _SCREEN.search(text):
        return text
    from tests.explore.screens import key_rows, picture  # Textual is loaded for them

    shown = _SCREEN.sub(lambda found: picture(found[1]), text)
    return _KEY_ROWS.sub(lambda _: key_rows(), shown)


def rewritten(text: str, folder: Path) -> str:
    """A page as it should be now: what its console examples print, its metrics, its screens.

    The examples run in `folder`.
    """
    text = with_screens(with_metrics(text))

    def example(found: re.Match[str]) -> str:
        output = output_of(found[1], folder)
        return f"$ {found[1]}\n{output}\n" if output else f"$ {found[1]}\n"

    return _CONSOLE.sub(lambda block: _COMMAND.sub(example, block[0]), text)
