"""`fpx range` as tables and a picture."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console, ConsoleOptions, Group, RenderableType
from rich.table import Table
from rich.text import Text

from fpx.core.dyadic import Dyadic
from fpx.core.spec import FormatSpec
from fpx.render.tables import picture_width, plain_table
from fpx.render.text import BAD_STYLE, GOOD_STYLE, LABEL_STYLE, WARNING_STYLE, rounded
from fpx.report.ranges import FormatReport, RangeComparison, RangeReport

_DIGITS = 4
_WIDEST_DRAWN = 8  # exponent bits, where many formats share an axis: wider ones leave it


def range_tables(report: RangeReport) -> RenderableType:
    """Layout, range, precision and number lines of every format: tables that fit 80 columns."""
    layout = _table("Layout", "bits", "exponent", "fraction", "bias", "emin", "emax", "binades")
    values = _table(
        f"Range and precision (rounded to {_DIGITS} digits; exact in --json)",
        "max\nfinite", "smallest\nnormal", "smallest\nsubnormal", "machine\nepsilon",
    )  # fmt: skip
    digits = _table(
        "Digits",
        "precision\nin bits", "unit\nroundoff", "digits10", "max\ndigits10",
        "first missing\ninteger",
    )  # fmt: skip
    for item in report.items:
        spec = item.spec
        layout.add_row(
            spec.name,
            *map(
                str,
                (spec.bits, spec.exponent_bits, spec.fraction_bits, spec.bias, spec.emin,
                 spec.emax),
            ),
            f"{item.dynamic_range_log2:.1f}",
        )  # fmt: skip
        values.add_row(
            spec.name,
            _short(spec.max_finite),
            _short(spec.smallest_normal),
            "none" if spec.smallest_subnormal is None else _short(spec.smallest_subnormal),
            _short(spec.machine_epsilon),
        )
        digits.add_row(
            spec.name,
            str(spec.precision),
            _short(spec.unit_roundoff),
            str(spec.digits10),
            str(spec.max_digits10),
            _integer(spec.first_missing_integer),
        )
    lines = _NumberLines([item.spec for item in report.items])
    return Group(layout, values, digits, Text("Number lines", "italic"), lines, Text())


def format_table(report: FormatReport) -> RenderableType:
    """One format, a line for each constant."""
    table = plain_table(Text(report.format))
    table.add_column("constant")
    table.add_column("value", overflow="fold")
    for key, value in report.constants.items():
        table.add_row(key, str(value))
    return table


def comparison_table(report: RangeComparison) -> RenderableType:
    """What is gained and lost, and both number lines."""
    table = plain_table(Text(f"From {report.old.name} to {report.new.name}", "bold"))
    table.add_column("", no_wrap=True)
    table.add_column("", style=LABEL_STYLE, no_wrap=True)
    table.add_column(report.new.name)
    styles = {"gained": GOOD_STYLE, "lost": BAD_STYLE, "same": LABEL_STYLE}
    for difference in report.differences:
        change = Text(difference.change, styles[difference.change])
        table.add_row(change, difference.what, difference.text)
    lines = _NumberLines([report.old, report.new])
    return Group(table, Text(report.summary), Text(), lines, Text())


class _NumberLines:
    """Where the values of formats lie: normals and subnormals on one log2 axis.

    A line per format: `░` are binades of subnormals, `█` of normals; an arrow leaves the axis.
    """

    def __init__(self, specs: list[FormatSpec]) -> None:
        self._specs = specs
        drawn = specs
        if len(specs) > 2:
            drawn = [spec for spec in specs if spec.exponent_bits <= _WIDEST_DRAWN] or specs
        self._low = min(_lowest(spec) for spec in drawn)
        self._high = max(spec.emax for spec in drawn) + 1

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Text]:
        names = max(len(spec.name) for spec in self._specs)
        width = max(picture_width(options) - names - 3, 10)
        yield Text(f" {'':{names}} ") + self._axis(width)
        for spec in self._specs:
            yield Text.assemble(" ", (f"{spec.name:{names}} ", "bold"), self._line(spec, width))
        yield Text(" log2 of the value: █ normal, ░ subnormal, < > further", LABEL_STYLE)

    def _at(self, exponent: int, width: int) -> int:
        """The column of an exponent; beyond the axis, -1 or `width`."""
        column = (exponent - self._low) * width // (self._high - self._low)
        return min(max(column, -1), width)

    def _line(self, spec: FormatSpec, width: int) -> Text:
        low, normal = self._at(_lowest(spec), width), self._at(spec.emin, width)
        end = max(self._at(spec.emax + 1, width), normal + 1)
        cells = [" "] * width
        for column in range(max(low, 0), min(end, width)):
            cells[column] = "░" if column < normal else "█"
        if low < 0:
            cells[0] = "<"
        if end > width or (self._at(spec.emax + 1, width) == width and spec.emax >= self._high):
            cells[-1] = ">"
        line = Text("".join(cells))
        line.highlight_regex("█+", GOOD_STYLE)
        line.highlight_regex("░+", WARNING_STYLE)
        return line

    def _axis(self, width: int) -> Text:
        """Round exponents above their columns."""
        step = next(
            step
            for power in range(12)
            for step in (10**power, 2 * 10**power, 5 * 10**power)
            if self._at(self._low + step, width) >= 8 or step > self._high - self._low
        )
        cells = [" "] * (width + 8)
        for exponent in range(-(-self._low // step) * step, self._high, step):
            label = str(exponent)
            start = max(self._at(exponent, width) - len(label) // 2, 0)
            cells[start : start + len(label)] = label
        return Text("".join(cells)[:width].rstrip(), LABEL_STYLE)


def _lowest(spec: FormatSpec) -> int:
    """log2 of the smallest positive value."""
    return spec.smallest_positive.log2_floor


def _table(title: str, *columns: str) -> Table:
    table = plain_table(title)
    table.add_column("format", no_wrap=True, style="bold")
    for column in columns:
        table.add_column(column, justify="right", no_wrap=True)
    return table


def _short(value: Dyadic) -> str:
    """The value to a few significant digits, in full where it is short."""
    text = value.decimal
    return text if len(text) <= 9 and "e" not in text else rounded(text, _DIGITS)


def _integer(number: int) -> str:
    """An integer in full, or where that is long as 2^p + 1, which it then is."""
    if number < 10**13:
        return f"{number:,}"
    return f"2^{(number - 1).bit_length() - 1} + 1"
