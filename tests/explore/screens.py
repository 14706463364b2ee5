"""The screen of `fpx explore` as text, after some keys."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any

import pytest

from fpx.core.literals import parse_literal
from fpx.core.names import find_format
from fpx.core.targets import find_target
from fpx.explore.keys import KEYS
from fpx.explore.state import State

if TYPE_CHECKING:
    from textual.pilot import Pilot

    from fpx.explore.app import ExploreApp

FORMATS = ("bfloat16", "float16", "float32")
SIZE = (80, 24)

Play = Callable[["ExploreApp", "Pilot[None]"], Awaitable[Any]]


def state_of(value: str = "3.14", formats: Sequence[str] = FORMATS) -> State:
    """What is explored first."""
    return State.of(parse_literal(value), [find_format(name) for name in formats])


def block_of(numbers: str = "6 -4 3 0.1", name: str = "mxfp4") -> State:
    """The same of numbers that share a scale."""
    from fpx.explore.block import block_of_text

    target = find_target(name)
    assert not hasattr(target, "bias")
    return state_of().with_block(block_of_text(numbers, target))


def played(play: Play, state: State | None = None, size: tuple[int, int] = SIZE) -> ExploreApp:
    """The program after somebody played with it, on a screen that is none."""
    pytest.importorskip("textual", reason="Textual is not installed")
    from fpx.explore.app import ExploreApp

    app = ExploreApp(state_of() if state is None else state)

    async def run() -> None:
        async with app.run_test(size=size) as pilot:
            await play(app, pilot)

    asyncio.run(run())
    return app


def lines_of(app: ExploreApp) -> list[str]:
    """The screen's lines, without the spaces at their ends."""
    return [strip.text.rstrip() for strip in app.screen._compositor.render_strips()]


def screen(
    keys: Sequence[str] = (), state: State | None = None, size: tuple[int, int] = SIZE
) -> list[str]:
    """The lines of the screen after some keys."""
    found: list[str] = []

    async def play(app: ExploreApp, pilot: Pilot[None]) -> None:
        await pilot.press(*keys)
        await pilot.pause()
        found.extend(lines_of(app))

    played(play, state, size)
    return found


def after(keys: Sequence[str], state: State | None = None) -> State:
    """The state after some keys."""

    async def play(app: ExploreApp, pilot: Pilot[None]) -> None:
        await pilot.press(*keys)

    return played(play, state).state


SCREENS: dict[str, tuple[Callable[[], State], Sequence[str], tuple[int, int]]] = {
    "80x24": (state_of, [], (80, 24)),
    "120x40": (state_of, [], (120, 40)),
    "60x24": (state_of, [], (60, 24)),
    "overflow-80x24": (
        lambda: state_of(formats=["float16", "bfloat16"]), ["pageup"] * 15, (80, 24)
    ),
    "float64-80x24": (lambda: state_of(formats=["float64", "float16"]), ["down"], (80, 24)),
    "float128-120x40": (
        lambda: state_of("0.1", ["float128", "float64", "float32"]), ["space"], (120, 40)
    ),
    "line-80x24": (state_of, ["right_square_bracket", "l"], (80, 24)),
    "zoomed-80x24": (state_of, ["right_square_bracket"] * 8, (80, 24)),
    "table-80x24": (lambda: state_of(formats=["float8_e4m3fn"]), ["t", "right"], (80, 24)),
    "calc-120x40": (state_of, ["w", *"0.01", "enter"], (120, 40)),
    "calc-80x24": (state_of, ["c", "p"], (80, 24)),
    "block-80x24": (block_of, ["right", "space"], (80, 24)),
    "block-120x40": (lambda: block_of("1 -2.5 0.3", "nvfp4"), [], (120, 40)),
    "typing-80x24": (state_of, ["v", *"1/"], (80, 24)),
    "formats-80x24": (state_of, ["f", *"e4m3"], (80, 24)),
    "keys-80x24": (state_of, ["question_mark"], (80, 24)),
    "modes-80x24": (state_of, ["r", "r", "r", "o", "minus", "m", "up"], (80, 24)),
}  # fmt: skip
"""Name of a golden -> what is explored, the keys, and the size of the screen."""


def golden(name: str) -> str:
    """The screen of one of SCREENS."""
    state, keys, size = SCREENS[name]
    return "\n".join([*screen(keys, state(), size), ""])


def picture(name: str) -> str:
    """A golden as a page of the documentation shows it."""
    return f"<!-- explore {name} -->\n```text\n{golden(name)}```\n"


def key_rows() -> str:
    """A row of Markdown for each key."""
    return "".join(f"| `{key.shown}` | {key.says} |\n" for key in KEYS)
