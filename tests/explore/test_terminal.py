"""The program on a real terminal, by tmux: keys are sent, the screen is read."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator

import pytest

from tests.explore.screens import screen, state_of
from tests.helpers import PATIENCE, call

pytest.importorskip("textual", reason="Textual is not installed")


class Tmux:
    """A terminal of 80 x 24 in a server of its own."""

    def __init__(self, command: str) -> None:
        self._server = f"fpx-{uuid.uuid4().hex}"
        self._run("new-session", "-d", "-x", "80", "-y", "24", command)

    def _run(self, *args: str) -> str:
        tmux = ["tmux", "-L", self._server, "-f", "/dev/null", *args]
        return subprocess.run(tmux, capture_output=True, encoding="utf-8", check=True).stdout

    def press(self, *keys: str) -> None:
        self._run("send-keys", *keys)

    def lines(self, *more: str) -> list[str]:
        """What it shows."""
        shown = self._run("capture-pane", "-p", *more).splitlines()
        return [line.rstrip() for line in shown]

    def until(self, text: str) -> list[str]:
        """What it shows once a line begins so."""
        end = time.monotonic() + PATIENCE / 2
        while time.monotonic() < end:
            lines = self.lines()
            if any(line.startswith(text) for line in lines):
                return lines
            time.sleep(0.05)
        return pytest.fail(f"no line begins with {text!r}: {lines}")

    def end(self) -> None:
        self._run("kill-server")


@pytest.fixture
def tmux() -> Iterator[Tmux]:
    if shutil.which("tmux") is None:
        pytest.skip("there is no tmux here (apt-get install tmux)")
    fpx = shlex.join([sys.executable, "-P", "-m", "fpx", "explore", "3.14"])
    found = Tmux(f"{fpx}; echo exit $?; exec sleep {PATIENCE}")
    yield found
    found.end()


def test_on_a_terminal(tmux: Tmux) -> None:
    tmux.until("rounding ties_to_even")
    assert tmux.until("$ fpx decode 3.14 ") == screen()
    tmux.press("Up", "Space")
    tmux.until("bfloat16  0x404b")
    tmux.press("Tab")
    assert tmux.until("3.171875 as float16") == screen(["up", "space", "tab"], state_of())
    for _ in range(15):
        tmux.press("PageUp")
    assert tmux.until("103936 as float16  0x7c00  inf  overflow")
    tmux.press("q")
    lines = tmux.until("exit 0")
    command = lines[lines.index("exit 0") - 1]
    assert command == "fpx decode 103936 --dtype float16,float32,bfloat16"
    assert call(*command.split()[1:])[0] == 0


def test_keys_of_terminals(tmux: Tmux) -> None:
    tmux.until("rounding ties_to_even")
    tmux.press("BTab")  # shift and tab
    tmux.until("3.14 as float32")
    tmux.press("v", "1/3", "Enter")
    tmux.until("1/3 as float32")
    tmux.press("-")
    tmux.until("float32  0xbeaaaaab")
    tmux.press("C-z")
    tmux.until("1/3 as float32")
    tmux.press("?")
    tmux.until("           Bits")
    tmux.press("Escape")
    tmux.until("1/3 as float32")
    tmux.press("C-c")
    assert "fpx decode 1/3 --dtype float32,bfloat16,float16" in tmux.until("exit 0")


def test_colours_are_those_of_the_terminal(tmux: Tmux) -> None:
    """The sixteen that a terminal has its own of, and no background but its own."""
    tmux.until("rounding ties_to_even")
    text = "\n".join(tmux.lines("-e"))
    found = set(text.replace("\x1b[", "\n").split("\n"))
    codes = {part for line in found if "m" in line for part in line.partition("m")[0].split(";")}
    assert {"31", "32", "34"} <= codes
    assert codes & {"38", "48", *map(str, range(40, 48)), *map(str, range(100, 108))} == set()
