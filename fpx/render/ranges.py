"""`fpx range` as tables."""

from __future__ import annotations

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from fpx.core.dyadic import Dyadic
from fpx.report import FormatReport, RangeReport

_DIGITS = 4


def range_tables(report: RangeReport) -> RenderableType:
    """The layout of every format, then its range: two tables that fit 80 columns."""
    layout = _table("Layout", "bits", "exponent", "fraction", "precision", "bias", "emin", "emax")
    values = _table(
        "Range and precision (rounded to 4 digits; exact in --json)",
        "max finite", "smallest normal", "smallest subnormal", "epsilon",
    )  # fmt: skip
    digits = _table(
        "Digits", "unit roundoff", "digits10", "max digits10", "consecutive integers to"
    )
    for item in report.items:
        spec = item.spec
        layout.add_row(
            spec.name,
            *map(
                str,
                (spec.bits, spec.exponent_bits, spec.fraction_bits, spec.precision, spec.bias,
                 spec.emin, spec.emax),
            ),
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
            _short(spec.unit_roundoff),
            str(spec.digits10),
            str(spec.max_digits10),
            f"{spec.max_consecutive_integer:,}",
        )
    return Group(layout, values, digits)


def format_table(report: FormatReport) -> RenderableType:
    """One format, a line for each constant."""
    table = Table(box=box.SIMPLE_HEAD, title=Text(report.format), title_justify="left")
    table.add_column("constant")
    table.add_column("value", overflow="fold")
    for key, value in report.results()[0].items():
        table.add_row(key, str(value))
    return table


def _table(title: str, *columns: str) -> Table:
    table = Table(
        title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1)
    )
    table.add_column("format", no_wrap=True, style="bold")
    for column in columns:
        table.add_column(column, justify="right")
    return table


def _short(value: Dyadic) -> str:
    """The value to four significant digits, by integer arithmetic (a float could overflow)."""
    text = value.decimal
    if len(text) <= 9 and "e" not in text:
        return text
    numerator, denominator = value.fraction.as_integer_ratio()
    power = _log10_floor(value)
    scale = 10 ** abs(power - _DIGITS + 1)
    if power >= _DIGITS:
        denominator *= scale
    else:
        numerator *= scale
    digits = str((2 * numerator + denominator) // (2 * denominator))
    if len(digits) > _DIGITS:
        power += 1
    digits = digits[:_DIGITS].rstrip("0")
    return f"{digits[0]}{'.' if len(digits) > 1 else ''}{digits[1:]}e{power:+03d}"


def _log10_floor(value: Dyadic) -> int:
    """floor(log10(value)), read off its exact decimal."""
    mantissa, _, exponent = value.decimal.partition("e")
    whole, _, fraction = mantissa.partition(".")
    if whole != "0":
        return int(exponent or 0) + len(whole) - 1
    return int(exponent or 0) - 1 - (len(fraction) - len(fraction.lstrip("0")))
