"""`fpx table` as a grid or a list."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from rich.console import Console, ConsoleOptions, RenderableType
from rich.style import StyleType
from rich.table import Table
from rich.text import Text

from fpx.core.codec import Classification
from fpx.core.spec import FormatSpec
from fpx.render.side_by_side import code_pieces
from fpx.render.tables import plain_table
from fpx.render.text import (
    BAD_STYLE,
    GOOD_STYLE,
    LABEL_STYLE,
    ROUNDED_HERE,
    WARNING_STYLE,
    Legible,
    rounded,
)
from fpx.report.base import hex_code
from fpx.report.element_table import ElementTable
from fpx.report.table import CodeRow, Grid, TableReport

EXACT_SHOWN = 7  # characters: eight columns fit 80
_LIST_SHOWN = 40  # characters of a value in a list
_NARROW = 4  # max_digits10 of formats whose longer values are rounded to that many digits
_STYLES = {
    Classification.ZERO: GOOD_STYLE,
    Classification.SUBNORMAL: WARNING_STYLE,
    Classification.INFINITY: BAD_STYLE,
    Classification.NAN: BAD_STYLE,
    Classification.QUIET_NAN: BAD_STYLE,
    Classification.SIGNALING_NAN: BAD_STYLE,
}


_NAMES = {
    Classification.NAN: "NaN",
    Classification.QUIET_NAN: "NaN",
    Classification.SIGNALING_NAN: "sNaN",
}


def table_report(report: TableReport) -> RenderableType:
    """The list of codes around a value, or the whole format as a grid."""
    if report.too_many is not None:
        return Text(report.too_many)
    return table_list(report) if report.centre is not None else CodeGrid(report.spec, report.grid)


def table_list(report: TableReport) -> RenderableType:
    """One line per code."""
    spec = report.spec
    if report.too_many is not None:
        return Text(report.too_many)
    title, legible = Text(spec.name, "bold"), Legible()
    pattern = "s-exponent-fraction" if spec.signed else "exponent-fraction"
    table = plain_table(title, first_out=(pattern, "class"))
    table.add_column("code")
    if spec.bits <= 24:
        table.add_column(pattern, no_wrap=True)
    table.add_column("class", no_wrap=True)
    table.add_column("value", no_wrap=True)
    for row in report.rows:
        kind = row.classification
        bits = [row.split_bits] if spec.bits <= 24 else []
        style = "reverse" if row.code == report.centre else _STYLES.get(kind, "")
        value = legible(row.value, max(spec.max_digits10, 4), _LIST_SHOWN)
        code = code_pieces(row.hex, 8)
        table.add_row(code, *bits, kind.value.replace("_", " "), value, style=style)
    if legible.rounds:
        title.append(f"  {ROUNDED_HERE}", LABEL_STYLE)
    return table


def element_list(report: ElementTable) -> RenderableType:
    """One line per code of an element, beside a scale what it is there."""
    legible, scaled = Legible(), report.scale_code is not None
    title = Text(report.name, "bold")
    if report.target is not None:
        title.append(f": {report.target.says}", LABEL_STYLE)
    table = plain_table(title, first_out=("bits",))
    for name in ("code", "bits", "element"):
        table.add_column(name, no_wrap=True, justify="right" if name == "element" else "left")
    if scaled:
        table.add_column(f"× scale {report.scale_hex}", no_wrap=True, justify="right")
    for row in report.rows:
        own = [legible(row.value, 9, _LIST_SHOWN)]
        if row.scaled_value is not None:
            own.append(legible(row.scaled_value, 9, _LIST_SHOWN))
        table.add_row(row.hex, row.bits, *own)
    if legible.rounds:
        title.append(f"  {ROUNDED_HERE}", LABEL_STYLE)
    return table


class CodeGrid:
    """All values of a format by exponent and fraction, in as many blocks as the width asks for.

    Args:
        spec, grid: the format, and its codes.
        mark: gives the style of a code beside that of its class.
    """

    def __init__(
        self, spec: FormatSpec, grid: Grid, mark: Callable[[CodeRow], StyleType] | None = None
    ) -> None:
        self._spec, self._grid, self._mark = spec, grid, mark

    def __rich_console__(
        self, console: Console, options: ConsoleOptions
    ) -> Iterator[RenderableType]:
        grid = self._grid
        columns = [[self._cell(row) for row in column] for column in zip(*grid.rows, strict=True)]
        label = max(grid.down_bits + 1, 4)
        widths = [max(len(cell.plain) for cell in column) for column in columns]
        room = options.max_width - label - 3
        fitting = max(1, room // (max(*widths, grid.across_bits) + 2))
        per_block = 1 << (fitting.bit_length() - 1)  # a power of two, so that blocks look alike
        across = range(len(columns))
        yield Text.assemble((self._spec.name, "bold"), f": {grid.down} down, {grid.across} across")
        for start in range(0, len(columns), per_block):
            yield self._block(across[start : start + per_block], columns)
        yield Text(self._footnote(), LABEL_STYLE)

    def _block(self, block: range, columns: Sequence[list[Text]]) -> Table:
        grid = self._grid
        table = plain_table()
        table.add_column("", style=LABEL_STYLE, no_wrap=True)
        for at in block:
            table.add_column(f"{at:0{grid.across_bits}b}", justify="right", no_wrap=True)
        for down in range(len(grid.rows)):
            table.add_row(
                f"{down:0{grid.down_bits}b}" if grid.down_bits else "",
                *(columns[at][down] for at in block),
            )
        return table

    def _cell(self, row: CodeRow) -> Text:
        kind = row.classification
        text = Text(_NAMES.get(kind) or readable(row), _STYLES.get(kind, ""))
        if self._mark is not None:
            text.stylize(self._mark(row))
        return text

    def _footnote(self) -> str:
        spec = self._spec
        notes = []
        if any(len(row.value) > EXACT_SHOWN for line in self._grid.rows for row in line):
            notes.append(f"Long values are rounded to {_digits(spec)} digits, exact in --json.")
        if spec.signed:
            notes.append("Codes with the sign bit set are the same values, negative")
            if spec.has_negative_zero:
                notes[-1] += "."
            else:
                assert spec.nan_code is not None
                notes[-1] += f", but for {hex_code(spec.nan_code, spec)}, which is NaN."
        return " ".join(notes)


def readable(row: CodeRow) -> str:
    """The exact value where it is short, else enough digits to tell it from its neighbours.

    The shortest decimal alone would not do: that of float8_e4m3fn's 448 is 450.
    """
    exact = row.value
    if len(exact) <= EXACT_SHOWN:
        return exact
    narrow = row.spec.max_digits10 <= _NARROW
    return rounded(exact, _digits(row.spec)) if narrow else row.shortest


def _digits(spec: FormatSpec) -> int:
    """Digits that tell the values of a narrow format apart, and no fewer than three."""
    return max(spec.max_digits10, 3)
