"""How much work a start and a key are, beside what they may be; waiting does not count."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from tests.explore.screens import played, state_of
from tests.helpers import PATIENCE
from tests.test_imports import HEAVY

pytest.importorskip("textual", reason="Textual is not installed")

if TYPE_CHECKING:
    from textual.pilot import Pilot

    from fpx.explore.app import ExploreApp

_IMPORT = """
from textual.app import App
from textual.widgets import Input, OptionList, Static
"""

_START = """
import asyncio, sys
import fpx.cli
import fpx.cli.explore
import fpx.explore.app

def run(self):
    async def first_picture():
        async with self.run_test(size=(80, 24)) as pilot:
            await pilot.pause()
            await pilot.press(*keys)
    asyncio.run(first_picture())

keys = sys.argv.pop().split()
fpx.cli.explore._here = lambda: True
fpx.explore.app.ExploreApp.run = run
fpx.cli.main()
"""

_TELL = "import atexit, sys, time; atexit.register(lambda: print({}, file=sys.stderr))\n"


def told(what: str, script: str, *args: str) -> str:
    """What a process says in the end of what it has done."""
    command = [sys.executable, "-c", _TELL.format(what) + script, *args]
    env = dict(os.environ)
    env.pop("PYTHONDONTWRITEBYTECODE", None)  # as scripts/fpx: or every start compiles fpx anew
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=PATIENCE, check=True, env=env
    )
    return done.stderr.splitlines()[-1]


def test_starting_is_little_more_than_importing_textual() -> None:
    importing = starting = float("inf")
    for _ in range(9):
        importing = min(importing, float(told("time.process_time()", _IMPORT)))
        start = told("time.process_time()", _START, "explore", "3.14", "")
        starting = min(starting, float(start))
        if starting <= 1.5 * importing:
            return
    pytest.fail(f"starting takes {starting:.3f} s, importing Textual {importing:.3f} s")


def test_no_tensor_library_is_loaded() -> None:
    what = f"'loaded', *[name for name in {HEAVY} if name in sys.modules]"
    assert told(what, _START, "explore", "3.14", "c p l t f escape question_mark") == "loaded"


KEYS = ["space", "up", "down", "left", "pageup", "pagedown", "minus", "r", "tab", "shift+tab",
        "right_square_bracket", "l", "l", "c", "c", "u"]  # fmt: skip


@pytest.mark.parametrize(
    ("formats", "most"),
    [(["float64", "float32", "float16"], 0.05), (["float128", "float64", "float32"], 0.1)],
    ids=["float64", "float128"],
)
@pytest.mark.parametrize("first", [[], ["s"], ["m"]], ids=["3.14", "smallest", "largest"])
def test_keys_are_answered_soon(formats: list[str], most: float, first: list[str]) -> None:
    took: dict[str, list[float]] = {key: [] for key in KEYS}

    async def play(app: ExploreApp, pilot: Pilot[None]) -> None:
        await pilot.press(*first)
        for _ in range(3):
            for key in KEYS:
                await pilot.pause()
                start = time.process_time()
                await pilot.press(key)
                await pilot.pause()
                took[key].append(time.process_time() - start)

    played(play, state_of(formats=formats))
    assert {key: each for key, each in took.items() if statistics.median(each) > most} == {}
