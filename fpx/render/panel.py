"""What panels on one code are made of: the frame with its title, and the bits."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from rich import box
from rich.console import Console, ConsoleOptions, RenderableType
from rich.measure import Measurement
from rich.panel import Panel
from rich.style import StyleType
from rich.text import Text

from fpx.render.text import EXPONENT_STYLE, FRACTION_STYLE, LABEL_STYLE, SIGN_STYLE
from fpx.report.decode import BitField


class Titled:
    """A panel with its title in the frame, or above it where that is too narrow."""

    def __init__(self, title: Text, content: RenderableType) -> None:
        self._title, self._content = title, content

    def __rich_console__(
        self, console: Console, options: ConsoleOptions
    ) -> Iterator[RenderableType]:
        inside = self._title.cell_len + 6 <= options.max_width
        if not inside:
            yield self._title
        yield Panel(
            self._content,
            title=self._title if inside else None,
            title_align="left",
            box=box.ROUNDED,
            expand=False,
            padding=(0, 1),
        )


class Labelled:
    """Lines of a label and what it is of; what is too long goes on below, beside no label.

    A grid of two columns without its cost: rich renders and measures each cell of a table.
    """

    def __init__(self, rows: Iterable[tuple[str, Text | str]]) -> None:
        self._rows = [
            (label, cell if isinstance(cell, Text) else Text(cell)) for label, cell in rows
        ]
        self._indent = max(len(label) for label, _ in self._rows) + 2

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        longest = max(cell.cell_len for _, cell in self._rows)
        return Measurement(self._indent + 1, self._indent + longest)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Text]:
        width = max(options.max_width - self._indent, 1)
        for label, cell in self._rows:
            fits = cell.cell_len <= width
            for line in [cell] if fits else cell.wrap(console, width, overflow="fold"):
                yield Text.assemble((label.ljust(self._indent), LABEL_STYLE), line)
                label = ""


FIELDS = {
    "sign": (SIGN_STYLE, ("s",)),
    "exponent": (EXPONENT_STYLE, ("exponent", "exp", "e")),
    "fraction": (FRACTION_STYLE, ("fraction", "frac", "f")),
}
"""Field of a code -> its style, and its names from long to short."""


class BitStrip:
    """Bit positions, the bits, and a ruler that names the fields; more than one where needed.

    Args:
        fields: of the code.
        mark: gives the style of a bit beside that of its field, by its position.
    """

    def __init__(
        self, fields: Sequence[BitField], mark: Callable[[int], StyleType] | None = None
    ) -> None:
        self._fields, self._mark = fields, mark
        bits = fields[0].top + 1
        self._choices = [bits, *(size for size in (64, 32, 16, 8) if size < bits)]

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        widths = [max(map(_strip_width, self._rows(size))) for size in self._choices]
        return Measurement(min(widths), widths[0])

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Text]:
        for size in self._choices:
            rows = self._rows(size)
            if max(map(_strip_width, rows)) <= options.max_width:
                break
        for number, row in enumerate(rows):
            if number:
                yield Text()
            yield _strip(row, self._mark)

    def _rows(self, size: int) -> list[list[BitField]]:
        """The fields cut below every bit whose position is a multiple of `size`."""
        rows: dict[int, list[BitField]] = {}
        for name, bits, top in self._fields:
            while bits:
                count = top % size + 1
                rows.setdefault(top // size, []).append(BitField(name, bits[:count], top))
                bits, top = bits[count:], top - count
        return list(rows.values())


def _place(field: BitField) -> str:
    """The positions of its first and last bit, above them; of a short one that of the first."""
    width = len(field.bits)
    first, last = str(field.top), str(field.top - width + 1)
    return first.ljust(width - len(last)) + last if width > len(first) + len(last) else first


def _strip_width(fields: Sequence[BitField]) -> int:
    return sum(max(len(field.bits), len(_place(field))) + 1 for field in fields) - 1


def marked_bits(field: BitField, mark: Callable[[int], StyleType] | None) -> Text:
    """The bits of a field in its style, each with its mark."""
    text = Text(field.bits, FIELDS[field.name][0])
    if mark is not None:
        for at in range(len(field.bits)):
            text.stylize(mark(field.top - at), at, at + 1)
    return text


def _strip(fields: Sequence[BitField], mark: Callable[[int], StyleType] | None) -> Text:
    positions, strip, brackets, names = Text(), Text(), Text(), Text()
    for field in fields:
        style, labels = FIELDS[field.name]
        width = len(field.bits)
        place = _place(field)
        cell = max(width, len(place))
        rule = "│" if width == 1 else f"└{'─' * (width - 2)}┘"
        label = next((name for name in labels if len(name) <= cell), labels[-1])
        positions.append(f"{place:>{cell}} ", LABEL_STYLE)
        strip.append(" " * (cell - width)).append_text(marked_bits(field, mark)).append(" ")
        brackets.append(f"{rule:>{cell}} ", style)
        names.append(f"{label:^{cell}} " if cell > 2 else f"{label:>{cell}} ", style)
    lines = (positions, strip, brackets, names)
    for line in lines:
        line.rstrip()
    return Text("\n").join(lines)
