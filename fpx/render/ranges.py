"""`fpx range` as tables and a picture."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from fpx.core.dyadic import Dyadic
from fpx.core.numbers import fraction_text
from fpx.render.number_lines import NumberLines
from fpx.render.tables import plain_table
from fpx.render.text import BAD_STYLE, GOOD_STYLE, LABEL_STYLE, rounded
from fpx.report.ranges import FormatReport, RangeComparison
from fpx.report.scaled_range import RangeReport, ScaledRange

_DIGITS = 4


def range_tables(report: RangeReport) -> RenderableType:
    """Tables that fit 80 columns: of formats of single numbers, then of those with scales."""
    plain = [item for item in report.items if isinstance(item, FormatReport)]
    scaled = [item for item in report.items if isinstance(item, ScaledRange)]
    return Group(*(_plain(plain) if plain else ()), *(_scaled(scaled) if scaled else ()))


def _plain(items: Sequence[FormatReport]) -> Iterator[RenderableType]:
    """Layout, range, precision and number lines."""
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
    for item in items:
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
    lines = NumberLines([item.spec for item in items])
    yield from (layout, values, digits, Text("Number lines", "italic"), lines, Text())


def _scaled(items: Sequence[ScaledRange]) -> Iterator[RenderableType]:
    """The range of numbers with scales, of one block, and their elements."""
    beside = [item.format for item in items if item.spec.global_scale is not None]
    at = f"; {', '.join(beside)} at a global scale of 1" if beside else ""
    values = _table(
        f"Numbers with scales (rounded to {_DIGITS} digits; exact in --json{at})",
        "bits\neach", "numbers\nper scale", "largest", "smallest", "binades",
        "... in one\nblock",
    )  # fmt: skip
    parts = _table("Their elements and scales", "element", "largest", "smallest", "epsilon")
    parts.add_column("scale", no_wrap=True)
    for item in items:
        epsilon, shared = item.machine_epsilon, item.numbers_per_scale
        values.add_row(
            item.format, f"{item.spec.bits_per_element:g}",
            item.spec.reach.scope.value if shared is None else str(shared),
            _few(item.max_finite), _few(item.smallest_positive),
            f"{item.constants['dynamic_range_log2']:.1f}",
            f"{item.constants['block_range_log2']:.1f}",
        )  # fmt: skip
        parts.add_row(
            item.format, item.spec.element.name, _few(item.element_max),
            _few(item.element_smallest), "-" if epsilon is None else _few(epsilon),
            item.spec.scale.name,
        )  # fmt: skip
    yield from (values, parts)


def format_table(report: FormatReport | ScaledRange) -> RenderableType:
    """One format, a line for each constant."""
    table = plain_table(Text(report.format))
    table.add_column("constant")
    table.add_column("value", overflow="fold")
    for key, value in report.constants.items():
        if value is None and isinstance(report, ScaledRange):
            continue
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
    lines = NumberLines([report.old, report.new])
    return Group(table, Text(report.summary), Text(), lines, Text())


def _table(title: str, *columns: str) -> Table:
    table = plain_table(title)
    table.add_column("format", no_wrap=True, style="bold")
    for column in columns:
        table.add_column(column, justify="right", no_wrap=True)
    return table


def _short(value: Dyadic) -> str:
    """The value to a few significant digits, in full where it is short."""
    return _few(value.fraction)


def _few(value: Fraction) -> str:
    text = fraction_text(value)
    return text if len(text) <= 9 and "e" not in text else rounded(text, _DIGITS)


def _integer(number: int) -> str:
    """An integer in full, or where that is long as 2^p + 1, which it then is."""
    if number < 10**13:
        return f"{number:,}"
    return f"2^{(number - 1).bit_length() - 1} + 1"
