"""Two operands and an operation: the exact result, and what rounding dropped of it."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.text import Text

from fpx.errors import InputError
from fpx.explore.bits import one_line
from fpx.explore.state import State
from fpx.render.calc import calc_panel
from fpx.render.text import BAD_STYLE, GOOD_STYLE, LABEL_STYLE, WARNING_STYLE, Legible
from fpx.report.calc import OVERFLOW, CalcReport, CalcReports
from fpx.report.decode import DecodeReport

_DIGITS = 6


def calc_of(state: State) -> CalcReport:
    """The report of `fpx calc` on both operands.

    Raises:
        InputError: the format cannot hold the second one, or has no code for the result.
    """
    from fpx.arithmetic.calc import calc  # most who explore never compute

    found = calc(state.expression, [state.lead], rounding=state.rounding, overflow=state.overflow)
    assert isinstance(found, CalcReports)  # of the codes of variables are others
    return found.items[0]


def arithmetic(state: State) -> RenderableType:
    """The operands, the panel of `fpx calc`, and which way it was rounded."""
    try:
        report = calc_of(state)
        second = DecodeReport.of(state.second, state.lead, state.rounding, state.overflow)
    except InputError as error:
        return Text(str(error), BAD_STYLE)
    first = state.report
    width = max(len(each.shortest) for each in (first, second))
    signs = (" " * len(state.operation), state.operation)
    operands = [
        Text.assemble((sign, LABEL_STYLE), f" {each.shortest:>{width}}  ", one_line(each))
        for sign, each in zip(signs, (first, second), strict=True)
    ]
    return Group(*operands, Text(), calc_panel(report), dropped(report))


def dropped(report: CalcReport) -> Text:
    """What rounding left out of the exact result, and which way it went."""
    error, result = report.error, report.result.shortest
    if OVERFLOW in report.flags:
        return Text(f"The exact result is beyond the range: it became {result}.", BAD_STYLE)
    if error is None or report.exact is None:
        return Text("The result is no number: nothing was rounded.", LABEL_STYLE)
    if error == "0":
        return Text("Nothing was dropped: the result is exact.", GOOD_STYLE)
    down = error.startswith("-")
    size = Legible()(error.removeprefix("-"), _DIGITS)
    verb = "dropped" if down else "added"
    way = "below" if down else "above"
    return Text(f"Rounding {verb} {size}: {result} is {way} the exact result.", WARNING_STYLE)
