"""The one screen of `fpx explore`: keys and clicks in, pictures out."""

from __future__ import annotations

from dataclasses import replace

from rich.console import RenderableType
from rich.text import Text
from textual import events
from textual.app import ComposeResult
from textual.geometry import Region
from textual.screen import Screen
from textual.widgets import Static

from fpx.errors import InputError
from fpx.explore import pictures
from fpx.explore.help import all_keys
from fpx.explore.history import History
from fpx.explore.keys import ACTIONS, CHANGES, pressed
from fpx.explore.marks import BIT, CHOICE, CODE, LEAD, PLACE
from fpx.explore.pasted import command_line
from fpx.explore.prompt import Mode, Prompt
from fpx.explore.state import State, View
from fpx.explore.typed import reason
from fpx.explore.widgets import Clicked, Middle, Picture, Zoomed
from fpx.render.text import BAD_STYLE, GOOD_STYLE, LABEL_STYLE
from fpx.report.base import hex_code

_LEAVES_HELP = "Escape leaves the keys, ↑ ↓ scroll"
_ENDS_HELP = ("q", "question_mark", "enter")
_ROOMY = 30  # rows of a screen with blank lines between its parts


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
        self._prompt = Prompt()

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
        key, mode = event.key, self._prompt.mode
        if mode is Mode.PLAY:
            if key in ACTIONS:
                self.act(ACTIONS[key])
        elif key == "escape" or (mode is Mode.HELP and key in _ENDS_HELP):
            self._begin(Mode.PLAY)
        elif mode is Mode.HELP:
            self.query_one(Middle).scrolled(key)
        elif key == "enter":
            self._take(self._prompt)
        else:
            self._ask(self._prompt.edited(key, event.character))

    def on_paste(self, event: events.Paste) -> None:
        """A text from the clipboard, where one types."""
        if self._prompt.mode not in (Mode.PLAY, Mode.HELP):
            self._ask(self._prompt.with_entry(self._prompt.entry.inserted(event.text)))

    def act(self, action: str) -> None:
        """What a key of the table does."""
        if action not in CHANGES:
            getattr(self, f"_{action}")()
            return
        try:
            self._to(pressed(action, self.state))
        except InputError as error:
            self._say(reason(error), BAD_STYLE)

    def on_zoomed(self, event: Zoomed) -> None:
        """The wheel over the number line."""
        self.act("zoom_out" if event.out else "zoom_in")

    def on_clicked(self, event: Clicked) -> None:
        """What a click means: see `fpx.explore.marks`."""
        state, what = self.state, event.what
        try:
            if CHOICE in what:
                self._take(replace(self._prompt, cursor=what[CHOICE]))
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
        self._begin(Mode.TYPE)

    def _type_second(self) -> None:
        self._begin(Mode.SECOND)

    def _pick(self) -> None:
        self._begin(Mode.PICK)

    def _help(self) -> None:
        self._begin(Mode.HELP)

    def _begin(self, mode: Mode) -> None:
        self._ask(Prompt.of(mode))
        self.query_one(Middle).scroll_home(animate=False)

    def _ask(self, prompt: Prompt) -> None:
        self._prompt = prompt
        self._show()

    def _take(self, prompt: Prompt) -> None:
        """What was typed or chosen, if it is something."""
        try:
            found = prompt.taken(self.state)
        except InputError as error:
            self._say(reason(error), BAD_STYLE)
            return
        if prompt.mode is not Mode.PICK or prompt.found:
            self._prompt = Prompt()
            self._to(found)

    # -- showing -----------------------------------------------------------------------------------

    def _to(self, state: State) -> None:
        self.history = self.history.to(state)
        self._show()

    def _show(self) -> None:
        """Draws what there is to see."""
        state, prompt, width = self.state, self._prompt, self.size.width
        found, below, says = self._drawn(prompt.mode, width)
        self.set_class(state.view is View.TABLE, "whole")  # its columns need all of the width
        for name in pictures.PARTS:
            part = self.query_one(f"#{name}", Picture)
            part.display = name in found
            if name in found:
                part.update(found[name])
        self._line("command", below)
        self._line("message", says)
        self._line("modes", pictures.modes(state, width))
        self.call_after_refresh(self._follow)

    def _drawn(self, mode: Mode, width: int) -> tuple[dict[str, RenderableType], Text, Text]:
        """The parts of the screen, and the two lines below them."""
        state, prompt = self.state, self._prompt
        if mode is Mode.HELP:
            return {pictures.FACTS: all_keys()}, Text(), Text(_LEAVES_HELP, LABEL_STYLE)
        if mode is Mode.PLAY:
            found = pictures.pictures(state)
            return found, pictures.pasted(state, width), pictures.hints(width)
        picking = {pictures.FACTS: prompt.picture()} if mode is Mode.PICK else None
        found = picking or pictures.pictures(state)
        return found, prompt.entry.drawn(), prompt.meaning(state)

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
