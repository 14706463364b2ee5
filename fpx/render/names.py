"""Names of tensors in tables: whole where there is room, else shortened in the middle."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console, ConsoleOptions
from rich.measure import Measurement
from rich.text import Text

from fpx.words import escape

_LEAST = 16
"""Columns that a long name keeps."""


class Name:
    """A name out of a file, escaped.

    A terminal that is too narrow for it shows its beginning and its end; where lines have no limit
    it is whole.
    """

    def __init__(self, name: str) -> None:
        self._name = escape(name)

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        whole = Text(self._name).cell_len
        return Measurement(min(whole, _LEAST), whole)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Text]:
        yield Text(shortened(self._name, options.max_width), no_wrap=True)


def shortened(name: str, width: int) -> str:
    """A name in at most so many columns, `…` for what is left out of its middle."""
    if Text(name).cell_len <= width:
        return name
    head, tail = "", ""
    for size in range(1, len(name)):  # a third in front, two thirds at the end
        front, back = name[: size // 3], name[len(name) - (size - size // 3) :]
        if Text(f"{front}…{back}").cell_len > width:
            break
        head, tail = front, back
    return f"{head}…{tail}"
