"""`fpx distance` as a table."""

from __future__ import annotations

from rich.console import RenderableType
from rich.text import Text

from fpx.core.dyadic import integer_text
from fpx.render.tables import plain_table
from fpx.render.text import LABEL_STYLE, rounded
from fpx.report.base import exact_text, hex_code
from fpx.report.distance import DistanceReport, Distances
from fpx.words import quoted

_CODE_LINE = 18  # characters: all of a 64-bit code; longer ones may fold
_STEPS = 22  # characters: the number of all steps in float64
_DIFFERENCE = 18  # characters of a line of the exact difference
_EXACT_SHOWN = 54  # characters of a difference: beyond three lines it is rounded
_COMMAS = 10**21


def distances_table(report: Distances) -> RenderableType:
    """One line per format."""
    first = report.items[0]
    title = Text.assemble(
        ("from ", LABEL_STYLE), quoted(first.first.input).strip("'"),
        (" to ", LABEL_STYLE), quoted(first.second.input).strip("'"),
    )  # fmt: skip
    table = plain_table(title, first_out=("values between", "difference", "from", "to"))
    table.add_column("format", no_wrap=True)
    longest = max(2 + item.first.spec.code_digits for item in report.items)
    for column in ("from", "to"):
        table.add_column(column, min_width=min(longest, _CODE_LINE))
    longest = max(len(_signed(item.steps)) for item in report.items)
    table.add_column("steps", justify="right", min_width=min(longest, _STEPS))
    table.add_column("values\nbetween", justify="right", no_wrap=True)
    table.add_column("difference", justify="right", min_width=_DIFFERENCE)
    for item in report.items:
        values = _told_apart(item.first.value_text, item.second.value_text)
        codes = (hex_code(end.code, end.spec) for end in (item.first, item.second))
        table.add_row(
            item.format,
            *(f"{value}\n{code}" for value, code in zip(values, codes, strict=True)),
            _signed(item.steps),
            _grouped(item.between),
            _difference(item),
        )
    return table


def _told_apart(first: str, second: str) -> tuple[str, str]:
    """Two exact values to as few digits, seven at least, as show that they differ."""
    digits = 7
    while rounded(first, digits) == rounded(second, digits) and first != second:
        digits += 1
    return rounded(first, digits), rounded(second, digits)


def _signed(steps: int) -> str:
    return ("+" if steps > 0 else "") + _grouped(steps)


def _grouped(count: int) -> str:
    """A count in full, with commas while that helps to read it."""
    return f"{count:,}" if abs(count) < _COMMAS else integer_text(count)


def _difference(item: DistanceReport) -> str:
    exact = exact_text(item.difference)
    if exact is None:
        return "infinite"
    return exact if len(exact) <= _EXACT_SHOWN else f"≈ {rounded(exact, 12)}"


def distance_table(report: DistanceReport) -> RenderableType:
    """One format."""
    return distances_table(Distances((report,)))
