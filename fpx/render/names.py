"""Names of tensors in tables: whole where there is room, else shortened in the middle."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Console, ConsoleOptions
from rich.measure import Measurement
from rich.text import Text

from fpx.render.text import AMPLE
from fpx.words import escape

LEAST = 32
"""Columns that a long name keeps: fewer, and those of a checkpoint look alike."""

MOST = 48
"""Columns that names keep to be told from one another: more, and there is no room for numbers."""


class Name:
    """A name out of a file, escaped.

    A terminal that is too narrow for it shows its beginning and its end; where lines have no limit
    it is whole.

    Args:
        name: as found in the file.
        index: what stands behind it and is never cut.
    """

    def __init__(self, name: str, index: str = "") -> None:
        self._name, self._index = escape(name), index

    @property
    def least(self) -> int:
        """The columns that it needs."""
        return min(Text(self._name).cell_len, LEAST) + len(self._index)

    def within(self, width: int) -> str:
        """It in at most so many columns."""
        return f"{shortened(self._name, width - len(self._index))}{self._index}"

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        return Measurement(self.least, Text(self._name).cell_len + len(self._index))

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Text]:
        yield Text(self.within(options.max_width), no_wrap=True)


def least_of(names: Sequence[Name]) -> int:
    """The columns that a column of names needs, so that no two of them look alike if MOST do."""
    least = max(name.least for name in names)
    plain = [name for name in names if name.within(AMPLE).isascii()]  # others take long to shorten
    wanted = len({name.within(AMPLE) for name in plain})
    for width in range(least, MOST + 1):
        if len({name.within(width) for name in plain}) == wanted:
            return width
    return least


def shortened(name: str, width: int) -> str:
    """A name in at most so many columns, `…` for what is left out of its middle."""
    if name.isascii():  # as below, without a try of each size
        size = max(width - 1, 0)
        front = f"{name[: size // 3]}…{name[len(name) - (size - size // 3) :]}"
        return name if len(name) <= width else front
    if Text(name).cell_len <= width:
        return name
    head, tail = "", ""
    for size in range(1, len(name)):  # a third in front, two thirds at the end
        front, back = name[: size // 3], name[len(name) - (size - size // 3) :]
        if Text(f"{front}…{back}").cell_len > width:
            break
        head, tail = front, back
    return f"{head}…{tail}"
