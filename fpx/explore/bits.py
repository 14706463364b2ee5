"""The bits of a number in the formats that show it."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console, ConsoleOptions, RenderableType
from rich.style import Style
from rich.text import Text

from fpx.explore.marks import LEAD, clickable, marked
from fpx.explore.state import Refused, State
from fpx.render.decode import happened, named, value_of
from fpx.render.panel import BitStrip, marked_bits
from fpx.render.text import BAD_STYLE, WARNING_STYLE, Legible
from fpx.report.base import hex_code
from fpx.report.decode import DecodeReport

_SHOWN = 24  # characters of a value
_LEAST = 20  # columns of a reason


def title(state: State) -> Text:
    """What leads: the number, its format, code and value."""
    report = state.report
    code = hex_code(report.code, report.spec)
    text = Text()
    if named(report) != code:
        text.append(f"{named(report)} as ")
    text.append(report.format, "bold").append(f"  {code}  ")
    text.append(value_of(report, report.value_text, Legible(), _SHOWN), "bold")
    text.append("  ").append_text(happened(report))
    return text


def strip(state: State) -> RenderableType:
    """The bits of the format that leads, each of which may be clicked on."""

    def mark(position: int) -> Style:
        return marked(position == state.bit, bit=position)

    return BitStrip(state.report.bit_fields, mark)


def one_line(report: DecodeReport) -> Text:
    """The bits without their positions."""
    return Text(" ").join(marked_bits(field, None) for field in report.bit_fields)


class Others:
    """A line for each format that does not lead, two where that is too short.

    Each says what becomes of the number, and by how many ulps that is off.
    """

    def __init__(self, state: State) -> None:
        self._items = state.others

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Text]:
        names = max((len(item.spec.name) for item in self._items), default=0) + 1
        told = [_told(item) for item in self._items]
        strips = [Text() if isinstance(item, Refused) else one_line(item) for item in self._items]
        room = options.max_width - names
        fits = [
            bits.cell_len
            for bits, says in zip(strips, told, strict=True)
            if bits.cell_len + 2 + says.cell_len <= room
        ]
        column = max(fits, default=0)
        for at, (item, bits, says) in enumerate(zip(self._items, strips, told, strict=True), 1):
            line = Text(f"{item.spec.name:{names}}", "bold")
            if bits.cell_len > column:
                line.append_text(_wrapped(bits, room, names)).append(f"\n{'':{names}}")
            elif bits.cell_len:
                line.append_text(bits).append(" " * (column - bits.cell_len + 2))
            line.append_text(says)
            line.stylize(clickable(**{LEAD: at}))
            yield line


def _wrapped(bits: Text, room: int, indent: int) -> Text:
    """The bits in lines of as many as there is room for."""
    size = max(room, _LEAST)
    pieces = [bits[start : start + size] for start in range(0, bits.cell_len, size)]
    return Text(f"\n{'':{indent}}").join(pieces)


def _told(item: DecodeReport | Refused) -> Text:
    if isinstance(item, Refused):
        return Text(item.reason, BAD_STYLE)
    legible = Legible()
    value = value_of(item, item.value_text, legible)
    text = Text.assemble((value, "bold"), "  ", happened(item))
    ulps = item.error_ulp
    if ulps is not None and ulps.lstrip("-") not in ("0", "inf"):
        text.append(f"  {legible.ulps(ulps, 4)} ulp", WARNING_STYLE)
    return text
