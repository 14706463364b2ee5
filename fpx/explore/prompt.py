"""What keys are for, and what is typed or chosen where they are not for playing."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

from rich.console import RenderableType
from rich.text import Text

from fpx.core.spec import FormatSpec
from fpx.core.targets import Target
from fpx.errors import InputError
from fpx.explore.bits import title
from fpx.explore.entry import Entry
from fpx.explore.formats import Choice, choice_list, choices, why_none
from fpx.explore.state import State
from fpx.explore.typed import reason, typed
from fpx.render.text import BAD_STYLE, GOOD_STYLE, LABEL_STYLE
from fpx.report.base import once

_TAKES = "Enter takes it, Escape leaves it"


class Mode(Enum):
    """What keys are for."""

    PLAY = "play"
    TYPE = "type"
    SECOND = "second"
    """As TYPE, of the other operand."""
    PICK = "pick"
    HELP = "help"


_ASKS = {
    Mode.TYPE: "a number such as 3.14, 1/3, 2^-24, inf, or a code 0x4049",
    Mode.SECOND: "the second number",
    Mode.PICK: "a format: bf16, e5m7, binary8p4se, mxfp4",
}

_EMPTY = Entry()


@dataclass(frozen=True)
class Prompt:
    """A line that is typed, and the formats that it leaves to choose from.

    Attributes:
        mode: what it is for.
        entry: the line.
        cursor: which of the formats it is on.
    """

    mode: Mode = Mode.PLAY
    entry: Entry = _EMPTY
    cursor: int = 0

    @classmethod
    def of(cls, mode: Mode) -> Prompt:
        """An empty one."""
        return cls(mode, Entry(asks=_ASKS.get(mode, "")))

    @once
    def found(self) -> list[Choice]:
        """The formats that what was typed leaves."""
        return choices(self.entry.text)

    def edited(self, key: str, character: str | None) -> Prompt:
        """After a key: see `Entry.edited`; in the list of formats, up and down move the cursor."""
        if self.mode is Mode.PICK and key in ("up", "down"):
            at = self.cursor + (1 if key == "down" else -1)
            return replace(self, cursor=min(max(at, 0), max(len(self.found) - 1, 0)))
        return self.with_entry(self.entry.edited(key, character))

    def with_entry(self, entry: Entry) -> Prompt:
        """Another line, of whose formats the first is under the cursor."""
        same = entry.text == self.entry.text
        return replace(self, entry=entry, cursor=self.cursor if same else 0)

    def picture(self) -> RenderableType:
        """The formats."""
        return choice_list(self.found, self.cursor)

    def meaning(self, state: State) -> Text:
        """What the line means, or why it is nothing yet."""
        text = self.entry.text
        if self.mode is Mode.PICK and not self.found:
            return Text(why_none(text), BAD_STYLE)
        if self.mode is Mode.PICK or not text:
            return Text(_TAKES, LABEL_STYLE)
        try:
            found = self.taken(state)
        except InputError as error:
            return Text(reason(error), BAD_STYLE)
        plain = self.mode is Mode.TYPE and found.block is None
        return title(found) if plain else Text(_TAKES, GOOD_STYLE)

    def taken(self, state: State) -> State:
        """The state with what was typed or chosen; itself where that is no format.

        Raises:
            InputError: it is no number, or none that the format can hold.
        """
        if self.mode is Mode.PICK:
            return picked(self.found[self.cursor].target, state) if self.found else state
        return typed(self.entry.text, state, second=self.mode is Mode.SECOND)


def picked(target: Target, state: State) -> State:
    """The state led by a format; by one with scales, of the number or the numbers there are.

    Raises:
        InputError: it cannot hold them.
    """
    if isinstance(target, FormatSpec):
        return state.led_by(target)
    from fpx.explore.block import Block  # most formats have no scale

    literals = state.block.literals if state.block is not None else ()
    return state.with_block(Block.of(literals or (state.number,), target))
