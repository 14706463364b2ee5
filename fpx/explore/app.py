"""The program on the screen: it shows a state, and every key gives it another one."""

from __future__ import annotations

from typing import ClassVar

from rich.text import Text
from textual import events
from textual.app import App, ComposeResult
from textual.binding import Binding
from textual.containers import VerticalScroll
from textual.geometry import Region
from textual.screen import Screen
from textual.widgets import Input, Static

from fpx.core.spec import FormatSpec
from fpx.errors import InputError
from fpx.explore import pictures
from fpx.explore.bits import title
from fpx.explore.formats import Choice
from fpx.explore.history import History
from fpx.explore.keys import CHANGES, KEYS, pressed
from fpx.explore.marks import BIT, CODE, LEAD, PLACE
from fpx.explore.pasted import command_line
from fpx.explore.state import State, View
from fpx.explore.typed import reason, typed
from fpx.render.text import BAD_STYLE, GOOD_STYLE
from fpx.report.base import hex_code

_ROOMY = 30  # rows of a screen with blank lines between its parts


class Middle(VerticalScroll, can_focus=False):
    """What scrolls where it is longer than the screen; keys go past it."""


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
            screen.action_press(action)


class ExploreScreen(Screen[None]):
    """The one screen: parts of a picture, and at the bottom what there is to say and to type.

    Args:
        state: what it begins with.
    """

    BINDINGS: ClassVar = [
        Binding(name, f"press('{key.action}')", key.says, show=False)
        for key in KEYS
        for name in key.names.split(",")
    ]
    ALLOW_SELECT = False

    def __init__(self, state: State) -> None:
        super().__init__()
        self.history = History(state)
        self._entry: Input | None = None
        self._second = False  # whether it is the other operand that is typed

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

    def on_mount(self) -> None:
        """The first picture."""
        self._show()

    def on_resize(self, event: events.Resize) -> None:
        """Blank lines where there is room for them, and the bottom lines as wide as that."""
        self.set_class(event.size.height >= _ROOMY, "roomy")
        self._show()

    # -- keys and clicks ---------------------------------------------------------------------------

    def action_press(self, action: str) -> None:
        """What a key of the table does."""
        if self._entry is not None:  # its own keys are the ones that count
            return
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
            if PLACE in what and state.block is not None:
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

    def _help(self) -> None:
        from fpx.explore.help import HelpScreen  # here and below: not before it is asked for

        self.app.push_screen(HelpScreen())

    def _leave(self) -> None:
        self.app.exit()

    # -- formats -----------------------------------------------------------------------------------

    def _pick(self) -> None:
        from fpx.explore.picker import PickerScreen

        self.app.push_screen(PickerScreen(), self._picked)

    def _picked(self, choice: Choice | None) -> None:
        if choice is None:
            return
        state, target = self.state, choice.target
        try:
            if isinstance(target, FormatSpec):
                self._to(state.led_by(target))
            else:
                from fpx.explore.block import Block

                literals = state.block.literals if state.block is not None else ()
                self._to(state.with_block(Block.of(literals or (state.number,), target)))
        except InputError as error:
            self._say(reason(error), BAD_STYLE)

    # -- typing ------------------------------------------------------------------------------------

    def _type(self) -> None:
        self._open("a number such as 3.14, 1/3, 2^-24, inf, or a code 0x4049", second=False)

    def _type_second(self) -> None:
        self._open("the second number", second=True)

    def _open(self, placeholder: str, *, second: bool) -> None:
        self._second = second
        self._entry = Input(placeholder=placeholder, id="entry", compact=True)
        self.query_one("#command").display = False
        self.mount(self._entry, before="#message")
        self._entry.focus()
        self._say("Enter takes it, Escape leaves it")

    def on_input_changed(self, event: Input.Changed) -> None:
        """Says what the text means, or why it is no number yet."""
        if not event.value:
            return
        try:
            found = typed(event.value, self.state, second=self._second)
        except InputError as error:
            self._say(reason(error), BAD_STYLE)
        else:
            self._say("a number: Enter takes it" if found.block or self._second else
                      title(found), GOOD_STYLE)  # fmt: skip

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Takes the text, if it is a number."""
        try:
            found = typed(event.value, self.state, second=self._second)
        except InputError as error:
            self._say(reason(error), BAD_STYLE)
            return
        self._close()
        self._to(found)

    def on_key(self, event: events.Key) -> None:
        """Escape leaves what is being typed."""
        if event.key == "escape" and self._entry is not None:
            self._close()
            self._show()

    def _close(self) -> None:
        if self._entry is not None:
            self._entry.remove()
            self._entry = None
            self.query_one("#command").display = True

    # -- showing -----------------------------------------------------------------------------------

    def _to(self, state: State) -> None:
        self.history = self.history.to(state)
        self._show()

    def _show(self) -> None:
        """Draws the state."""
        state, width = self.state, self.size.width
        found = pictures.pictures(state)
        self.set_class(state.view is View.TABLE, "whole")  # its columns need all of the width
        for name in pictures.PARTS:
            part = self.query_one(f"#{name}", Picture)
            part.display = name in found
            if name in found:
                part.update(found[name])
        self.query_one("#modes", Static).update(pictures.modes(state, width))
        self.query_one("#command", Static).update(pictures.pasted(state, width))
        if self._entry is None:
            self.query_one("#message", Static).update(pictures.hints(width))
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

    def _say(self, text: str | Text, style: str = "") -> None:
        """A line at the bottom, until the next key."""
        line = text if isinstance(text, Text) else Text(text, style)
        self.query_one("#message", Static).update(line)


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
    #entry { height: 1; }
    """
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar = [Binding("ctrl+c", "exit", show=False, priority=True)]

    def __init__(self, state: State) -> None:
        # the terminal's own colours, be it light or dark; said here because of NO_COLOR too
        super().__init__(ansi_color=True)
        self.theme = "ansi-dark"
        self._first = ExploreScreen(state)

    def get_default_screen(self) -> ExploreScreen:
        """The one screen."""
        return self._first

    @property
    def state(self) -> State:
        """What is shown."""
        return self._first.state

    def action_exit(self) -> None:
        """Leaves."""
        self.exit()
