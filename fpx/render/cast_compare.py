"""`fpx cast-compare` as tables."""

from __future__ import annotations

import math
from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from fpx.render.tables import plain_table
from fpx.render.text import BAD_STYLE, GOOD_STYLE, LABEL_STYLE, WARNING_STYLE
from fpx.report.cast_compare import CastReport, CastRow, Column, Place, Severity
from fpx.report.metrics import ELEMENTS
from fpx.words import escape

_ROWS = 20
_LONGEST_NAME = 80
_STYLES = {Severity.NONE: "", Severity.WARNING: WARNING_STYLE, Severity.BAD: BAD_STYLE}


def cast_tables(report: CastReport, limit: int = _ROWS) -> RenderableType:
    """Rows (the worst first, if they are many), totals, and where it hurts most."""
    rows, columns = report.shown(limit), report.columns()
    # what is the same in all rows, the heading says, and names get the room
    named = {"to": len(report.totals) > 1, "by": len(report.backends) > 1}
    table = plain_table()
    table.add_column("tensor", overflow="fold", min_width=11)
    for heading, shown in named.items():
        if shown:
            table.add_column(heading, no_wrap=True)
    for column in columns:
        table.add_column(column.heading, justify="right", no_wrap=True)
    for row in rows:
        table.add_row(_name(row), *_cells(row, named, columns))
    if len(report.rows) > len(report.totals) or report.partial:
        table.add_section()
        for row in report.totals:
            name = "(partial)" if report.partial else _name(row)
            table.add_row(name, *_cells(row, named, columns), style="bold")
    parts: list[RenderableType] = [_heading(report), table]
    if len(rows) < len(report.rows):
        hidden = len(report.rows) - len(rows)
        parts.append(
            Text(f"The worst {len(rows)} rows; {hidden:,} more in --json or with --top.\n")
        )
    places = report.places()
    if places:
        parts.append(_places_table(places))
    return Group(*parts)


def _heading(report: CastReport) -> Text:
    origins = sorted({row.from_ for row in report.rows})
    targets = ", ".join(row.to for row in report.totals)
    what = f"{', '.join(origins)} to {targets}" if origins else "nothing"
    by = f"cast by {' and '.join(report.casters)} on {report.details.device}"
    return Text(escape(f"{what}, {by}" if origins else what), LABEL_STYLE)


def _cells(row: CastRow, named: dict[str, bool], columns: Sequence[Column]) -> list[RenderableType]:
    names = [
        name for name, shown in zip((row.to, row.backend), named.values(), strict=True) if shown
    ]
    return [*names, *(_cell(column, row) for column in columns)]


def _cell(column: Column, row: CastRow) -> RenderableType:
    value = column.value(row)
    if column.unit == "dB":
        return _decibels(value)
    if column.unit != ELEMENTS:
        return _number(value)
    if column.severity is Severity.NONE:
        return f"{value:,}"
    return Text(f"{value:,}", _STYLES[column.severity] if value else LABEL_STYLE)


def _name(row: CastRow) -> str:
    name = escape(row.tensor)
    return name if len(name) <= _LONGEST_NAME else f"{name[:16]}…{name[-(_LONGEST_NAME - 17) :]}"


def _number(value: float) -> str:
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    return f"{value:.3g}" if 1e-3 <= value < 1e6 else f"{value:.2e}"


def _decibels(value: float) -> Text:
    if math.isnan(value):
        return Text("-")
    if math.isinf(value):
        return Text("exact", GOOD_STYLE) if value > 0 else Text("-inf", BAD_STYLE)
    return Text(f"{value:.2f}")


def _places_table(places: Sequence[Place]) -> Table:
    table = plain_table("Where")
    table.add_column("to", no_wrap=True)
    table.add_column("what")
    table.add_column("size", justify="right", no_wrap=True)
    table.add_column("tensor and index", overflow="fold")
    table.add_column("value -> result", overflow="fold")
    for to, what, size, at in places:
        index = ", ".join(map(str, at.index))
        table.add_row(
            to,
            what,
            "" if size is None else _number(size),
            f"{escape(at.tensor)}[{index}]",
            f"{_shown(at.value)} -> {_shown(at.result)}",
        )
    return table


def _shown(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:.9g}"
