"""`fpx calc` as a panel, or a line for each format."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from fpx.core.policy import AnyRounding, Overflow, Rounding
from fpx.core.shortest import shortest_decimal
from fpx.render.panel import BitStrip, Labelled, Titled
from fpx.render.tables import plain_table
from fpx.render.text import (
    BAD_STYLE,
    GOOD_STYLE,
    LABEL_STYLE,
    ROUNDED_HERE,
    WARNING_STYLE,
    Legible,
    brief,
)
from fpx.report.base import hex_code
from fpx.report.calc import INEXACT, Absorbed, CalcReport, CalcReports, Exact, Order
from fpx.words import shortened

_SHOWN = 40  # characters of a number in a panel
_DIGITS = 6  # of what is longer
_ABSORBED_SHOWN = 3
_TITLE = 60  # characters of an expression


def calc_panel(report: CalcReport) -> RenderableType:
    """One format: the result, then the steps and the libraries that were asked for."""
    legible = Legible()
    rows = [*_details(report, legible)]
    parts: list[RenderableType] = []
    if report.traced:
        parts.append(_steps(report, legible))
    if report.libraries is not None:
        parts.append(_libraries(report))
    if legible.rounds:
        rows.append(("", Text(ROUNDED_HERE, LABEL_STYLE)))
    title = Text.assemble(_named(report), " in ", (report.format, "bold"))
    panel = Titled(title, Group(BitStrip(report.result.bit_fields), Text(), Labelled(rows)))
    return Group(panel, *parts)


def calc_table(report: CalcReports) -> RenderableType:
    """A line for each of several formats; a panel for each where steps or libraries are shown."""
    first = report.items[0]
    if first.traced or first.libraries is not None:
        return Group(*map(calc_panel, report.items))
    legible = Legible()
    title = Text(_named(first), "bold")
    for name, value in _modes(first):
        title.append(f"  {name} {value}", LABEL_STYLE)
    table = plain_table(title, first_out=("flags", "code", "exact"))
    for name in ("format", "code", "value", "exact", "in ulps"):
        table.add_column(name, no_wrap=True)
    table.add_column("flags")
    for item in report.items:
        table.add_row(
            item.format,
            hex_code(item.code, item.spec),
            item.result.shortest,
            "-" if item.exact is None else _exact(item.exact, legible, 20),
            _ulps(item.error_ulp, legible),
            _flags(item.flags),
        )
    lost = [
        Text(f"{item.format}: {line}")
        for item in report.items
        for line in _absorptions(item, legible)[:1]
    ]
    rounds = [Text(ROUNDED_HERE, LABEL_STYLE)] if legible.rounds else []
    return Group(table, *lost, *rounds)


def _named(report: CalcReport) -> str:
    return shortened(report.expression, _TITLE)


def modes(rounding: AnyRounding, overflow: Overflow, precise: bool) -> list[tuple[str, str]]:
    """Choices that are not what everybody expects."""
    found = []
    if rounding is not Rounding.TIES_TO_EVEN:
        found.append(("rounding", rounding.value))
    if overflow is not Overflow.IEEE:
        found.append(("overflow", overflow.value))
    if precise:
        found.append(("rounded", "once, the whole"))
    return found


def _modes(report: CalcReport) -> list[tuple[str, str]]:
    found = modes(report.result.rounding, report.result.overflow, report.precise)
    if not report.precise and report.order is not Order.SEQUENTIAL:
        found.append(("order", report.order.value))
    return found


def _details(report: CalcReport, legible: Legible) -> Iterator[tuple[str, Text | str]]:
    result = report.result
    kind = result.classification.value.replace("_", " ")
    yield "code", f"{hex_code(report.code, report.spec)}  ({kind})"
    yield "value", legible(result.value_text, max(report.spec.max_digits10, 4), _SHOWN)
    if result.shortest != result.value_text:
        yield "shortest", result.shortest
    yield from _modes(report)
    if report.exact is None:
        yield "exact", Text(f"not computed: {report.why_not}", WARNING_STYLE)
    else:
        yield "exact", _exact(report.exact, legible, _SHOWN)
    if report.error is not None and report.error_ulp is not None:
        yield "error", _error(report.error, report.error_ulp, legible)
    if report.exact is not None and not report.precise:
        yield "rounded once", _against(report)
    yield "flags", _flags(report.flags)
    lines = _absorptions(report, legible)
    for number, line in enumerate(lines[:_ABSORBED_SHOWN]):
        yield "" if number else "absorbed", Text(line, WARNING_STYLE)
    if len(lines) > _ABSORBED_SHOWN:
        yield "", f"and {len(lines) - _ABSORBED_SHOWN:,} more like that (--json has all)"


def _exact(exact: Exact, legible: Legible, longest: int) -> str:
    if exact.cut:
        return f"≈ {brief(exact.text, longest // 2)}"
    return legible(exact.text, 12, longest)


def _error(error: str, ulps: str, legible: Legible) -> Text:
    if error == "0":
        return Text("0 (exact)", GOOD_STYLE)
    shown = legible.signed(error, _DIGITS, _SHOWN // 2)
    return Text(f"{shown}  ({_ulps(ulps, legible).removeprefix('+')} ulp)", WARNING_STYLE)


def _ulps(ulps: str | None, legible: Legible) -> str:
    return legible.ulps(ulps, _DIGITS, 10)


def _against(report: CalcReport) -> Text:
    """The code of the exact value, and how far from it the result is."""
    correct, off = report.correct, report.codes_off
    if correct is None:
        return Text(f"overflows to a NaN, which {report.format} has not", BAD_STYLE)
    if off == 0 or correct == report.code:
        return Text("the same code", GOOD_STYLE)
    shown = f"{shortest_decimal(correct, report.spec)} ({hex_code(correct, report.spec)})"
    if off is None:
        return Text(shown, BAD_STYLE)
    codes = f"{abs(off):,} code{'' if abs(off) == 1 else 's'} {'below' if off > 0 else 'above'}"
    return Text(f"{shown}, {codes}", WARNING_STYLE)


def _flags(flags: Sequence[str]) -> Text:
    if not flags:
        return Text("none: exact", GOOD_STYLE)
    style = WARNING_STYLE if tuple(flags) == (INEXACT,) else BAD_STYLE
    return Text(", ".join(flag.replace("_", " ") for flag in flags), style)


def _absorptions(report: CalcReport, legible: Legible) -> list[str]:
    """A line for each operand that changed nothing, those that are alike in one."""
    lines = Counter(_absorption(item, report, legible) for item in report.absorbed)
    return [line if count == 1 else f"{line}, {count:,} times" for line, count in lines.items()]


def _absorption(item: Absorbed, report: CalcReport, legible: Legible) -> str:
    """`0.05 - 1e-05 is 0.05 again: the first to count is 0.000122 (…)`."""
    kept = shortest_decimal(item.kept, report.spec)
    again = f"{item.operation} is {kept} again"
    if item.threshold is None:
        return f"{again}: nothing further that way changes it"
    begins = legible(item.threshold, _DIGITS, 20)
    where = f"changes begin {'at' if item.threshold_counts else 'beyond'} {begins}"
    if item.smallest is None:
        return f"{again}: {where}, where the format has no number"
    first = shortest_decimal(item.smallest, report.spec)
    # of three operands, which one it is
    place = shortest_decimal(item.operand, report.spec) if item.operation.startswith("fma") else ""
    instead = f" in place of {place}" if place else ""
    return f"{again}: the first to count{instead} is {first} ({where})"


def _steps(report: CalcReport, legible: Legible) -> RenderableType:
    spec = report.spec
    table = plain_table(first_out=("code", "exact", "flags"))
    for name in ("step", "result", "code", "exact", "in ulps"):
        table.add_column(name, no_wrap=name != "step")
    table.add_column("flags")
    for step in report.steps:
        table.add_row(
            shortened(step.operation),
            shortest_decimal(step.code, spec),
            hex_code(step.code, spec),
            _exact(step.exact, legible, 20),
            _ulps(step.error_ulp, legible),
            _flags(step.flags),
        )
    return table


def _libraries(report: CalcReport) -> RenderableType:
    spec = report.spec
    table = plain_table(first_out=("value", "code"))
    for name in ("library", "code", "value"):
        table.add_column(name, no_wrap=True)
    table.add_column("against fpx")
    for item in report.libraries or ():
        code = item.code
        table.add_row(
            f"{item.library} {item.version}",
            "-" if code is None else hex_code(code, spec),
            "-" if code is None else shortest_decimal(code, spec),
            Text("same", GOOD_STYLE)
            if item.agrees
            else Text(item.reason, LABEL_STYLE if code is None else BAD_STYLE),
        )
    return table
