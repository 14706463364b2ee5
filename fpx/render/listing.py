"""Tables of text that may have 100,000 rows: rich's own take a minute to lay those out."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions
from rich.segment import Segment
from rich.text import Text

from fpx.render.names import shortened
from fpx.render.text import LABEL_STYLE

Cell = str | Text
"""Text, escaped; `Text` where its style says something."""

_LEAST = 24  # columns of a terminal that a long name keeps
_GAP = "  "


class Listing:
    """A table with a line under its head, as `fpx.render.tables.plain_table`, made quickly.

    On a terminal too narrow for it a column is left out by name, and then what is in the first one,
    a name, is shortened in the middle. Nothing else is cut, and no line ends in blanks.

    Args:
        columns: their headers; those in `left` begin at the left, the others end at the right.
        rows: a cell for each column.
        left: headers of columns of text; the first column is one.
        first_out: headers of the columns that go first; then those on the right go.
        cut: headers of columns that are shortened, in this order, before one goes; then the first.
        note: a line below the table.
    """

    def __init__(
        self,
        columns: Sequence[str],
        rows: Sequence[Sequence[Cell]],
        *,
        left: Collection[str] = (),
        first_out: Sequence[str] = (),
        cut: Sequence[str] = (),
        note: str = "",
    ) -> None:
        self._columns = columns
        self._rows = rows
        self._left = {0, *(at for at, name in enumerate(columns) if name in left)}
        self._first_out = first_out
        self._cut = [*(columns.index(name) for name in cut), 0]
        self._note = note
        cells = zip(columns, *rows, strict=True) if rows else ((name,) for name in columns)
        self._widths = [max(map(_width, column)) for column in cells]

    def need(self) -> int:
        """Columns of a terminal for the whole table."""
        return _line_width(self._widths)

    def _fitted(self, kept: Sequence[int], room: int) -> list[int]:
        """The widths of some columns, those that may be cut made narrower if they must."""
        widths = {at: self._widths[at] for at in kept}
        for at in self._cut:
            excess = _line_width(widths.values()) - room
            if at in widths and excess > 0:
                least = min(widths[at], max(_LEAST, _width(self._columns[at])))
                widths[at] = max(widths[at] - excess, least)
        return list(widths.values())

    def __rich_console__(
        self, console: Console, options: ConsoleOptions
    ) -> Iterator[Segment | Text]:
        kept, out = list(range(len(self._columns))), list[int]()
        room = options.max_width
        while len(kept) > 1 and _line_width(self._fitted(kept, room)) > room:
            out.append(self._least(kept))
            kept.remove(out[-1])
        widths = self._fitted(kept, room)
        yield Segment.line()
        head = [Text(self._columns[at], "bold") for at in kept]
        padded = [self._pad(cell, at, w) for cell, at, w in zip(head, kept, widths, strict=True)]
        yield from _line(console, head, padded)
        yield Segment(" " + "─" * (_line_width(widths) - 1), console.get_style(LABEL_STYLE))
        yield Segment.line()
        columns = [
            [self._pad(row[at], at, width) for row in self._rows]
            for at, width in zip(kept, widths, strict=True)
        ]
        for row, texts in zip(self._rows, zip(*columns, strict=True), strict=True):
            yield from _line(console, [row[at] for at in kept], texts)
        if out:
            names = ", ".join(self._columns[at] for at in sorted(out))
            yield Text(f"No room for: {names} (--csv and --json have all)", LABEL_STYLE)
        if self._note:
            yield Text(self._note, LABEL_STYLE)

    def _least(self, kept: Sequence[int]) -> int:
        """The column that goes next."""
        for name in self._first_out:
            for at in kept[1:]:
                if self._columns[at] == name:
                    return at
        return kept[-1]

    def _pad(self, cell: Cell, at: int, width: int) -> str:
        """A cell in the width of its column."""
        text = cell if isinstance(cell, str) else cell.plain
        taken = _width(cell)
        if taken > width and at in self._cut:
            text = _cut(text, width)
            taken = _width(text)
        pad = " " * (width - taken)
        return text + pad if at in self._left else pad + text


def _line(console: Console, cells: Sequence[Cell], texts: Sequence[str]) -> Iterator[Segment]:
    """A line, without blanks at its end; what is `Text` has its style, the blanks around it too."""
    if all(isinstance(cell, str) for cell in cells):
        yield Segment(f" {_GAP.join(texts)}".rstrip())
        yield Segment.line()
        return
    before = " "
    for number, (cell, text) in enumerate(zip(cells, texts, strict=True), 1):
        shown = text.rstrip() if number == len(cells) else text
        style = None if isinstance(cell, str) else cell.style
        found = console.get_style(style) if isinstance(style, str) else style
        yield Segment(before)
        yield Segment(shown, found)
        before = _GAP
    yield Segment.line()


_NUMBER = re.compile(r"\{[^}]*\}|[0-9]+")


def _cut(name: str, width: int) -> str:
    """A name shortened to so many columns; a number in its middle stays where there is room.

    Without it, the names of a model's layers would look alike.
    """
    for number in _NUMBER.finditer(name):
        before, after = name[: number.start()], name[number.end() :]
        room = width - _width(number[0]) - 2  # for both marks
        if room < _LEAST // 2:
            break
        head = before[: room // 3]
        tail = after[max(len(after) - (room - len(head)), 0) :]
        if head == before:  # nothing is left out before it
            continue
        cut = f"{head}…{number[0]}…{tail}"
        if _width(cut) <= width and tail != after:
            return cut
    return shortened(name, width)


def _line_width(widths: Collection[int]) -> int:
    """Columns of a line whose cells have these widths."""
    return 1 + sum(widths) + len(_GAP) * (len(widths) - 1)


def _width(cell: Cell) -> int:
    """Columns of a terminal that a cell takes."""
    text = cell if isinstance(cell, str) else cell.plain
    return len(text) if text.isascii() else cell_len(text)
