"""The program on the screen: it shows a state, and every key gives it another one."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from enum import Enum
from typing import ClassVar

from rich.text import Text
from textual import events
from textual.app import App, ComposeResult
from textual.binding import Binding
from textual.containers import VerticalScroll
from textual.geometry import Region
from textual.screen import Screen
from textual.widgets import Static

from fpx.core.spec import FormatSpec
from fpx.errors import InputError
from fpx.explore import pictures
from fpx.explore.bits import title
from fpx.explore.entry import Entry
from fpx.explore.formats import Choice, choice_list, choices, why_none
from fpx.explore.help import all_keys
from fpx.explore.history import History
from fpx.explore.keys import ACTIONS, CHANGES, pressed
from fpx.explore.marks import BIT, CHOICE, CODE, LEAD, PLACE
from fpx.explore.pasted import command_line
from fpx.explore.state import State, View
from fpx.explore.typed import reason, typed
from fpx.render.text import BAD_STYLE, GOOD_STYLE, LABEL_STYLE
from fpx.report.base import hex_code

_CHECKED = 5  # seconds between looks whether the server is still there
_TAKES, _LEAVES_HELP = "Enter takes it, Escape leaves it", "Escape leaves the keys, ↑ ↓ scroll"
_ENDS_HELP = ("q", "question_mark", "enter")
_ROOMY = 30  # rows of a screen with blank lines between its parts


class Middle(VerticalScroll, can_focus=False):
    """What scrolls where it is longer than the screen; keys go past it."""


def _nothing(_: Middle) -> None:
    """What most keys do to the help."""


_SCROLLS: Mapping[str, Callable[[Middle], None]] = {
    "up": lambda middle: middle.scroll_up(animate=False),
    "down": lambda middle: middle.scroll_down(animate=False),
    "pageup": lambda middle: middle.scroll_page_up(animate=False),
    "pagedown": lambda middle: middle.scroll_page_down(animate=False),
    "home": lambda middle: middle.scroll_home(animate=False),
    "end": lambda middle: middle.scroll_end(animate=False),
}


class Picture(Static, can_focus=False):
    """A part of the screen. What was clicked on stands in its style."""

    async def on_click(self, event: events.Click) -> None:
        """Hands on what the click means."""
        screen = self.screen
        if isinstance(screen, ExploreScreen):
            screen.clicked(event.style.meta)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """Zooms in, on the number line."""
        self._zoom(event, "zoom_in")

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """Zooms out, on the number line."""
        self._zoom(event, "zoom_out")

    def _zoom(self, event: events.MouseEvent, action: str) -> None:
        screen = self.screen
        if self.id == pictures.LINE and isinstance(screen, ExploreScreen):
            event.stop()
            screen.act(action)


class Mode(Enum):
    """What keys are for."""

    PLAY = "play"
    TYPE = "type"
    SECOND = "second"
    """As TYPE, of the other operand."""
    PICK = "pick"
    HELP = "help"


class ExploreScreen(Screen[None]):
    """The one screen: parts of a picture, and at the bottom what there is to say and to type.

    Keys are taken one after the other as they come, not by bindings, which lag behind: who types
    fast would lose what follows the key that begins to type.

    Args:
        state: what it begins with.
    """

    ALLOW_SELECT = False
    AUTO_FOCUS = ""

    def __init__(self, state: State) -> None:
        super().__init__()
        self.history = History(state)
        self._mode = Mode.PLAY
        self._entry = Entry()
        self._found: list[Choice] = []
        self._cursor = 0  # in those

    @property
    def state(self) -> State:
        """What is shown."""
        return self.history.now

    def compose(self) -> ComposeResult:
        """The parts from top to bottom."""
        with Middle(id="middle"):
            for name in pictures.PARTS:
                yield Picture(id=name)
        for name in ("command", "message", "modes"):
            yield Static(id=name, classes="bottom")

    def on_resize(self, event: events.Resize) -> None:
        """Blank lines where there is room for them, and the bottom lines as wide as that."""
        self.set_class(event.size.height >= _ROOMY, "roomy")
        self._show()

    # -- keys and clicks ---------------------------------------------------------------------------

    def on_key(self, event: events.Key) -> None:
        """What a key does, which depends on what keys are for."""
        event.stop()
        event.prevent_default()
        if self._mode is Mode.PLAY:
            action = ACTIONS.get(event.key)
            if action is not None:
                self.act(action)
        elif event.key == "escape" or (self._mode is Mode.HELP and event.key in _ENDS_HELP):
            self._begin(Mode.PLAY)
        elif self._mode is Mode.HELP:
            _SCROLLS.get(event.key, _nothing)(self.query_one(Middle))
        elif event.key == "enter":
            self._take()
        elif self._mode is Mode.PICK and event.key in ("up", "down"):
            self._cursor += 1 if event.key == "down" else -1
            self._show()
        else:
            self._edit(self._entry.edited(event.key, event.character))

    def on_paste(self, event: events.Paste) -> None:
        """A text from the clipboard, where one types."""
        if self._mode not in (Mode.PLAY, Mode.HELP):
            self._edit(self._entry.inserted(event.text))

    def act(self, action: str) -> None:
        """What a key of the table does."""
        if action not in CHANGES:
            getattr(self, f"_{action}")()
            return
        try:
            self._to(pressed(action, self.state))
        except InputError as error:
            self._say(reason(error), BAD_STYLE)

    def clicked(self, what: dict[str, int]) -> None:
        """What a click means: see `fpx.explore.marks`."""
        state = self.state
        try:
            if CHOICE in what:
                self._picked(self._found[what[CHOICE]])
            elif PLACE in what and state.block is not None:
                block = state.block.pointed(what[PLACE], what[BIT])
                self._to(state.with_block(block).flipped())
            elif BIT in what:
                self._to(state.pointed(what[BIT]).flipped())
            elif LEAD in what:
                self._to(state.led_by(state.formats[what[LEAD]]))
            elif CODE in what:
                self._to(state.with_code(what[CODE]))
        except InputError as error:
            self._say(reason(error), BAD_STYLE)

    def _undo(self) -> None:
        self.history = self.history.undone()
        self._show()

    def _redo(self) -> None:
        self.history = self.history.redone()
        self._show()

    def _copy_code(self) -> None:
        block = self.state.block
        if block is None:
            self._copy(hex_code(self.state.code, self.state.lead))
        else:
            self._copy(block.report.packed(block.report.packings[0]).hex())

    def _copy_value(self) -> None:
        block = self.state.block
        if block is None:
            self._copy(self.state.report.value_text)
        else:
            self._copy(" ".join(row.value_text for row in block.report.rows))

    def _copy_command(self) -> None:
        self._copy(command_line(self.state))

    def _copy(self, text: str) -> None:
        self.app.copy_to_clipboard(text)
        self._say(f"copied {text}", GOOD_STYLE)

    def _top(self) -> None:
        self.query_one(Middle).scroll_home(animate=False)

    def _bottom(self) -> None:
        self.query_one(Middle).scroll_end(animate=False)

    def _leave(self) -> None:
        self.app.exit()

    # -- typing, choosing, reading -----------------------------------------------------------------

    def _type(self) -> None:
        self._begin(Mode.TYPE, "a number such as 3.14, 1/3, 2^-24, inf, or a code 0x4049")

    def _type_second(self) -> None:
        self._begin(Mode.SECOND, "the second number")

    def _pick(self) -> None:
        self._begin(Mode.PICK, "a format: bf16, e5m7, binary8p4se, mxfp4")

    def _help(self) -> None:
        self._begin(Mode.HELP)

    def _begin(self, mode: Mode, asks: str = "") -> None:
        self._mode, self._entry = mode, Entry(asks=asks)
        if mode is Mode.PICK:
            self._found, self._cursor = choices(""), 0
        self._show()
        self.query_one(Middle).scroll_home(animate=False)

    def _edit(self, entry: Entry) -> None:
        """Another text, and what it means, or why it is nothing yet."""
        changed = entry.text != self._entry.text
        self._entry = entry
        if self._mode is Mode.PICK and changed:
            self._found, self._cursor = choices(entry.text), 0
        self._show()

    def _meaning(self) -> Text:
        """What the text that is typed means."""
        text = self._entry.text
        if self._mode is Mode.PICK and not self._found:
            return Text(why_none(text), BAD_STYLE)
        if self._mode is Mode.PICK or not text:
            return Text(_TAKES, LABEL_STYLE)
        try:
            found = typed(text, self.state, second=self._mode is Mode.SECOND)
        except InputError as error:
            return Text(reason(error), BAD_STYLE)
        if found.block is not None or self._mode is Mode.SECOND:
            return Text(_TAKES, GOOD_STYLE)
        return title(found)

    def _take(self) -> None:
        """What was typed or chosen, if it is something."""
        if self._mode is Mode.PICK:
            if self._found:
                self._picked(self._found[self._cursor])
            return
        try:
            found = typed(self._entry.text, self.state, second=self._mode is Mode.SECOND)
        except InputError as error:
            self._say(reason(error), BAD_STYLE)
            return
        self._mode = Mode.PLAY
        self._to(found)

    def _picked(self, choice: Choice) -> None:
        self._begin(Mode.PLAY)
        state, target = self.state, choice.target
        try:
            if isinstance(target, FormatSpec):
                self._to(state.led_by(target))
            else:
                from fpx.explore.block import Block  # most formats have no scale

                literals = state.block.literals if state.block is not None else ()
                self._to(state.with_block(Block.of(literals or (state.number,), target)))
        except InputError as error:
            self._say(reason(error), BAD_STYLE)

    # -- showing -----------------------------------------------------------------------------------

    def _to(self, state: State) -> None:
        self.history = self.history.to(state)
        self._show()

    def _show(self) -> None:
        """Draws what there is to see."""
        state, width = self.state, self.size.width
        self._cursor = min(max(self._cursor, 0), max(len(self._found) - 1, 0))
        playing = self._mode is Mode.PLAY
        if self._mode is Mode.HELP:
            found = {pictures.FACTS: all_keys()}
        elif self._mode is Mode.PICK:
            found = {pictures.FACTS: choice_list(self._found, self._cursor)}
        else:
            found = pictures.pictures(state)
        self.set_class(state.view is View.TABLE, "whole")  # its columns need all of the width
        for name in pictures.PARTS:
            part = self.query_one(f"#{name}", Picture)
            part.display = name in found
            if name in found:
                part.update(found[name])
        self._line("modes", pictures.modes(state, width))
        if self._mode is Mode.HELP:
            self._line("command", Text())
            self._line("message", Text(_LEAVES_HELP, LABEL_STYLE))
        else:
            self._line("command", pictures.pasted(state, width) if playing else self._entry.drawn())
            self._line("message", pictures.hints(width) if playing else self._meaning())
        self.call_after_refresh(self._follow)

    def _follow(self) -> None:
        """Scrolls to the cursor, where it is in what is longer than the screen."""
        middle = self.query_one(Middle)
        for part in self.query(Picture):
            for y in range(part.size.height if part.display else 0):
                line = part.render_line(y)
                if any(segment.style and segment.style.reverse for segment in line):
                    region = Region(0, part.virtual_region.y + y, 1, 1)
                    middle.scroll_to_region(region, animate=False)
                    return

    def _say(self, text: str, style: str) -> None:
        """A line at the bottom, until the next key."""
        self._line("message", Text(text, style))

    def _line(self, name: str, text: Text) -> None:
        self.query_one(f"#{name}", Static).update(text)


class ExploreApp(App[None]):
    """`fpx explore` as a program on the terminal.

    Args:
        state: what it begins with.
    """

    CSS = """
    Screen { layers: base; }
    Middle { height: 1fr; scrollbar-size-vertical: 1; }
    .whole Middle { scrollbar-size-vertical: 0; }
    Picture { height: auto; }
    .roomy Picture { margin-bottom: 1; }
    .bottom { height: auto; max-height: 4; }
    """
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar = [Binding("ctrl+c", "exit", show=False, priority=True)]

    def __init__(self, state: State) -> None:
        # the terminal's own colours, be it light or dark; said here because of NO_COLOR too
        super().__init__(ansi_color=True)
        self.theme = "ansi-dark"
        self._first = ExploreScreen(state)
        self._server = 0  # its process

    def get_default_screen(self) -> ExploreScreen:
        """The one screen."""
        return self._first

    @property
    def state(self) -> State:
        """What is shown."""
        return self._first.state

    def on_mount(self) -> None:
        """Behind a page, ends with its server, however that ends."""
        if self.is_web:
            self._server = os.getppid()
            self.set_interval(_CHECKED, self._look_for_server)

    def _look_for_server(self) -> None:
        if os.getppid() != self._server:
            self.exit()

    def action_exit(self) -> None:
        """Leaves."""
        self.exit()
