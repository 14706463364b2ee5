"""The list of formats, on a screen of its own."""

from __future__ import annotations

from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding
from textual.screen import ModalScreen
from textual.widgets import Input, OptionList, Static

from fpx.explore.formats import Choice, choices, why_none
from fpx.render.text import BAD_STYLE, LABEL_STYLE


class PickerScreen(ModalScreen[Choice | None]):
    """Formats to choose from; typing leaves fewer, the arrows move, Enter takes one."""

    BINDINGS: ClassVar = [
        Binding("escape", "dismiss(None)", show=False),
        Binding("up", "move(-1)", show=False),
        Binding("down", "move(1)", show=False),
    ]
    CSS = """
    PickerScreen Input { height: 1; }
    PickerScreen Static { height: auto; max-height: 6; }
    PickerScreen OptionList { height: 1fr; }
    """
    ALLOW_SELECT = False

    def __init__(self) -> None:
        super().__init__()
        self._found: list[Choice] = []

    def compose(self) -> ComposeResult:
        """A line to type in, the formats, and what there is to say."""
        yield Input(placeholder="a format: bf16, e5m7, binary8p4se, mxfp4", compact=True)
        yield OptionList(compact=True)
        yield Static(id="why")

    def on_mount(self) -> None:
        """All formats."""
        self.query_one(OptionList).can_focus = False
        self._filter("")

    def on_input_changed(self, event: Input.Changed) -> None:
        """Fewer of them."""
        self._filter(event.value)

    def on_input_submitted(self) -> None:
        """Takes the one under the cursor."""
        at = self.query_one(OptionList).highlighted
        if at is not None:
            self.dismiss(self._found[at])

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Takes the one that was clicked on."""
        self.dismiss(self._found[event.option_index])

    def action_move(self, step: int) -> None:
        """The cursor up or down."""
        options = self.query_one(OptionList)
        if step > 0:
            options.action_cursor_down()
        else:
            options.action_cursor_up()

    def _filter(self, text: str) -> None:
        self._found = choices(text)
        options = self.query_one(OptionList)
        options.clear_options()
        width = max((len(choice.target.name) for choice in self._found), default=0)
        options.add_options(
            [
                Text.assemble((f"{choice.target.name:{width}}  ", "bold"), choice.says)
                for choice in self._found
            ]
        )
        if self._found:
            options.highlighted = 0
        why = self.query_one("#why", Static)
        if self._found:
            why.update(Text("Enter takes it, Escape leaves it", LABEL_STYLE))
        else:
            why.update(Text(why_none(text), BAD_STYLE))
