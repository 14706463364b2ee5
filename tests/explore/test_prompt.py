"""The line that one types into, and what it means."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fpx.core.scaling import ScaledFormat
from fpx.errors import InputError
from fpx.explore.entry import Entry
from fpx.explore.exact import exact_literal
from fpx.explore.marks import CHOICE
from fpx.explore.prompt import Mode, Prompt
from tests.explore.screens import after, block_of, lines_of, played, state_of
from tests.explore.test_pictures import marks

if TYPE_CHECKING:
    from textual.pilot import Pilot

    from fpx.explore.app import ExploreApp


def typed_in(keys: list[str], start: str = "") -> Entry:
    entry = Entry(start, len(start))
    for key in keys:
        entry = entry.edited(key, key if len(key) == 1 else None)
    return entry


@pytest.mark.parametrize(
    ("keys", "text", "at"),
    [
        (["1", "/", "3"], "1/3", 3),
        (["1", "3", "left", "/"], "1/3", 2),
        (["1", "2", "backspace"], "1", 1),
        (["backspace", "delete"], "", 0),
        (["1", "2", "home", "delete"], "2", 0),
        (["1", "2", "left", "left", "left", "3"], "312", 1),
        (["1", "2", "right", "home", "end", "3"], "123", 3),
        (["1", "2", "3", "left", "ctrl+u"], "3", 0),
        (["1", "up", "f5", "pageup"], "1", 1),
    ],
)
def test_a_line_is_edited(keys: list[str], text: str, at: int) -> None:
    assert (typed_in(keys).text, typed_in(keys).at) == (text, at)


@given(st.lists(st.sampled_from(["a", "b", "left", "right", "home", "end", "backspace", "delete"])))
def test_the_place_is_in_the_line(keys: list[str]) -> None:
    entry = typed_in(keys)
    assert 0 <= entry.at <= len(entry.text)
    drawn = entry.drawn()
    assert drawn.plain == f"> {entry.text} "
    assert [(span.start, span.end) for span in drawn.spans] == [(2 + entry.at, 3 + entry.at)]


def test_nothing_that_a_terminal_acts_on_is_kept() -> None:
    assert Entry("13", 1).inserted("/\x1b[31m\n\t\u202e2").text == "1/[31m23"
    assert len(Entry().inserted("1" * 20_000).text) == 10_000


def test_what_is_asked_for_shows_until_something_is_typed() -> None:
    prompt = Prompt.of(Mode.TYPE)
    assert "a number such as 3.14" in prompt.entry.drawn().plain
    assert "a number" not in prompt.edited("1", "1").entry.drawn().plain


def test_a_pasted_text_is_typed() -> None:
    async def play(app: ExploreApp, pilot: Pilot[None]) -> None:
        from textual import events

        app.post_message(events.Paste("7"))  # where nobody types it does nothing
        await pilot.pause()
        await pilot.press("v")
        app.post_message(events.Paste("2^-3\n"))
        await pilot.pause()
        await pilot.pause()
        assert "> 2^-3" in lines_of(app)
        await pilot.press("enter")

    assert played(play).state.report.value_text == "0.125"


def test_the_list_of_formats_has_a_cursor() -> None:
    prompt = Prompt.of(Mode.PICK)
    last = len(prompt.found) - 1
    assert prompt.edited("up", None).cursor == 0
    for _ in range(last + 5):
        prompt = prompt.edited("down", None)
    assert prompt.cursor == last
    assert prompt.edited("b", "b").cursor == 0
    assert {at for _, at in marks(prompt.picture(), CHOICE)} == set(range(last + 1))
    assert Prompt.of(Mode.PICK).edited("ü", "ü").edited("down", None).cursor == 0


def test_what_is_chosen_leads() -> None:
    def chosen(text: str, cursor: int = 0) -> Prompt:
        return Prompt(Mode.PICK, Entry(text, len(text)), cursor)

    assert chosen("bf16").taken(state_of("1", ["fp16"])).lead.name == "bfloat16"
    assert chosen("e4m3", 1).taken(state_of()).lead.name == "float8_e4m3fnuz"
    block = chosen("nvfp4").taken(block_of("1 2"))
    assert block.block is not None
    assert isinstance(block.block.target, ScaledFormat)
    assert [row.element_text for row in block.block.report.rows] == ["3", "6"]
    assert chosen("xyz").taken(state_of()) == state_of()
    with pytest.raises(InputError):
        chosen("fp4").taken(state_of("nan"))


def test_what_a_line_means_is_said() -> None:
    def says(mode: Mode, text: str) -> str:
        return Prompt(mode, Entry(text, len(text))).meaning(state_of()).plain

    assert says(Mode.TYPE, "2") == "2 as bfloat16  0x4000  2  exact"
    assert says(Mode.TYPE, "").startswith("Enter takes it")
    assert says(Mode.SECOND, "2").startswith("Enter takes it")
    assert says(Mode.SECOND, "x").startswith("'x' is not a number")
    assert says(Mode.PICK, "xyz").startswith("unknown format 'xyz'")
    assert says(Mode.PICK, "bf").startswith("Enter takes it")


def test_a_block_takes_several_numbers() -> None:
    found = after(["v", *"1 -2", "enter"], block_of())
    assert found.block is not None
    assert [literal.text for literal in found.block.literals] == ["1", "-2"]


@pytest.mark.parametrize(
    ("significand", "exponent", "text"),
    [(201, -6, "3.140625"), (0, -10, "0"), (-1, 0, "-1"), (1, -24, "5.9604644775390625e-08"),
     (1, 127, "0x1p+127"), (1, 16383, "0x1p+16383"), (3, -16494, "0x1.8p-16493")],
)  # fmt: skip
def test_values_are_written_exactly(significand: int, exponent: int, text: str) -> None:
    assert exact_literal(significand, exponent).text == text
