"""Libraries' casts under the panel of the exact result."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.text import Text

from fpx.render.decode import decode_panel
from fpx.render.tables import plain_table
from fpx.render.text import BAD_STYLE, GOOD_STYLE, LABEL_STYLE, ROUNDED_HERE, Legible
from fpx.report.base import hex_code
from fpx.report.libraries import LibraryReport


def libraries_panel(report: LibraryReport) -> RenderableType:
    """The exact result, and a line for each library that has the cast."""
    spec = report.exact.spec
    if not report.casts:
        names = ", ".join(report.versions)
        return Group(decode_panel(report.exact), Text(f"None of {names} casts to {spec.name}.\n"))
    table = plain_table(
        Text(f"float64 {report.source} cast to {spec.name} by", "italic"),
        first_out=("value", "code"),
    )
    legible = Legible()
    for column in ("library", "code", "value"):
        table.add_column(column, no_wrap=True)
    table.add_column("against the exact result")
    for cast in report.casts:
        verdict = Text("same", GOOD_STYLE) if cast.agrees else Text(cast.reason, BAD_STYLE)
        table.add_row(
            f"{cast.library} {cast.version}",
            hex_code(cast.code, spec),
            legible(cast.value, max(spec.max_digits10, 4)),
            verdict,
        )
    rounds = [Text(ROUNDED_HERE, LABEL_STYLE)] if legible.rounds else []
    return Group(decode_panel(report.exact), table, *rounds)
