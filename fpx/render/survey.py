"""One number in many formats or rounding modes, as a table."""

from __future__ import annotations

from rich.console import RenderableType
from rich.text import Text

from fpx.render.tables import plain_table
from fpx.render.text import BAD_STYLE, GOOD_STYLE, LABEL_STYLE, WARNING_STYLE, rounded
from fpx.report.base import exact_text, hex_code
from fpx.report.decode import DecodeReport
from fpx.report.survey import Survey
from fpx.words import quoted

_CODE_SHOWN = 10  # characters: all of a 32-bit code


def survey_table(report: Survey) -> RenderableType:
    """A line for each format and rounding mode."""
    specs = {item.spec for item in report.items}
    modes = {item.rounding for item in report.items}
    title = Text(quoted(report.input).strip("'"), "bold")
    if len(specs) == 1:
        title.append(f" as {report.items[0].format}")
    title.append("  (numbers rounded here, exact in --json)", LABEL_STYLE)
    table = plain_table(title)
    if len(specs) > 1 or report.refused:
        table.add_column("format", no_wrap=True)
    if len(modes) > 1:
        table.add_column("rounding", no_wrap=True)
    table.add_column("code", no_wrap=True)
    table.add_column("value", no_wrap=True)
    both = len(specs) > 1 and len(modes) > 1  # then 80 columns have no room for the error too
    if not both:
        table.add_column("error", no_wrap=True)
    table.add_column("in ulps", no_wrap=True)
    table.add_column("result", no_wrap=True)
    for item in report.items:
        table.add_row(
            *([item.format] if len(specs) > 1 or report.refused else []),
            *([item.rounding.value] if len(modes) > 1 else []),
            *_cells(item, with_error=not both),
        )
    for name, reason in report.refused:
        blank = ["-"] * (len(table.columns) - 2)
        table.add_row(name, *blank, Text(_short(reason, name), LABEL_STYLE))
    return table


def _cells(item: DecodeReport, with_error: bool) -> list[RenderableType]:
    code = hex_code(item.code, item.spec)
    if len(code) > _CODE_SHOWN:
        code = f"{code[: _CODE_SHOWN - 1]}…"
    value = exact_text(item.dyadic, item.sign) or item.shortest
    return [
        code,
        rounded(value),
        *([_error_cell(item.rounding_error, 5)] if with_error else []),
        _error_cell(item.error_ulp, 4),
        _happened(item),
    ]


def _short(reason: str, name: str) -> str:
    return reason.partition(":")[0].removeprefix(f"{name} ")


def _error_cell(error: str | None, digits: int) -> str:
    if error is None:
        return "-"
    shown = rounded(error, digits)
    return shown if shown[0] in "-0" and not shown.startswith("0.") else f"+{shown}"


def _happened(item: DecodeReport) -> Text:
    """The flags that say more than `exact` and `inexact`, or one of those."""
    flags = [flag for flag in item.flags if flag not in ("exact", "inexact")] or [item.flags[0]]
    text = ", ".join(flags)
    if item.rounded.overflow or item.rounded.invalid or item.flags[-1] == "underflow":
        return Text(text, BAD_STYLE)
    return Text(text, GOOD_STYLE if text == "exact" else WARNING_STYLE)
