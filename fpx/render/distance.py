"""`fpx distance` as a table."""

from __future__ import annotations

from rich.console import RenderableType
from rich.text import Text

from fpx.render.tables import plain_table
from fpx.render.text import LABEL_STYLE, brief, rounded
from fpx.report.base import exact_text, hex_code
from fpx.report.distance import DistanceReport, Distances
from fpx.words import quoted


def distances_table(report: Distances) -> RenderableType:
    """One line per format."""
    first = report.items[0]
    title = Text.assemble(
        ("from ", LABEL_STYLE), quoted(first.first.input).strip("'"),
        (" to ", LABEL_STYLE), quoted(first.second.input).strip("'"),
    )  # fmt: skip
    table = plain_table(title)
    table.add_column("format", no_wrap=True)
    for column in ("from", "to", "steps", "values\nbetween", "difference"):
        table.add_column(column, justify="left" if column in ("from", "to") else "right")
    for item in report.items:
        difference = exact_text(item.difference)
        table.add_row(
            item.format,
            *(f"{rounded(exact_text(end.dyadic, end.sign) or end.shortest)}\n"
              f"{hex_code(end.code, end.spec)}" for end in (item.first, item.second)),
            f"{item.steps:+,}" if item.steps else "0",
            f"{item.between:,}",
            "infinite" if difference is None else brief(difference, 12),
        )  # fmt: skip
    return table


def distance_table(report: DistanceReport) -> RenderableType:
    """One format."""
    return distances_table(Distances((report,)))
