"""`fpx table` as a grid, a list or CSV."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Console, ConsoleOptions, RenderableType
from rich.table import Table
from rich.text import Text

from fpx.core import codec
from fpx.core.codec import Classification
from fpx.core.shortest import shortest_decimal
from fpx.core.spec import FormatSpec
from fpx.render.tables import plain_table
from fpx.render.text import BAD_STYLE, GOOD_STYLE, LABEL_STYLE, WARNING_STYLE, brief, rounded
from fpx.report.base import exact_text, hex_code
from fpx.report.table import TableReport

EXACT_SHOWN = 7  # characters: eight columns fit 80
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
    return table_list(report) if report.centre is not None else _Grid(report.spec)


def table_list(report: TableReport) -> RenderableType:
    """One line per code."""
    spec = report.spec
    table = plain_table(Text(spec.name, "bold"))
    table.add_column("code", no_wrap=True)
    if spec.bits <= 24:
        table.add_column("s-exponent-fraction" if spec.signed else "exponent-fraction")
    table.add_column("class", no_wrap=True)
    table.add_column("exact value", overflow="fold")
    for code in report.codes:
        kind = codec.classify(code, spec)
        bits = [_split(code, spec)] if spec.bits <= 24 else []
        style = "reverse" if code == report.centre else _STYLES.get(kind, "")
        table.add_row(
            hex_code(code, spec), *bits, kind.value.replace("_", " "),
            brief(_exact(code, spec), 40), style=style,
        )  # fmt: skip
    return table


def table_csv(report: TableReport) -> Iterator[str]:
    """Lines of CSV; no field needs quotes."""
    yield ",".join(report.KEYS)
    for entry in report.results():
        yield ",".join(str(entry[key]) for key in report.KEYS)


class _Grid:
    """All values of a format by exponent and fraction, as specifications print them.

    The shorter of the two fields runs across; a format without fraction is cut after three bits of
    its exponent.
    """

    def __init__(self, spec: FormatSpec) -> None:
        self._spec = spec
        self._across_is_fraction = 0 < spec.fraction_bits <= spec.exponent_bits
        if spec.fraction_bits == 0:
            self._across_bits = min(3, spec.exponent_bits)
        else:
            self._across_bits = min(spec.fraction_bits, spec.exponent_bits)
        self._down_bits = spec.exponent_bits + spec.fraction_bits - self._across_bits

    def __rich_console__(
        self, console: Console, options: ConsoleOptions
    ) -> Iterator[RenderableType]:
        spec = self._spec
        across = range(1 << self._across_bits)
        columns = [[self._cell(down, at) for down in range(1 << self._down_bits)] for at in across]
        label = max(self._down_bits + 1, 4)
        widths = [max(len(cell.plain) for cell in column) for column in columns]
        room = options.max_width - label - 3
        fitting = max(1, room // (max(*widths, self._across_bits) + 2))
        per_block = 1 << (fitting.bit_length() - 1)  # a power of two, so that blocks look alike
        blocks = [across[at : at + per_block] for at in range(0, len(across), per_block)]
        yield Text.assemble((spec.name, "bold"), self._legend())
        for block in blocks:
            yield self._block(block, columns)
        yield Text(self._footnote(), LABEL_STYLE)

    def _block(self, block: range, columns: Sequence[list[Text]]) -> Table:
        table = plain_table()
        table.add_column("", style=LABEL_STYLE, no_wrap=True)
        for at in block:
            table.add_column(f"{at:0{self._across_bits}b}", justify="right", no_wrap=True)
        for down in range(1 << self._down_bits):
            table.add_row(
                f"{down:0{self._down_bits}b}" if self._down_bits else "",
                *(columns[at][down] for at in block),
            )
        return table

    def _cell(self, down: int, at: int) -> Text:
        spec = self._spec
        if self._across_is_fraction or not spec.fraction_bits:
            magnitude = down << self._across_bits | at
        else:
            magnitude = at << spec.fraction_bits | down
        kind = codec.classify(magnitude, spec)
        text = _NAMES.get(kind) or readable(magnitude, spec)
        return Text(text, _STYLES.get(kind, ""))

    def _legend(self) -> str:
        if not self._spec.fraction_bits:
            return ": the exponent's high bits down, its low bits across"
        if self._across_is_fraction:
            return ": exponent bits down, fraction bits across"
        return ": fraction bits down, exponent bits across"

    def _footnote(self) -> str:
        spec = self._spec
        notes = []
        if any(
            len(item) > EXACT_SHOWN
            for item in (_exact(code, spec) for code in range(spec.magnitude_mask))
        ):
            notes.append(f"Long values are rounded to {_digits(spec)} digits, exact with --list.")
        if spec.signed:
            notes.append("Codes with the sign bit set are the same values, negative")
            if spec.has_negative_zero:
                notes[-1] += "."
            else:
                assert spec.nan_code is not None
                notes[-1] += f", but for {hex_code(spec.nan_code, spec)}, which is NaN."
        return " ".join(notes)


def readable(code: int, spec: FormatSpec) -> str:
    """The exact value where it is short, else enough digits to tell it from its neighbours.

    The shortest decimal alone would not do: that of float8_e4m3fn's 448 is 450.
    """
    exact = _exact(code, spec)
    if len(exact) <= EXACT_SHOWN:
        return exact
    narrow = spec.max_digits10 <= _NARROW
    return rounded(exact, _digits(spec)) if narrow else shortest_decimal(code, spec)


def _exact(code: int, spec: FormatSpec) -> str:
    """The exact value, `inf` or `nan`."""
    value = exact_text(codec.decode(code, spec), int(bool(code & spec.sign_mask)))
    return value or shortest_decimal(code, spec)


def _digits(spec: FormatSpec) -> int:
    """Digits that tell the values of a narrow format apart, and no fewer than three."""
    return max(spec.max_digits10, 3)


def _split(code: int, spec: FormatSpec) -> str:
    """The bits with a dash between the fields."""
    bits = f"{code:0{spec.bits}b}"
    ends = (int(spec.signed), int(spec.signed) + spec.exponent_bits)
    parts = (bits[: ends[0]], bits[ends[0] : ends[1]], bits[ends[1] :])
    return "-".join(part for part in parts if part)
