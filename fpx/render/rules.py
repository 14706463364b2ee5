"""Scale rules side by side, on the screen."""

from __future__ import annotations

import math

from rich.console import Group, RenderableType
from rich.text import Text

from fpx.render.tables import plain_table
from fpx.render.text import BAD_STYLE, GOOD_STYLE
from fpx.report.answers import percent
from fpx.report.rules import RuleComparison, RuleRow


def rules_table(compared: RuleComparison) -> RenderableType:
    """A line on which rule to take, and a row per rule."""
    several = compared.tensors > 1
    table = plain_table(
        Text(f"{compared.target} by scale rule", "bold"), first_out=("total dB", "worst dB")
    )
    table.add_column("rule", no_wrap=True)
    table.add_column("median dB" if several else "SQNR dB", justify="right", no_wrap=True)
    headings = ["clipped blocks", "underflow"]
    if several:
        headings = ["worst dB", "total dB", *headings, "best for", "do not fit"]
    for heading in headings:
        table.add_column(heading, justify="right", no_wrap=True)
    for row in compared.rows:
        table.add_row(*_cells(row, several), style=GOOD_STYLE if row is compared.best else "")
    answer = Text.assemble((f"{compared.target}: ", "bold"), compared.text)
    return Group(answer, Text(), table)


def _cells(row: RuleRow, several: bool) -> list[RenderableType]:
    rates = [percent(row.clipped_block_rate), percent(row.underflow_rate)]
    cells: list[RenderableType] = [row.rule, _decibels(row.median_sqnr_db)]
    if not several:
        return [*cells, *rates]
    unfit = Text(f"{row.unfit:,}", BAD_STYLE if row.unfit else "")
    more = [_decibels(row.worst_sqnr_db), _decibels(row.sqnr_db)]
    return [*cells, *more, *rates, f"{row.best_of:,}", unfit]


def _decibels(value: float) -> str:
    if math.isnan(value):
        return "-"
    return "exact" if value == math.inf else f"{value:.2f}"
