"""`fpx calc --all` as tables."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.text import Text

from fpx.render.calc import modes
from fpx.render.tables import plain_table
from fpx.render.text import LABEL_STYLE, grouped
from fpx.report.calc_all import COUNTS, AllCodesReport, Binade, VariableCounts
from fpx.report.calc_all_stochastic import AllOutcomesReport
from fpx.words import shortened

_TITLE = 60  # characters of an expression
_RUNS_SHOWN = 12


def all_codes_tables(report: AllCodesReport) -> RenderableType:
    """What is counted, then where the result equals each variable."""
    table = plain_table()
    table.add_column("of all results", no_wrap=True)
    table.add_column("count", no_wrap=True, justify="right")
    for name in COUNTS:
        if report.counts[name] or name == "count":
            table.add_row(
                name.removesuffix("_count").replace("_", " "), grouped(report.counts[name])
            )
    return Group(*heading(report), table, *(_unchanged(item) for item in report.variables))


def heading(report: AllCodesReport | AllOutcomesReport) -> list[Text]:
    """What was asked, and what the format makes of literals."""
    names = ", ".join(report.names)
    title = Text.assemble(
        (shortened(report.expression, _TITLE), "bold"),
        f" in {report.format}, every code of {names}",
    )
    for name, value in modes(report.rounding, report.overflow, report.precise):
        title.append(f"  {name} {value}", LABEL_STYLE)
    literals = [
        Text(f"{shortened(text)} is {value} there", LABEL_STYLE)
        for text, value in report.literals.items()
    ]
    return [title, *literals]


def _unchanged(item: VariableCounts) -> RenderableType:
    """The binades in which the result equals a variable; neighbours that are alike in one line."""
    table = plain_table(Text(f"{item.name} unchanged: {_summary(item)}"))
    table.add_column(f"|{item.name}|", no_wrap=True)
    for name in ("numbers", "unchanged"):
        table.add_column(name, no_wrap=True, justify="right")
    runs = item.runs()
    for first, last in runs[:_RUNS_SHOWN]:
        inside = item.binades[item.binades.index(first) : item.binades.index(last) + 1]
        table.add_row(
            _extent(first, last),
            grouped(sum(binade.count for binade in inside)),
            _share(
                sum(binade.unchanged_count for binade in inside),
                sum(binade.count for binade in inside),
            ),
        )
    more = len(runs) - _RUNS_SHOWN
    left = [Text(f"and {more:,} more lines (--json has all)", LABEL_STYLE)] if more > 0 else []
    return Group(table, *left)


def _summary(item: VariableCounts) -> str:
    parts = [
        f"{grouped(item.unchanged(kind))} of {grouped(item.total(kind))} {kind}"
        for kind in ("normal", "subnormal")
        if item.total(kind)
    ]
    return ", ".join(parts)


def _extent(first: Binade, last: Binade) -> str:
    """`2^-126 to 2^128`: from the power of two that begins it to that which ends it."""
    subnormal = "  subnormal" if first.kind == "subnormal" else ""
    return f"2^{first.exponent} to 2^{last.exponent + 1}{subnormal}"


def _share(part: int, whole: int) -> str:
    return "all" if part == whole else grouped(part) if part else "none"
