"""The one look of fpx's tables."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from rich import box
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.measure import Measurement
from rich.table import Column, Table
from rich.text import Text

from fpx.render.text import AMPLE, LABEL_STYLE
from fpx.report.base import Report, Reports
from fpx.words import escape

_LEAST = 10  # characters of a column that may fold, unless it says more

_PICTURE = 80  # columns of a picture there


def picture_width(options: ConsoleOptions) -> int:
    """The columns of what is drawn as wide as there is room for."""
    return options.max_width if options.max_width < AMPLE else _PICTURE


class FittingTable(Table):
    """A table in which nothing is cut: a column for which there is no room is left out by name.

    Args:
        first_out: headers of the columns that go first; then those on the right go. The first
            column always stays, and so does any for which there is room once others are gone.
        settings: rich's.
    """

    def __init__(self, *, first_out: Collection[str] = (), **settings: Any) -> None:
        super().__init__(**settings)
        self._first_out = first_out

    def add_column(self, header: Any = "", footer: Any = "", **settings: Any) -> None:
        """rich's, but that what is too long folds."""
        super().add_column(header, footer, **{"overflow": "fold"} | settings)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """The title, the table, and a line that names what was left out."""
        every, title = self.columns, self.title
        kept, out = list(every), list[Column]()
        while len(kept) > 1 and self._need(console, options, kept) > options.max_width:
            out.append(self._least(kept))
            kept = [column for column in kept if column is not out[-1]]
        for column in reversed(out[:-1]):
            back = [item for item in every if item is column or any(item is k for k in kept)]
            if self._need(console, options, back) <= options.max_width:
                kept = back
        out = [column for column in every if not any(column is item for item in kept)]
        self.columns = [replace(column, _index=at) for at, column in enumerate(kept)]
        if len(kept) == 1:
            self.columns[0].no_wrap = False  # what is alone may fold, or it would be cut
        if title:  # in all of the width, where rich has that of the table
            yield Text(title, "table.title") if isinstance(title, str) else title
        self.title = None
        try:
            yield from super().__rich_console__(console, options)
        finally:
            self.columns, self.title = every, title
        if out:
            yield _no_room(map(_name, out))

    def _least(self, kept: list[Column]) -> Column:
        """The column that goes next."""
        for name in self._first_out:
            for column in kept[1:]:
                if _name(column) == name:
                    return column
        return kept[-1]

    def _need(self, console: Console, options: ConsoleOptions, columns: list[Column]) -> int:
        """The columns of a terminal that those of the table need."""
        wide = options.update_width(AMPLE)
        need = self._extra_width
        for column in columns:
            width = self._measure_column(console, wide, column)
            if column.no_wrap:
                need += width.maximum
            else:
                least = max(column.min_width or 0, _LEAST) + self._get_padding_width(column._index)
                need += min(width.maximum, least)
        return need


def _name(column: Column) -> str:
    header = column.header
    plain = header.plain if isinstance(header, Text) else str(header)
    return plain.replace("-\n", "").replace("\n", " ")


def plain_table(title: Text | str | None = None, first_out: Collection[str] = ()) -> FittingTable:
    """A table with a line under its head and nothing else; columns are two spaces apart."""
    return FittingTable(
        first_out=first_out,
        title=title,
        title_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        padding=(0, 1),
        collapse_padding=True,
    )


class Pieces:
    """Digits that go on in the next line where one is too short, whole groups at a time.

    Args:
        digits: of a code, in hexadecimal or binary.
        group: lines are multiples of that many digits.
        least: that many digits stay together.
        prefix: what stands before them; the lines below leave that much blank.
        style: of the digits.
    """

    def __init__(
        self, digits: str, group: int, least: int, prefix: str = "", style: str = ""
    ) -> None:
        self._digits, self._group, self._least = digits, group, least
        self._prefix, self._style = prefix, style

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        prefix, digits = len(self._prefix), len(self._digits)
        return Measurement(prefix + min(digits, self._least), prefix + digits)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Text]:
        digits = self._digits
        longest = max((options.max_width - len(self._prefix)) // self._group, 1) * self._group
        groups = -(-len(digits) // self._group)
        line = len(digits)
        if line > options.max_width - len(self._prefix):  # then lines of much the same length
            line = -(-groups // -(-len(digits) // longest)) * self._group
        for start in range(0, len(digits), line):
            before = " " * len(self._prefix) if start else self._prefix
            yield Text(before + digits[start : start + line], self._style)


def code_pieces(code: str, least: int = 16) -> Pieces:
    """A hexadecimal code, of which `least` digits stay together where there is no room for all."""
    return Pieces(code.removeprefix("0x"), 8, least, "0x")


class SideBySide:
    """Columns of the same rows: as many beside each other as there is room for, the rest below.

    Args:
        title: of them all.
        labels: of the rows.
        columns: heading -> what stands in each row.
    """

    def __init__(
        self,
        title: Text,
        labels: Sequence[str],
        columns: Mapping[str, Sequence[RenderableType]],
    ) -> None:
        self._title, self._labels, self._columns = title, labels, columns

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Any]:
        yield self._title
        wide = options.update_width(AMPLE)
        room = options.max_width - max(map(len, self._labels)) - 2  # a blank at either end
        block: dict[str, Measurement] = {}
        for name, cells in self._columns.items():
            sizes = [(cell, Measurement.get(console, wide, cell)) for cell in (name, *cells)]
            # what may go on in the next line does so where the rest of the column is narrower
            least = max(
                size.minimum if isinstance(cell, Pieces) else size.maximum for cell, size in sizes
            )
            if block and sum(2 + size.minimum for size in block.values()) + 2 + least > room:
                yield self._block(block, room)
                block = {}
            block[name] = Measurement(least, max(size.maximum for _, size in sizes))
        yield self._block(block, room)

    def _block(self, block: Mapping[str, Measurement], room: int) -> Table:
        """Columns of at least their minimal width; what is left goes to those that want it."""
        left = max(room - sum(2 + size.minimum for size in block.values()), 0)
        table = plain_table()
        table.add_column("", style=LABEL_STYLE, width=max(map(len, self._labels)))
        for name, (least, most) in block.items():
            more = min(most - least, left)
            left -= more
            table.add_column(name, width=least + more)
        for at, label in enumerate(self._labels):
            table.add_row(label, *(self._columns[name][at] for name in block))
        return table


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
            yield _no_room(name for name in self._widths if name not in kept)
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


def _no_room(names: Iterable[str]) -> Text:
    return Text(f"No room for: {', '.join(names)} (--csv and --json have all)", LABEL_STYLE)


def any_table(report: Report) -> RenderableType:
    """A report that has no drawing of its own."""
    found = report.table()
    table = plain_table()
    for name in found.columns:
        table.add_column(name, overflow="fold")
    for row in found.rows:
        table.add_row(*("-" if cell is None else escape(str(cell)) for cell in row))
    return table


def one_after_another(report: Reports) -> RenderableType:
    """Each of several reports as it draws itself."""
    return Group(*report.items)
