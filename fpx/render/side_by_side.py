"""Columns of the same rows side by side, and digits that may go on in the next line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from fpx.render.tables import plain_table
from fpx.render.text import AMPLE, LABEL_STYLE


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
