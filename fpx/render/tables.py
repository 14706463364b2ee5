"""The one look of fpx's tables."""

from __future__ import annotations

from rich import box
from rich.table import Table
from rich.text import Text


def plain_table(title: Text | str | None = None) -> Table:
    """A table with a line under its head and nothing else; columns are two spaces apart."""
    return Table(
        title=title,
        title_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        padding=(0, 1),
        collapse_padding=True,
    )
