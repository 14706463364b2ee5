"""The table of keys: what each does, and how the help says it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from fpx.core.literals import parse_literal
from fpx.errors import InputError
from fpx.explore.state import State, View

Change = Callable[[State], State]

BITS, VALUES, FORMATS, ROUNDING, LOOKING, REST = (
    "Bits", "Values", "Formats", "Rounding", "Looking", "The rest",
)  # fmt: skip


class Key(NamedTuple):
    """A key, or several that do the same.

    Attributes:
        names: as Textual calls them, with commas between.
        shown: how the help writes it.
        group: the heading that it stands under.
        says: what it does.
        action: its name; of keys without a `change`, a method of the screen with a `_` before it.
        change: what becomes of the state.
    """

    names: str
    shown: str
    group: str
    says: str
    action: str
    change: Change | None = None


def _move(left: bool) -> Change:
    def change(state: State) -> State:
        if state.view is View.TABLE and state.block is None:
            from fpx.explore.codes import beside  # which most never look at

            return beside(state, -1 if left else 1, 0)
        return state.moved(left)

    return change


def _step(up: bool) -> Change:
    def change(state: State) -> State:
        if state.view is View.TABLE and state.block is None:
            from fpx.explore.codes import WIDEST, beside

            if state.lead.bits <= WIDEST:
                return beside(state, 0, -1 if up else 1)
        return state.stepped(up)

    return change


def _single(change: Change) -> Change:
    """A change that has no meaning where numbers share a scale."""

    def checked(state: State) -> State:
        if state.block is not None:
            raise InputError(
                f"{state.block.target.name} has a scale of its own: v types the numbers of a "
                "block, f chooses another format"
            )
        return change(state)

    return checked


def _number(text: str) -> Change:
    return _single(lambda state: state.with_literal(parse_literal(text)))


def _view(view: View) -> Change:
    return _single(lambda state: state.seen(view))


KEYS: Sequence[Key] = (
    Key("space", "space", BITS, "turn the bit under the cursor over (or click on it)", "flip",
        State.flipped),
    Key("left", "←", BITS, "the cursor to the left", "left", _move(left=True)),
    Key("right", "→", BITS, "the cursor to the right", "right", _move(left=False)),
    Key("minus", "-", BITS, "the other sign", "sign", State.negated),
    Key("up", "↑", VALUES, "the next upper value", "up", _step(up=True)),
    Key("down", "↓", VALUES, "the next lower value", "down", _step(up=False)),
    Key("pageup", "PgUp", VALUES, "a binade up: twice the value", "binade_up",
        lambda state: state.scaled(up=True)),
    Key("pagedown", "PgDn", VALUES, "a binade down: half the value", "binade_down",
        lambda state: state.scaled(up=False)),
    Key("v,enter", "v", VALUES, "type a value or a code: 3.14, 1/3, 2^-24, inf, 0x4049", "type"),
    Key("0", "0", VALUES, "zero", "zero", _number("0")),
    Key("1", "1", VALUES, "one", "one", _number("1")),
    Key("s", "s", VALUES, "the smallest value above zero", "smallest", _single(State.smallest)),
    Key("n", "n", VALUES, "the smallest normal value", "normal", _single(State.smallest_normal)),
    Key("m", "m", VALUES, "the largest finite value", "largest", _single(State.largest)),
    Key("i", "i", VALUES, "infinity", "infinity", _number("inf")),
    Key("N", "N", VALUES, "NaN", "nan", _number("nan")),
    Key("f", "f", FORMATS, "choose a format, which takes the lead", "pick"),
    Key("tab", "tab", FORMATS, "the next format takes the lead (or click on it)", "next",
        lambda state: state.turned(forward=True)),
    Key("shift+tab", "shift+tab", FORMATS, "the last one takes the lead", "previous",
        lambda state: state.turned(forward=False)),
    Key("x", "x", FORMATS, "leave the format that leads out", "drop", State.without_lead),
    Key("r", "r", ROUNDING, "the next rounding mode", "round",
        _single(lambda state: state.rounded(1))),
    Key("R", "R", ROUNDING, "the rounding mode before", "round_back",
        _single(lambda state: state.rounded(-1))),
    Key("o", "o", ROUNDING, "the next overflow policy", "overflow", _single(State.overflowing)),
    Key("left_square_bracket", "[", LOOKING, "less of the number line (or the wheel)", "zoom_in",
        lambda state: state.zoomed(out=False)),
    Key("right_square_bracket", "]", LOOKING, "more of the number line, to the whole range",
        "zoom_out", lambda state: state.zoomed(out=True)),
    Key("l", "l", LOOKING, "the number line with the ranges of all formats, and back", "line",
        _view(View.LINE)),
    Key("t", "t", LOOKING, "all codes of a format of up to 8 bits, and back", "table",
        _view(View.TABLE)),
    Key("c", "c", LOOKING, "arithmetic with a second number, and back", "calc", _view(View.CALC)),
    Key("w", "w", LOOKING, "type the second number", "type_second"),
    Key("p", "p", LOOKING, "the next operation: + - * / min max", "operate",
        _single(State.operated)),
    Key("home", "Home", LOOKING, "the top of what is longer than the screen", "top"),
    Key("end", "End", LOOKING, "the end of it", "bottom"),
    Key("u,ctrl+z", "u", REST, "undo", "undo"),
    Key("U,ctrl+r", "U", REST, "redo", "redo"),
    Key("y", "y", REST, "copy the code", "copy_code"),
    Key("Y", "Y", REST, "copy the exact value", "copy_value"),
    Key("C", "C", REST, "copy the fpx decode line that shows the same", "copy_command"),
    Key("question_mark", "?", REST, "these keys", "help"),
    Key("q,ctrl+q", "q", REST, "leave, and print that line", "leave"),
)  # fmt: skip
"""Every key; the help, the bindings and the tests are made of it."""

ACTIONS = {name: key.action for key in KEYS for name in key.names.split(",")}
"""Textual's name of a key -> what it does."""

CHANGES = {key.action: key.change for key in KEYS if key.change is not None}
"""Action -> what it makes of the state, for those that are nothing more."""


def pressed(action: str, state: State) -> State:
    """The state after a key.

    Raises:
        InputError: it has no meaning there, with the reason.
    """
    return CHANGES[action](state)
