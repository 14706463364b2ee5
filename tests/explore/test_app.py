"""Every key and every click, by Textual's own pilot."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import pytest

import fpx
from fpx.core.policy import Overflow, Rounding
from fpx.explore.keys import CHANGES, KEYS
from fpx.explore.state import State, View
from fpx.report.decode import DecodeReport
from tests.examples import ROOT
from tests.explore.screens import after, block_of, lines_of, played, screen, state_of

pytest.importorskip("textual", reason="Textual is not installed")

if TYPE_CHECKING:
    from textual.pilot import Pilot

    from fpx.explore.app import ExploreApp

BF16 = 0x4049  # 3.14


def code(keys: Sequence[str], value: str = "3.14", formats: str = "bfloat16,float16") -> int:
    return after(keys, state_of(value, formats.split(","))).code


# -- keys ------------------------------------------------------------------------------------------

CODES = {
    "flip": (["space"], BF16 ^ 1),
    "left": (["left", "left", "space"], BF16 ^ 4),
    "right": (["left", "left", "right", "space"], BF16 ^ 2),
    "sign": (["minus"], BF16 | 0x8000),
    "up": (["up"], BF16 + 1),
    "down": (["down"], BF16 - 1),
    "binade_up": (["pageup"], BF16 + 0x80),
    "binade_down": (["pagedown"], BF16 - 0x80),
    "zero": (["0"], 0),
    "one": (["1"], 0x3F80),
    "smallest": (["s"], 1),
    "normal": (["n"], 0x80),
    "largest": (["m"], 0x7F7F),
    "infinity": (["i"], 0x7F80),
    "nan": (["N"], 0x7FC0),
    "next": (["tab"], 0x4248),
    "previous": (["shift+tab"], 0x4248),
    "drop": (["x"], 0x4248),
    "undo": (["up", "up", "u"], BF16 + 1),
    "redo": (["up", "up", "u", "u", "U"], BF16 + 1),
    "type": (["v", "2", "enter"], 0x4000),
    "pick": (["f", "e", "5", "m", "7", "enter"], int(fpx.encode("3.14", "e5m7").code)),
}
"""Action -> keys with its own among them, and the code that leads after them."""


@pytest.mark.parametrize("action", CODES)
def test_keys_that_lead_to_a_code(action: str) -> None:
    keys, expected = CODES[action]
    own = next(key.names.split(",")[0] for key in KEYS if key.action == action)
    assert own in keys
    assert code(keys) == expected


MODES: dict[str, tuple[list[str], Callable[[State], bool]]] = {
    "round": (["r"], lambda state: state.rounding is Rounding.TIES_TO_AWAY),
    "round_back": (["R"], lambda state: state.rounding is Rounding.TO_ODD),
    "overflow": (["o"], lambda state: state.overflow is Overflow.SATURATE),
    "zoom_out": (["right_square_bracket"] * 2, lambda state: state.zoom == 2),
    "zoom_in": (["right_square_bracket"] * 2 + ["left_square_bracket"],
                lambda state: state.zoom == 1),
    "line": (["l"], lambda state: state.view is View.LINE),
    "table": (["t"], lambda state: state.view is View.TABLE),
    "calc": (["c"], lambda state: state.view is View.CALC),
    "operate": (["p", "p"], lambda state: state.operation == "*" and state.view is View.CALC),
    "type_second": (["w", "1", "0", "enter"],
                    lambda state: state.second.text == "10" and state.view is View.CALC),
}  # fmt: skip
"""Action -> keys with its own among them, and what is so after them."""


@pytest.mark.parametrize("action", MODES)
def test_keys_that_change_how_it_is_looked_at(action: str) -> None:
    keys, holds = MODES[action]
    assert any(key.action == action and key.names.split(",")[0] in keys for key in KEYS)
    found = after(keys)
    assert holds(found)
    assert found.code == BF16


COPIED = {
    "copy_code": ("y", "0x4049"),
    "copy_value": ("Y", "3.140625"),
    "copy_command": ("C", "fpx decode 3.14 --dtype bfloat16,float16,float32"),
}


@pytest.mark.parametrize("action", COPIED)
def test_keys_that_copy(action: str) -> None:
    key, text = COPIED[action]
    assert any(each.action == action and each.names == key for each in KEYS)

    async def play(app: ExploreApp, pilot: Pilot[None]) -> None:
        await pilot.press(key)
        await pilot.pause()
        assert f"copied {text}" in lines_of(app)

    assert played(play).clipboard == text


def test_help_tells_of_every_key_and_goes_away() -> None:
    shown = "\n".join(screen(["question_mark"], size=(80, 60)))
    for key in KEYS:
        assert f"{key.shown}  {key.says}" in shown
    for end in ("escape", "q", "question_mark"):
        assert screen(["question_mark", end]) == screen()


@pytest.mark.parametrize("key", ["q", "ctrl+q", "ctrl+c"])
def test_leaving(key: str) -> None:
    async def play(app: ExploreApp, pilot: Pilot[None]) -> None:
        await pilot.press(key)
        await pilot.pause()
        assert not app.is_running

    played(play)


def test_scrolling_shows_what_is_below() -> None:
    wide = state_of(formats=["float128", "float64", "float32"])
    assert not any(line.startswith("rounds here") for line in screen(state=wide))
    assert any(line.startswith("rounds here") for line in screen(["end"], wide))
    assert screen(["end", "home"], wide) == screen(state=wide)


def test_who_never_read_of_bfloat16_sees_infinity_and_leaves_with_a_command() -> None:
    lines = screen(["up", "space", "tab"] + ["pageup"] * 15)
    assert lines[0] == "103936 as float16  0x7c00  inf  overflow"
    assert lines[-3] == "$ fpx decode 103936 --dtype float16,float32,bfloat16"
    assert fpx.decode("103936", "float16").shortest == "inf"
    assert lines[-3][2:] in (ROOT / "docs" / "explore.md").read_text(encoding="utf-8")


def test_every_key_is_tested() -> None:
    others = {"help", "leave", "bottom", "top"}
    assert {key.action for key in KEYS} == {*CODES, *MODES, *COPIED, *others}
    names = [name for key in KEYS for name in key.names.split(",")]
    assert len(names) == len(set(names))
    assert set(CHANGES) < {key.action for key in KEYS}


# -- typing ----------------------------------------------------------------------------------------


def message(keys: Sequence[str], state: State | None = None) -> str:
    """What is said above the last line, on a screen where that needs one line."""
    return screen(keys, state, (200, 24))[-2]


def test_what_is_typed_is_explained_until_it_is_a_number() -> None:
    assert message(["v", "3", "full_stop", "x"]) == "'3.x': a number is missing at the end"
    assert message(["v", "1", "slash", "3"]).startswith("1/3 as bfloat16  0x3eab  0.33398")
    assert message(["v", *"0x12345"]) == (
        "code '0x12345' is wider than the 16 bits of bfloat16: write at most 4 hexadecimal digits"
    )


def test_a_long_reason_takes_more_lines() -> None:
    lines = screen(["v", *"0x12345"])
    assert " ".join(lines[-3:-1]).endswith("write at most 4 hexadecimal digits")


def test_keys_are_letters_while_one_types() -> None:
    assert after(["v", "i", "n", "f", "up", "pageup", "space", "escape"]).code == BF16
    assert after(["v", *"1e", "enter", "3", "enter"]).code == 0x447A  # what is no number stays
    assert after(["v", "2", "escape", "up"]).code == BF16 + 1


def test_a_constant_is_that_of_the_format_that_leads() -> None:
    found = after(["v", *"max", "enter"])
    assert (found.code, found.report.value) == (0x7F7F, fpx.ranges("bf16")[0].max_finite)
    assert [item.flags[-1] for item in found.others if isinstance(item, DecodeReport)] == [
        "overflow", "exact"
    ]  # fmt: skip


def test_a_format_that_there_is_not_is_explained() -> None:
    assert screen(["f", *"xyz"], size=(900, 24))[-2].startswith("unknown format 'xyz'")
    assert after(["f", *"xyz", "enter", "escape"]).lead.name == "bfloat16"


def test_the_picker_moves_and_takes_what_was_clicked_on() -> None:
    assert after(["f", "down", "down", "up", "enter"]).lead.name == "float64"

    async def play(app: ExploreApp, pilot: Pilot[None]) -> None:
        await pilot.press("f", *"float8")
        await pilot.pause()
        lines = lines_of(app)
        at = next(y for y, line in enumerate(lines) if line.startswith("float8_e5m2 "))
        await pilot.click(offset=(3, at))

    assert played(play).state.lead.name == "float8_e5m2"


def test_what_a_format_cannot_hold_is_said_and_changes_nothing() -> None:
    fp4 = state_of("3", ["float4_e2m1fn"])
    assert message(["N"], fp4) == "float4_e2m1fn has no NaN: every code is a number"
    assert after(["N"], fp4).code == fp4.code


# -- clicks ----------------------------------------------------------------------------------------


def clicked(state: State | None, line: str, column: int) -> State:
    """The state after a click on a column of the line that begins so."""

    async def play(app: ExploreApp, pilot: Pilot[None]) -> None:
        await pilot.pause()
        at = next(y for y, each in enumerate(lines_of(app)) if each.startswith(line))
        await pilot.click(offset=(column, at))

    return played(play, state).state


@pytest.mark.parametrize(("column", "bit"), [(1, 15), (3, 14), (10, 7), (12, 6), (18, 0)])
def test_a_click_on_a_bit_turns_it_over(column: int, bit: int) -> None:
    found = clicked(None, " 0 10000000", column)
    assert (found.code, found.bit) == (BF16 ^ 1 << bit, bit)


def test_a_click_between_bits_does_nothing() -> None:
    assert clicked(None, " 0 10000000", 2) == state_of()


def test_a_click_on_a_format_gives_it_the_lead() -> None:
    assert [spec.name for spec in clicked(None, "float32", 2).formats] == [
        "float32", "bfloat16", "float16"
    ]  # fmt: skip


def test_a_click_in_the_table_takes_that_code() -> None:
    from dataclasses import replace

    table = replace(state_of("1", ["float8_e4m3fn"]), view=View.TABLE)
    assert clicked(table, " 1000", 20).code == 0b1000001
    assert clicked(table.negated(), " 1000", 20).code == 0b11000001


def test_a_click_on_an_element_turns_its_bit_over() -> None:
    found = clicked(block_of(), "elements", 10)
    before = block_of().block
    assert before is not None
    assert found.block is not None
    assert found.block.report.block.codes[0] == before.report.block.codes[0] ^ 0b1000


def test_the_wheel_zooms_on_the_line_alone() -> None:
    async def play(app: ExploreApp, pilot: Pilot[None]) -> None:
        from textual import events

        line = app.screen.query_one("#line")
        for kind in (*[events.MouseScrollDown] * 3, events.MouseScrollUp):
            await pilot._post_mouse_events([kind], line)
        await pilot._post_mouse_events([events.MouseScrollDown], app.screen.query_one("#bits"))

    assert played(play).state.zoom == 2


# -- layouts ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("keys", [[], ["l"], ["t"], ["c"], ["question_mark"], ["f"]], ids=str)
def test_modes_are_named_at_every_width(keys: list[str]) -> None:
    found: dict[int, list[str]] = {}

    async def play(app: ExploreApp, pilot: Pilot[None]) -> None:
        await pilot.press("r", "o", *keys)
        for width in (40, 60, 79, 80, 120):
            await pilot.resize_terminal(width, 24)
            await pilot.pause()
            found[width] = lines_of(app)

    played(play)
    for width, lines in found.items():
        assert max(map(len, lines)) <= width
        if keys not in (["question_mark"], ["f"]):
            assert "ties_to_away" in lines[-1]
            assert "saturate" in lines[-1]


def test_without_colours_the_cursor_is_still_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    found: list[str] = []

    async def play(app: ExploreApp, pilot: Pilot[None]) -> None:
        await pilot.pause()
        for strip in app.screen._compositor.render_strips():
            for segment in strip.apply_filter(app._filters[-1], app.screen.background_colors[1]):
                style = segment.style
                if style is None:
                    continue
                assert style.color is None or style.color.is_default
                if style.reverse:
                    found.append(segment.text)

    played(play)
    assert found == ["1"]  # the lowest bit of 0x4049
