"""How soon `fpx explore` is there, and how soon it answers a key."""

from __future__ import annotations

import asyncio
import math
import resource
import statistics
import time
from typing import TYPE_CHECKING

from scripts.benchmarks.processes import PYTHON, output
from scripts.benchmarks.results import Found, NotRunError, Sizes

if TYPE_CHECKING:
    from fpx.explore.app import ExploreApp

_IMPORT = """
from textual.app import App
from textual.widgets import Input, OptionList, Static
"""

_START = """
import asyncio
import fpx.cli
import fpx.cli.explore
import fpx.explore.app

def run(self):
    async def first_picture():
        async with self.run_test(size=(80, 24)) as pilot:
            await pilot.pause()
    asyncio.run(first_picture())

fpx.cli.explore._here = lambda: True
fpx.explore.app.ExploreApp.run = run
fpx.cli.main()
"""

FORMATS = (("float64", "float32", "float16"), ("float128", "float64", "float32"))
"""What is on the screen while keys are pressed: the first leads."""

_FIRST = ("minus", "s", "m")  # to where there are many digits, and few
_KEYS = ("space", "up", "down", "left", "pageup", "pagedown", "minus", "r", "tab", "shift+tab",
         "right_square_bracket", "l", "l", "c", "c", "u")  # fmt: skip
_TIMES = 4


def start(sizes: Sizes) -> Found:
    """A process until the first picture is drawn, beside one that imports Textual.

    Seconds of work count: who drives the program waits, to see that it has nothing left to do.

    Raises:
        NotRunError: Textual is not installed.
    """
    _needs_textual()
    commands = {
        "fpx explore": (*PYTHON, "-c", _START, "explore", "3.14"),
        "import textual": (*PYTHON, "-c", _IMPORT),
    }
    taken = dict.fromkeys(commands, math.inf)
    for _ in range(1 + _TIMES * sizes.rounds):  # the first keeps byte code
        for name, command in commands.items():
            before = _work_of_children()
            output(*command)
            taken[name] = min(taken[name], _work_of_children() - before)
    return Found((taken["fpx explore"] / taken["import textual"],), taken, "s of work")


def _work_of_children() -> float:
    """Seconds that processors worked for processes that this one started and that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def keys(sizes: Sizes) -> Found:
    """The slowest of many keys, each by its median, until the screen is drawn, for each of FORMATS.

    Raises:
        NotRunError: Textual is not installed.
    """
    _needs_textual()
    from fpx.core.literals import parse_literal
    from fpx.core.names import find_format
    from fpx.explore.app import ExploreApp
    from fpx.explore.state import State

    slowest = {}
    for names in FORMATS:
        state = State.of(parse_literal("3.14"), [find_format(name) for name in names])
        taken = asyncio.run(_pressed(ExploreApp(state), sizes.rounds))
        medians = {key: 1e3 * statistics.median(each) for key, each in taken.items()}
        worst = max(medians, key=lambda key: medians[key])
        slowest[f"{names[0]}, {worst}"] = medians[worst]
    return Found(tuple(slowest.values()), slowest, "ms")


async def _pressed(app: ExploreApp, rounds: int) -> dict[str, list[float]]:
    """Seconds of every key."""
    taken: dict[str, list[float]] = {key: [] for key in _KEYS}
    async with app.run_test(size=(80, 24)) as pilot:
        for first in _FIRST:
            await pilot.press(first)
            for _ in range(rounds):
                for key in _KEYS:
                    await pilot.pause()
                    begin = time.process_time()
                    await pilot.press(key)
                    await pilot.pause()
                    taken[key].append(time.process_time() - begin)
    return taken


def _needs_textual() -> None:
    try:
        import textual  # noqa: F401
    except ImportError:
        raise NotRunError("Textual is not installed") from None
