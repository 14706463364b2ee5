"""One number in many formats or rounding modes, as a table."""

from __future__ import annotations

import re

from rich.console import RenderableType
from rich.text import Text

from fpx.render.decode import happened, unusual_modes
from fpx.render.side_by_side import code_pieces
from fpx.render.tables import plain_table
from fpx.render.text import LABEL_STYLE, Legible, rounded
from fpx.report.base import hex_code
from fpx.report.decode import DecodeReport
from fpx.report.survey import Survey
from fpx.words import shortened

_CODE_LINE = 18  # characters: all of a 64-bit code; longer ones go on in the next line


def survey_table(report: Survey) -> RenderableType:
    """A line for each format and rounding mode."""
    specs = {item.spec for item in report.items}
    modes = {item.rounding for item in report.items}
    title = Text(shortened(report.input), "bold")
    if len(specs) == 1:
        title.append(f" as {report.items[0].format}")
    for name, value in unusual_modes(report.items[0]):
        if name != "rounding" or len(modes) == 1:
            title.append(f"  {name} {value}", LABEL_STYLE)
    title.append("  (numbers rounded here, exact in --json)", LABEL_STYLE)
    longest = max(2 + item.spec.code_digits for item in report.items)
    table = plain_table(title, first_out=("error", "in ulps", "result", "code"))
    if len(specs) > 1 or report.refused:
        table.add_column("format", no_wrap=True)
    if len(modes) > 1:
        table.add_column("rounding", no_wrap=True)
    table.add_column("code", min_width=min(longest, _CODE_LINE))
    table.add_column("value", no_wrap=True)
    table.add_column("error", no_wrap=True)
    table.add_column("in ulps", no_wrap=True)
    table.add_column("result", no_wrap=True)
    for item in report.items:
        table.add_row(
            *([item.format] if len(specs) > 1 or report.refused else []),
            *([item.rounding.value] if len(modes) > 1 else []),
            *_cells(item),
        )
    for name, reason in report.refused:
        blank = ["-"] * (len(table.columns) - 2)
        table.add_row(name, *blank, Text(_short(reason, name), LABEL_STYLE))
    return table


def _cells(item: DecodeReport) -> list[RenderableType]:
    return [
        code_pieces(hex_code(item.code, item.spec)),
        rounded(item.value_text),
        _error_cell(item.rounding_error, 5),
        Legible().ulps(item.error_ulp, 4, 6),
        happened(item),
    ]


def _short(reason: str, name: str) -> str:
    """A reason without what is there already, number and format, and without the remedy."""
    said = re.split("[:;]", re.sub(r"^'[^']*': ", "", reason))[0]
    return said.removeprefix(f"{name} ").removesuffix(f" of {name}")


def _error_cell(error: str | None, digits: int) -> str:
    if error is None:
        return "-"
    shown = rounded(error, digits)
    return shown if shown[0] in "-0" and not shown.startswith("0.") else f"+{shown}"
