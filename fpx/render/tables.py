"""The one look of fpx's tables."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace
from typing import Any

from rich import box
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
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
        self.columns = _alone(kept)
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
            yield no_room(map(_name, out))

    def _least(self, kept: list[Column]) -> Column:
        """The column that goes next."""
        for name in self._first_out:
            for column in kept[1:]:
                if _name(column) == name:
                    return column
        return kept[-1]

    def _need(self, console: Console, options: ConsoleOptions, columns: list[Column]) -> int:
        """The columns of a terminal that those of the table need, if no others are in it."""
        wide = options.update_width(AMPLE)
        self.columns = _alone(columns)
        need = self._extra_width
        for column in self.columns:
            width = self._measure_column(console, wide, column)
            if column.no_wrap:
                need += width.maximum
            else:
                least = max(column.min_width or 0, _LEAST) + self._get_padding_width(column._index)
                need += min(width.maximum, least)
        return need


def _alone(columns: Iterable[Column]) -> list[Column]:
    """Some columns of a table as those of a table of their own."""
    return [replace(column, _index=at) for at, column in enumerate(columns)]


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


def no_room(names: Iterable[str]) -> Text:
    """The line that names columns which were left out."""
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
