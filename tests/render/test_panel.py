"""Labels and what they are of, drawn as rich draws a grid of two columns."""

from __future__ import annotations

from io import StringIO

import pytest
from rich.console import Console, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from fpx.render.panel import Labelled

ROWS: list[tuple[str, Text | str]] = [
    ("code", "0x4049  (normal, inexact)"),
    ("", Text("= 2^1 × 1.5703125", "bold")),
    ("rounding error", f"{'123456789' * 9} ulp"),
    ("rounds here", "from one number [to] another, all of which it says"),
]


def grid() -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for label, cell in ROWS:
        table.add_row(label, cell)
    return table


def drawn(content: RenderableType, width: int) -> str:
    console = Console(file=StringIO(), width=width, markup=False, highlight=False)
    with console.capture() as capture:
        console.print(Panel(content, expand=False))
    return capture.get()


@pytest.mark.parametrize("width", [30, 40, 61, 80, 120, 1000])
def test_labels_stand_as_in_a_grid(width: int) -> None:
    assert drawn(Labelled(ROWS), width) == drawn(grid(), width)


def test_labels_are_dim_and_what_they_are_of_is_not() -> None:
    console = Console(file=StringIO(), width=60, force_terminal=True, color_system="standard")
    with console.capture() as capture:
        console.print(Labelled(ROWS[:1]))
    assert capture.get().startswith("\x1b[2mcode  \x1b[0m0x4049")
