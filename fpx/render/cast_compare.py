"""`fpx cast-compare` as tables."""

from __future__ import annotations

import math

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from fpx.render.tables import plain_table
from fpx.render.text import BAD_STYLE, GOOD_STYLE, LABEL_STYLE, WARNING_STYLE
from fpx.report.cast_compare import CastReport, CastRow, Location
from fpx.words import escape

_ROWS = 20
_LONGEST_NAME = 80


def cast_tables(report: CastReport, limit: int = _ROWS) -> RenderableType:
    """Rows (the worst first, if they are many), totals, and where it hurts most."""
    many = len(report.rows) > limit
    rows = report.worst_first()[:limit] if many else list(report.rows)
    with_device = any(row.device_mismatch_count is not None for row in report.rows)
    table = plain_table()
    table.add_column("tensor", overflow="fold", min_width=11)
    one_target = len(report.totals) == 1  # then the heading names it, and names get its room
    if not one_target:
        table.add_column("to", no_wrap=True)
    for column in ("count", "overflow", "under-\nflow", "sub-\nnormal", "max\nulp", "SQNR\ndB"):
        table.add_column(column, justify="right", no_wrap=True)
    if with_device:
        table.add_column("differs\nfrom CPU", justify="right")
    for row in rows:
        table.add_row(*_cells(row, one_target, with_device))
    if len(report.rows) > len(report.totals) or report.partial:
        table.add_section()
        for row in report.totals:
            cells = _cells(row, one_target, with_device)
            if report.partial:
                cells[0] = "(partial)"
            table.add_row(*cells, style="bold")
    parts: list[RenderableType] = [_heading(report), table]
    if many:
        hidden = len(report.rows) - limit
        parts.append(Text(f"The worst {limit} rows; {hidden:,} more in --json or with --top.\n"))
    places = [line for row in report.totals for line in _places(row)]
    if places:
        parts.append(_places_table(places))
    return Group(*parts)


def _heading(report: CastReport) -> Text:
    origins = sorted({row.from_ for row in report.rows})
    library = f"torch {report.details.get('torch')}"
    device = escape(str(report.details.get("device", "")))
    targets = ", ".join(row.to for row in report.totals)
    what = f"{', '.join(origins)} to {targets}" if origins else "nothing"
    return Text(f"{what}, cast by {library} on {device}", LABEL_STYLE)


def _cells(row: CastRow, one_target: bool, with_device: bool) -> list[RenderableType]:
    lost = row.overflow_count + row.unexpected_nonfinite_count
    cells: list[RenderableType] = [
        _name(row),
        *([] if one_target else [row.to]),
        f"{row.count:,}",
        _counted(lost, BAD_STYLE),
        _counted(row.underflow_count, WARNING_STYLE),
        _counted(row.subnormal_count, WARNING_STYLE),
        _number(row.max_error_ulp),
        _decibels(row.sqnr_db),
    ]
    if with_device:
        cells.append(_counted(row.device_mismatch_count or 0, BAD_STYLE))
    return cells


def _name(row: CastRow) -> str:
    name = escape(row.tensor)
    return name if len(name) <= _LONGEST_NAME else f"{name[:16]}…{name[-(_LONGEST_NAME - 17) :]}"


def _counted(count: int, style: str) -> Text:
    return Text(f"{count:,}", style if count else LABEL_STYLE)


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


_PLACES = (
    ("first overflow", "first_overflow"),
    ("max error", "max_abs_error_at"),
    ("max relative error", "max_rel_error_at"),
    ("max error in ulps", "max_error_ulp_at"),
    ("first difference from CPU", "first_device_mismatch"),
)


def _places(total: CastRow) -> list[tuple[str, str, str, Location]]:
    return [
        (total.to, label, _measure(total, attribute), at)
        for label, attribute in _PLACES
        if (at := getattr(total, attribute)) is not None
    ]


def _measure(total: CastRow, attribute: str) -> str:
    metric = attribute.removesuffix("_at")
    return _number(getattr(total, metric)) if attribute.endswith("_at") else ""


def _places_table(places: list[tuple[str, str, str, Location]]) -> Table:
    table = plain_table("Where")
    table.add_column("to", no_wrap=True)
    table.add_column("what")
    table.add_column("size", justify="right", no_wrap=True)
    table.add_column("tensor and index", overflow="fold")
    table.add_column("value -> result", overflow="fold")
    for target, label, size, at in places:
        index = ", ".join(map(str, at.index))
        table.add_row(
            target,
            label,
            size,
            f"{escape(at.tensor)}[{index}]",
            f"{_shown(at.value)} -> {_shown(at.result)}",
        )
    return table


def _shown(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:.9g}"
