"""`fpx cast-compare` on the screen: the answers, the tensors that need attention, and where."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from fpx.render.cast_columns import COLUMNS, Column, Place, Severity, places
from fpx.render.channels import channels_tables
from fpx.render.drawn import drawn_table
from fpx.render.exponents import ExponentChart
from fpx.render.names import Name, least_of
from fpx.render.rules import rules_table
from fpx.render.tables import plain_table
from fpx.render.text import BAD_STYLE, GOOD_STYLE, LABEL_STYLE, WARNING_STYLE
from fpx.report.answers import Answer, brief, percent
from fpx.report.cast_compare import CastReport
from fpx.report.cast_row import CastRow
from fpx.report.metrics import DECIBELS, METRICS, ULP
from fpx.report.rules import without_rule
from fpx.report.verdicts import Verdict
from fpx.words import escape

ROWS = 20
"""Rows of a table where nobody says how many."""

_FEW = 10  # tensors of a source that are shown whether they need attention or not
_STYLES = {Severity.NONE: "", Severity.WARNING: WARNING_STYLE, Severity.BAD: BAD_STYLE}
_VERDICT_STYLES = {
    Verdict.FITS: GOOD_STYLE,
    Verdict.LOSES_RANGE: BAD_STYLE,
    Verdict.LOSES_SMALL_VALUES: WARNING_STYLE,
}
_MANY_ULPS = 1000  # whose fraction says nothing
_COUNTLESS_ULPS = 1e9  # of which as many digits as of other numbers do
_FIRST_OUT = ("by", "subnormal", "max ulp", "values", "clipped", "max |x|", "verdict")


class View(NamedTuple):
    """What of a report a user wants to see.

    Attributes:
        top: rows of a table; None is those that need attention, at most ROWS.
        sort: the metric that orders them, the worst first; None is by what hurts most.
        every: whether all rows are shown.
        histogram: whether exponents are drawn.
    """

    top: int | None = None
    sort: str | None = None
    every: bool = False
    histogram: bool = False


def cast_tables(report: CastReport, view: View = View()) -> RenderableType:  # noqa: B008
    """The answers, then for each source and target its tensors, totals and where it hurts most."""
    parts: list[RenderableType] = [_heading(report)]
    sources = list(dict.fromkeys(answer.source for answer in report.answers))
    alone = all(row.tensor == row.source for row in report.rows)  # distributions, tensors in memory
    outdone = _outdone(report)
    overall = [answer for answer in report.overall if (answer.source, answer.to) not in outdone]
    if len(sources) > 1:
        parts += [_answer(answer) for answer in overall]
        parts += _rules(report, report.overall[0].source if report.overall else "")
    if len(sources) == 1 or not alone:
        for source in sources:
            if len(sources) > 1:
                parts.append(Text(f"\n{escape(source)}\n", "bold"))
            mine = [
                answer
                for answer in report.answers
                if answer.source == source and (source, answer.to) not in outdone
            ]
            wanted = {(answer.source, answer.to) for answer in mine}
            totals = [each for each in report.subtotals if (each.source, each.to) in wanted]
            parts += [_answer(answer) for answer in mine]
            parts += _rules(report, source)
            parts += _blocks(report, mine, totals, view)
            parts += _channels(report, source, wanted, view)
    else:
        kept = {answer.to for answer in overall}
        parts += _blocks(report, overall, [row for row in report.totals if row.to in kept], view)
        for source in sources:
            parts += _channels(report, source, {(source, to) for to in kept}, view)
    return Group(*parts)


def _rules(report: CastReport, source: str) -> list[RenderableType]:
    """The scale rules of a source, or of all of them, side by side."""
    return [rules_table(each) for each in report.scale_rules if each.source == source]


def _heading(report: CastReport) -> Text:
    origins = sorted({row.from_ for row in report.rows})
    targets = ", ".join(row.to for row in report.totals)
    what = f"{', '.join(origins)} to {targets}" if origins else "nothing"
    by = f"cast by {' and '.join(report.casters)} on {report.details.device}"
    lines = [escape(f"{what}, {by}" if origins else what)]
    if report.rounding is not None:
        lines.append(f"rounding {report.rounding}: one draw by seed {report.details.seed}")
    told = {without_rule(target): target for target in reversed(report.scaled_targets)}
    compared = {each.target for each in report.scale_rules}
    for name, target in reversed(told.items()):
        choices = target.choices()
        if name in compared:
            del choices["scale rule"]
        says = ", ".join(f"{name} {choice}" for name, choice in choices.items())
        lines.append(f"{name}: {target.says}; {says}")
    return Text("\n".join([*lines, ""]), LABEL_STYLE)


def _outdone(report: CastReport) -> set[tuple[str, str]]:
    """Source and target of answers that another scale rule outdoes, which the screen leaves out."""
    return {
        (compared.source, row.to)
        for compared in report.scale_rules
        for row in compared.rows
        if row is not compared.best
    }


def _answer(answer: Answer) -> Text:
    style = BAD_STYLE if answer.unfit else GOOD_STYLE
    verdict, rest = answer.text.split(".", 1) if "." in answer.text else (answer.text, "")
    return Text.assemble((f"{answer.label}: ", "bold"), (f"{verdict}.", style), rest)


def _blocks(
    report: CastReport, answers: Sequence[Answer], totals: Sequence[CastRow], view: View
) -> list[RenderableType]:
    """For each target: its table, what is not in it, and where it hurts most."""
    parts: list[RenderableType] = []
    for answer, total in zip(answers, totals, strict=True):
        shown = _chosen(answer.rows, view)
        columns = _columns(shown)
        if shown:
            parts.append(Text())
            parts.append(_table(report, answer, total, shown, columns))
        parts += _rest(answer, shown, total)
        if report.rounding is not None:
            parts.append(drawn_table(total))
        if shown and (found := places(total)):
            parts.append(_places_table(found))
    if view.histogram:
        parts += _histograms(answers, view)
    return parts


def _channels(
    report: CastReport, source: str, wanted: Collection[tuple[str, str]], view: View
) -> list[RenderableType]:
    """What channels that stick out cost the others, in the targets that are shown."""
    costs = [each for each in report.channels if each.source == source]
    return channels_tables(
        [each for each in costs if (source, each.to) in wanted],
        None if view.every else view.top or ROWS,
    )


def _columns(rows: Sequence[CastRow]) -> list[Column]:
    """The columns that say something of these rows."""
    return [column for column in COLUMNS if column.earns_its_place(rows)]


def _chosen(rows: Sequence[CastRow], view: View) -> list[CastRow]:
    """The rows that are shown, in order."""
    few = view.top is None and view.sort is None and not view.every and len(rows) > _FEW
    ordered = sorted(filter(_needs_attention, rows) if few else rows, key=CastRow.badness)
    if view.sort is not None:
        metric = METRICS[view.sort]
        ordered.sort(key=lambda row: _rank(row, metric.name, metric.worse))
    return ordered if view.every else ordered[: view.top or ROWS]


def _needs_attention(row: CastRow) -> bool:
    return not row.fits or row.number("device_mismatch_count") > 0


def _rank(row: CastRow, metric: str, worse: int) -> tuple[bool, float]:
    """Sort key: the worst first, the largest where neither is worse; what has no value last."""
    value = row.metrics[metric]
    missing = value is None or value != value
    return missing, 0 if missing else (value or 0) * (1 if worse < 0 else -1)


def _table(
    report: CastReport,
    answer: Answer,
    total: CastRow,
    rows: Sequence[CastRow],
    columns: Sequence[Column],
) -> RenderableType:
    table = plain_table(Text(answer.label, "bold"), first_out=_FIRST_OUT)
    names = [Name(row.tensor) for row in rows]
    table.add_column("tensor", min_width=least_of(names))
    several = len(report.backends) > 1
    if several:
        table.add_column("by", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    for column in columns:
        table.add_column(column.heading, justify="right", no_wrap=True)

    def add(row: CastRow, name: RenderableType, style: str = "") -> None:
        verdict = Text(row.verdict.value, _VERDICT_STYLES[row.verdict])
        cells = [_cell(column, row) for column in columns]
        table.add_row(name, *([row.backend] if several else []), verdict, *cells, style=style)

    for row, name in zip(rows, names, strict=True):
        add(row, name)
    if answer.tensors > 1 or report.partial:
        table.add_section()
        add(total, "(partial)" if report.partial else "(total)", "bold")
    return table


def _rest(answer: Answer, shown: Sequence[CastRow], total: CastRow) -> list[RenderableType]:
    """A line on what is not shown, and one on what the tensors' SQNR is beside the total's."""
    lines: list[RenderableType] = []
    hidden = answer.tensors - len(shown)
    if hidden:
        unfit = len(answer.unfit) - sum(not row.fits for row in shown)
        more = " more" if shown else ""
        rest = f"{hidden:,}{more} tensor{'s' * (hidden > 1)}"
        what = f", {unfit:,} that {'does' if unfit == 1 else 'do'} not fit" if unfit else ""
        to = "" if shown else f"{answer.to}: "
        lines.append(Text(f"{to}{rest}{what} (--all shows every one).\n", LABEL_STYLE))
    if answer.tensors > 1 and shown:
        worst = answer.least_sqnr
        name = f" ({escape(worst.tensor)})" if worst is not None else ""
        lines.append(
            Text(
                f"SQNR in dB: total {_decibels(total.metrics['sqnr_db'])}, median of the tensors "
                f"{_decibels(answer.median_sqnr_db)}, worst "
                f"{_decibels(worst.metrics['sqnr_db'] if worst else None)}{name}\n",
                LABEL_STYLE,
            )
        )
    return lines


def _cell(column: Column, row: CastRow) -> RenderableType:
    value = column.value(row)
    if column.unit == DECIBELS:
        return _coloured_decibels(row.metrics[column.metrics[0]])
    if not column.is_count and row.metrics[column.metrics[0]] != value:
        return "-"  # of no value
    if column.unit == ULP and value < _COUNTLESS_ULPS:
        return f"{value:.3g}" if value < _MANY_ULPS else f"{value:,.0f}"
    if not column.is_count:
        return brief(value)
    text = f"{value:,}"
    if value and column.share:
        text = f"{text} ({percent(column.rate(row))})"
    if column.severity is Severity.NONE:
        return text
    return Text(text, _STYLES[column.severity] if value else LABEL_STYLE)


def _decibels(value: float | None) -> str:
    if value is None or math.isnan(value):
        return "-"
    if math.isinf(value):
        return "exact" if value > 0 else "-inf"
    return f"{value:.2f}"


def _coloured_decibels(value: float | None) -> Text:
    text = _decibels(value)
    return Text(text, {"exact": GOOD_STYLE, "-inf": BAD_STYLE}.get(text, ""))


def _places_table(found: Sequence[Place]) -> Table:
    table = plain_table("Where", first_out=("size", "value -> result"))
    table.add_column("what", no_wrap=True)
    table.add_column("size", justify="right", no_wrap=True)
    names = [Name(at.tensor, f"[{', '.join(map(str, at.index))}]") for _, _, at in found]
    table.add_column("tensor and index", min_width=least_of(names))
    table.add_column("value -> result", no_wrap=True)
    for (what, size, at), name in zip(found, names, strict=True):
        table.add_row(what, "" if size is None else brief(size), name, at.shown)
    return table


def _histograms(answers: Sequence[Answer], view: View) -> Iterable[RenderableType]:
    """The exponents of each tensor that is shown for some target, over the targets' ranges."""
    targets = [answer.to for answer in answers]
    drawn: dict[tuple[str, str], CastRow] = {}
    for answer in answers:
        for row in _chosen(answer.rows, view) or answer.rows[:1]:
            drawn.setdefault((row.source, row.tensor), row)
    for row in drawn.values():
        yield Text(f"\n{escape(row.tensor)}: values by exponent", "bold")
        yield ExponentChart(row.exponent_histogram, targets)
