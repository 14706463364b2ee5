"""The keys, on a screen of their own."""

from __future__ import annotations

from typing import ClassVar

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

from fpx.explore.keys import KEYS
from fpx.render.text import LABEL_STYLE


def all_keys() -> RenderableType:
    """Every key and what it does, by their headings."""
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True, justify="right", style="bold")
    table.add_column(overflow="fold")
    heading = ""
    for key in KEYS:
        if key.group != heading:
            heading = key.group
            table.add_row("", Text(heading, LABEL_STYLE))
        table.add_row(key.shown, key.says)
    table.add_row("", Text("Escape closes this; ↑ ↓ scroll", LABEL_STYLE))
    return table


class HelpScreen(ModalScreen[None]):
    """The keys, until one of some is pressed."""

    BINDINGS: ClassVar = [Binding("escape,question_mark,q,enter", "dismiss", show=False)]
    ALLOW_SELECT = False

    def compose(self) -> ComposeResult:
        """The list."""
        with VerticalScroll():
            yield Static(all_keys())
