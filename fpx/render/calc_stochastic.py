"""`fpx calc --rounding stochastic` as a panel."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from fpx.core.numbers import fraction_text
from fpx.core.policy import Overflow
from fpx.core.shortest import shortest_decimal, value_text
from fpx.render.distribution import probability_text
from fpx.render.panel import Titled
from fpx.render.text import (
    GOOD_STYLE,
    LABEL_STYLE,
    ROUNDED_HERE,
    WARNING_STYLE,
    Legible,
    brief,
    grouped,
)
from fpx.report.base import hex_code
from fpx.report.calc import Order
from fpx.report.calc_stochastic import StochasticReport
from fpx.words import shortened

_TITLE = 60  # characters of an expression
_DIGITS = 6
_SHOWN = 24  # characters of a number
_MOST = 12  # results that are shown


def stochastic_panel(report: StochasticReport) -> RenderableType:
    """The results, the likeliest where there are many, then what follows from them."""
    legible = Legible()
    outcomes = _outcomes(report, legible)
    rows = Table.grid(padding=(0, 2))
    rows.add_column(style=LABEL_STYLE, no_wrap=True)
    rows.add_column(overflow="fold")
    for label, cell in _details(report, legible):
        rows.add_row(label, cell)
    if legible.rounds:
        rows.add_row("", Text(ROUNDED_HERE, LABEL_STYLE))
    title = Text.assemble(shortened(report.expression, _TITLE), " in ", (report.format, "bold"))
    return Titled(title, Group(*outcomes, Text(), rows))


def _outcomes(report: StochasticReport, legible: Legible) -> list[RenderableType]:
    table = Table.grid(padding=(0, 2))
    for _ in range(4):
        table.add_column(no_wrap=True)
    table.add_row(*(Text(name, LABEL_STYLE) for name in ("becomes", "code", "probability", "")))
    likeliest = sorted(report.codes, key=lambda code: -report.codes[code])[:_MOST]
    for code in report.codes:
        if code in likeliest:
            table.add_row(
                legible(value_text(code, report.spec), max(report.spec.max_digits10, 4), _SHOWN),
                hex_code(code, report.spec),
                probability_text(report.codes[code], legible),
                Text("to nearest", LABEL_STYLE) if code == report.nearest else "",
            )
    more = len(report.codes) - len(likeliest)
    left = Text(f"and {grouped(more)} less likely ones (--json has all)", LABEL_STYLE)
    return [table, left] if more else [table]


def _details(report: StochasticReport, legible: Legible) -> Iterator[tuple[str, RenderableType]]:
    yield "rounding", report.rounding.value
    if report.overflow is not Overflow.IEEE:
        yield "overflow", report.overflow.value
    if report.precise:
        yield "rounded", "once, the whole"
    elif report.order is not Order.SEQUENTIAL:
        yield "order", report.order.value
    for text, value in report.literals.items():
        yield "reads", f"{brief(text)} as {legible(value, _DIGITS, _SHOWN)}"
    if report.nearest not in report.codes:
        nearest = shortest_decimal(report.nearest, report.spec)
        yield "to nearest", f"{nearest} ({hex_code(report.nearest, report.spec)}), never here"
    if report.exact is None:
        yield "exact", Text(f"not computed: {report.why_not}", WARNING_STYLE)
    elif report.exact.cut:
        yield "exact", f"≈ {brief(report.exact.text)}"
    else:
        yield "exact", legible(report.exact.text, _DIGITS, _SHOWN)
    if report.expectation is None or report.variance is None:
        yield "expectation", Text("none: it may be infinite or NaN", WARNING_STYLE)
        return
    yield "expectation", legible(fraction_text(report.expectation), _DIGITS, _SHOWN)
    if report.bias is not None and report.bias_ulp is not None:
        yield "bias", _bias(fraction_text(report.bias), fraction_text(report.bias_ulp), legible)
    yield "variance", legible(fraction_text(report.variance), _DIGITS, _SHOWN)


def _bias(bias: str, ulps: str, legible: Legible) -> Text:
    if bias == "0":
        return Text("0", GOOD_STYLE)
    shown = legible.signed(bias, _DIGITS, _SHOWN)
    off = legible.signed(ulps, _DIGITS).removeprefix("+")
    return Text(f"{shown}  ({off} ulp)", WARNING_STYLE)
