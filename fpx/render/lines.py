"""Tables whose rows come one by one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from rich.console import Console, ConsoleOptions, RenderableType
from rich.text import Text

from fpx.render.tables import no_room


class Lines:
    """Rows of a table that come one by one: each is drawn when it is there.

    A column is as wide as its widest cell so far. Columns for which there is no room are left out,
    which is decided before the first row.

    Args:
        title: said first.
        columns: heading -> the width that it has from the start; the last one has none.
        first_out: as in `FittingTable`.
    """

    def __init__(
        self, title: Text, columns: Mapping[str, int], first_out: Sequence[str] = ()
    ) -> None:
        self._title, self._first_out = title, first_out
        self._widths = {name: max(width, len(name)) for name, width in columns.items()}
        self._kept: list[str] = []

    def row(self, cells: Mapping[str, Text | str]) -> RenderableType:
        """The next row, below the headings if it is the first; lines of all columns."""
        return _Line(self, cells)

    def drawn(self, cells: Mapping[str, Text | str], room: int) -> Iterator[Text]:
        """The lines of a row, in that much room."""
        if not self._kept:
            yield from self._head(room)
        line = Text(" ")
        for name in self._kept:
            cell = cells[name]
            text = cell if isinstance(cell, Text) else Text(cell)
            self._widths[name] = max(self._widths[name], text.cell_len)
            line.append_text(text)
            if name != self._kept[-1]:
                line.append(" " * (self._widths[name] - text.cell_len + 2))
        yield line

    def _head(self, room: int) -> Iterator[Text]:
        kept = list(self._widths)
        going = [name for name in self._first_out if name in kept]
        while going and self._need(kept) > room:
            kept.remove(going.pop(0))
        for name in reversed(self._first_out):  # what there is room for once others are gone
            back = [item for item in self._widths if item in kept or item == name]
            if self._need(back) <= room:
                kept = back
        self._kept = kept
        yield self._title
        if len(kept) < len(self._widths):
            yield no_room(name for name in self._widths if name not in kept)
        yield Text()
        names = "  ".join(f"{name:{self._widths[name]}}" for name in kept)
        yield Text(f" {names.rstrip()}", "bold")
        yield Text(f" {'─' * (min(self._need(kept), room) - 1)}")

    def _need(self, names: Iterable[str]) -> int:
        """The columns of a terminal that columns of the table need: a blank, gaps of two."""
        return sum(self._widths[name] + 2 for name in names) - 1


class _Line:
    def __init__(self, lines: Lines, cells: Mapping[str, Text | str]) -> None:
        self._lines, self._cells = lines, cells

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Text]:
        yield from self._lines.drawn(self._cells, options.max_width)
