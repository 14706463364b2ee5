"""What stochastic rounding does to tensors beside rounding to nearest, on the screen."""

from __future__ import annotations

from rich.table import Table

from fpx.render.tables import plain_table
from fpx.report.cast_row import CastRow

_ROWS = (
    ("to nearest", "nearest_mean_error_ulp", "nearest_underflow_count", "overflow_count"),
    ("expected", "expected_mean_error_ulp", "expected_underflow_count", "expected_overflow_count"),
    ("this draw", "mean_error_ulp", "underflow_count", "drawn_overflow_count"),
)
"""Who rounds -> the metrics of bias, underflow and overflow."""


def drawn_table(row: CastRow) -> Table:
    """The bias, what becomes zero and what overflows: to nearest, expected, and drawn."""
    table = plain_table(f"{row.to}, rounded")
    table.add_column("", no_wrap=True)
    for name in ("mean error in ulps", "underflow", "overflow"):
        table.add_column(name, justify="right", no_wrap=True)
    for label, bias, underflow, overflow in _ROWS:
        table.add_row(label, _bias(row, bias), _count(row, underflow), _count(row, overflow))
    return table


def _bias(row: CastRow, name: str) -> str:
    value = row.metrics[name]
    return "-" if value is None or value != value else f"{value:+.3g}" if value else "0"


def _count(row: CastRow, name: str) -> str:
    value = row.metrics[name] or 0
    return (
        f"{value:,.6g}" if isinstance(value, float) and value != int(value) else f"{int(value):,}"
    )
