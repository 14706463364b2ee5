"""Tables of text that may have 100,000 rows: rich's own take a minute to lay those out."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions
from rich.segment import Segment
from rich.style import Style
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
        label = console.get_style(LABEL_STYLE)
        bold = console.get_style("bold")
        yield Segment.line()
        head = [Text(self._columns[at], bold) for at in kept]
        yield from self._line(console, head, kept, widths)
        yield Segment(" " + "─" * (_line_width(widths) - 1), label)
        yield Segment.line()
        for row in self._rows:
            yield from self._line(console, [row[at] for at in kept], kept, widths)
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

    def _line(
        self, console: Console, cells: Sequence[Cell], kept: Sequence[int], widths: Sequence[int]
    ) -> Iterator[Segment]:
        done = " "
        for cell, at, width in zip(cells, kept, widths, strict=True):
            plain = cell if isinstance(cell, str) else cell.plain
            if at in self._cut:
                plain = shortened(plain, width) if _width(plain) > width else plain
            pad = " " * (width - _width(plain))
            before, after = ("", pad) if at in self._left else (pad, "")
            if isinstance(cell, str):
                done += before + plain + after + _GAP
                continue
            style = cell.style if isinstance(cell.style, Style) else console.get_style(cell.style)
            yield Segment(done + before)
            yield Segment(plain, style)
            done = after + _GAP
        yield Segment(done.rstrip())
        yield Segment.line()


def _line_width(widths: Collection[int]) -> int:
    """Columns of a line whose cells have these widths."""
    return 1 + sum(widths) + len(_GAP) * (len(widths) - 1)


def _width(cell: Cell) -> int:
    """Columns of a terminal that a cell takes."""
    text = cell if isinstance(cell, str) else cell.plain
    return len(text) if text.isascii() else cell_len(text)
