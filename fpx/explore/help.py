"""The keys, as the help shows them."""

from __future__ import annotations

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

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
    return table
