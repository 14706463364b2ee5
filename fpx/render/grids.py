"""Reports as columns and rows: CSV and Markdown."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TextIO

from fpx.render.escapes import csv_cell, markdown
from fpx.render.writers import Setting
from fpx.report.base import Report


def write_csv(reports: Iterable[Report], out: TextIO, setting: Setting) -> None:
    """A line of names, then a line for each row."""
    import csv

    lines = csv.writer(out, lineterminator="\n")
    for columns, rows in _tables(reports):
        if columns:
            lines.writerow(columns)
        lines.writerows([csv_cell(field(cell)) for cell in row] for row in rows)
        setting.shown(out)


def write_markdown(reports: Iterable[Report], out: TextIO, setting: Setting) -> None:
    """A table of all rows."""

    def line(cells: Iterable[object]) -> str:
        return f"| {' | '.join(markdown(field(cell)) for cell in cells)} |\n"

    for columns, rows in _tables(reports):
        if columns:
            out.write(line(columns))
            out.write(f"|{' --- |' * len(columns)}\n")
        for row in rows:
            out.write(line(row))
        setting.shown(out)


def _tables(
    reports: Iterable[Report],
) -> Iterable[tuple[tuple[str, ...], Iterable[tuple[Any, ...]]]]:
    """(columns, rows) of each report; the columns, which all must share, come with the first."""
    columns: tuple[str, ...] | None = None
    for report in reports:
        table = report.table()
        if columns is None:
            columns = table.columns
            yield columns, table.rows
        elif table.columns == columns:
            yield (), table.rows
        else:
            raise ValueError(f"a report with columns {table.columns} after one with {columns}")


def field(cell: object) -> str:
    """A cell as text: None as nothing, true and false as in JSON."""
    if cell is None:
        return ""
    if isinstance(cell, bool):
        return str(cell).lower()
    return str(cell)
