"""What tests of several rooms need: the commands in this process or one of their own, formats."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from rich.console import Console
from typer.testing import CliRunner

from fpx.cli.app import COMMANDS, app
from fpx.core import codec
from fpx.core.formats import FORMATS
from fpx.core.literals import to_literal
from fpx.core.spec import FormatSpec
from fpx.measure.measurers import COMPILING
from tests.forks import with_torch

REPORTING = tuple(name for name in COMMANDS if name != "explore")
"""The commands that print a report; the other one is a program on the terminal."""

FPX = [sys.executable, "-P", "-m", "fpx"]
PATIENCE = 120
"""Seconds that a process of its own may take, on a machine that has much else to do."""

F16, BF16, F32, F64 = (FORMATS[n] for n in ("float16", "bfloat16", "float32", "float64"))
E4M3, E5M2, E8M0 = (FORMATS[f"float8_{n}"] for n in ("e4m3fn", "e5m2", "e8m0fnu"))
FP8 = [E4M3, E5M2]


def call(
    *args: object, stdin: bytes | str | None = None, columns: int | None = None
) -> tuple[int, str, str]:
    """A command in this process, on a screen of that many columns: (exit code, stdout, stderr)."""
    env = None if columns is None else {"COLUMNS": str(columns)}
    result = CliRunner().invoke(app, [*map(str, args)], input=stdin, env=env)
    return result.exit_code, result.stdout, result.stderr


def document(*args: object, stdin: bytes | str | None = None) -> dict[str, Any]:
    """The JSON of a command that ends well and says nothing on stderr."""
    code, out, err = call(*args, "--json", stdin=stdin)
    assert (code, err) == (0, ""), err
    found: dict[str, Any] = json.loads(out)
    return found


def results(*args: object, stdin: bytes | str | None = None) -> list[dict[str, Any]]:
    """The entries of that JSON."""
    found: list[dict[str, Any]] = document(*args, stdin=stdin)["results"]
    return found


def run(*args: object, warm: bool = False, **kinds: Any) -> subprocess.CompletedProcess[str]:
    """A command in a process of its own; of a `warm` one, torch is imported already."""
    kinds = {"capture_output": True, "text": True, "timeout": PATIENCE, **kinds}
    fpx = [*with_torch(), "-m", "fpx"] if warm else FPX
    return subprocess.run([*fpx, *map(str, args)], **kinds)


_INTERRUPTIBLE = """
import runpy, signal
signal.signal(signal.SIGINT, signal.default_int_handler)  # who started the tests may ignore it
runpy.run_module("fpx", run_name="__main__", alter_sys=True)
"""


@contextmanager
def running(*args: object, **kinds: Any) -> Iterator[subprocess.Popen[str]]:
    """A command in a process of its own that Ctrl-C reaches; it ends with the block, or in time."""
    command = [sys.executable, "-P", "-c", _INTERRUPTIBLE, *map(str, args)]
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    with subprocess.Popen(command, **{"text": True, "bufsize": 1, **pipes, **kinds}) as process:
        watchdog = threading.Timer(PATIENCE, process.kill)
        watchdog.start()
        try:
            yield process
        finally:
            watchdog.cancel()
            process.kill()


class Measured(NamedTuple):
    """A command in a process of its own, and what it took beyond `import torch`."""

    code: int
    out: str
    err: str
    megabytes: int
    seconds: float
    """Of work, not of waiting."""


_MEASURE = """
import atexit, runpy, sys, time

def status(name):  # in KiB; what getrusage tells begins with that of the process which started one
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith(name + ":"))

def tell():
    used = status("VmHWM") - before
    with open(told, "w") as file:
        print(used // 1024, time.process_time() - start, file=file)

told = sys.argv.pop(1)
before, start = status("VmRSS"), time.process_time()  # pages of libraries still come on top
atexit.register(tell)
runpy.run_module("fpx", run_name="__main__", alter_sys=True)
"""


def memory_of(*args: object, fresh: bool = False) -> Measured:
    """What a command does, and how much memory and work it takes; see `without_compiling`.

    Unless it is `fresh`, the process is a fork of one that imported torch, which is faster, and up
    to 80 MB worse: those pages of torch's libraries come on top that the command comes by.
    """
    if not Path("/proc/self/status").exists():
        pytest.skip("this system does not tell a process's peak of memory apart from its parent's")
    with tempfile.NamedTemporaryFile("r") as told:
        start = [sys.executable, "-P", "-c", f"import torch\n{_MEASURE}"]
        if not fresh:
            start = [*with_torch(), "-c", _MEASURE]
        command = [*start, told.name, *map(str, args)]
        ran = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
        megabytes, seconds = told.read().split()
    err = without_compiling(ran.stderr)
    return Measured(ran.returncode, ran.stdout, err, int(megabytes), float(seconds))


def without_compiling(err: str) -> str:
    """stderr without the line that the first command with much data may say."""
    return err.removeprefix(f"fpx: note: {COMPILING}\n")


def drawn(report: object, width: int = 80) -> str:
    """A report as text, on a screen of that many columns; no line ends in spaces."""
    console = Console(width=width, file=StringIO(), highlight=False, markup=False, emoji=False)
    with console.capture() as capture:
        console.print(report)
    return "\n".join(line.rstrip() for line in capture.get().splitlines())


def cells(text: str) -> list[list[str]]:
    """The lines of a drawn table, cut where two spaces or more stand between its columns."""
    return [re.split(r" {2,}", line.strip()) for line in text.splitlines() if line.strip()]


def encode(x: object, spec: FormatSpec, **kinds: Any) -> int:
    """The code of a number or of a literal."""
    return codec.encode(to_literal(x), spec, **kinds).code
