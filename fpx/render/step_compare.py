"""`fpx step-compare` on the screen: an answer for each format, and tensors side by side."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from fpx.render.names import least_of
from fpx.render.step_states import (
    decays_text,
    names_of,
    optimizers_text,
    state_answer,
    state_table,
)
from fpx.render.tables import FittingTable, plain_table
from fpx.render.text import BAD_STYLE, GOOD_STYLE, LABEL_STYLE
from fpx.report.step_answers import of_weights
from fpx.report.step_compare import StepReport
from fpx.report.step_rows import ChangeRow, GivenStepRow, StateRow, StepRow, UpdateRow, WeightRow
from fpx.words import with_share

ROWS = 20
"""Tensors of a table where nobody chose."""


def step_tables(report: StepReport, limit: int = ROWS) -> RenderableType:
    """The answers, then for each question its tensors, the worst first."""
    parts: list[RenderableType] = [*_heading(report), *map(_answer, report.totals)]
    parts += decays_text(report.decays)
    for kind in (GivenStepRow, UpdateRow, ChangeRow):
        tensors = _by_tensor([row for row in report.rows if isinstance(row, kind)])
        totals = [row for row in report.totals if isinstance(row, kind)]
        if tensors:
            parts.append(_weights(tensors[:limit], totals, len(tensors) > 1))
            parts += _rest(len(tensors) - limit)
    for total in report.totals:
        if isinstance(total, StateRow):
            found = _worst_first(report, total.to)
            if isinstance(parts[-1], Text):
                parts.append(Text())
            parts += [state_table(found[:limit], total), *_rest(len(found) - limit)]
        elif isinstance(total, ChangeRow) and total.distances:
            parts.append(_distances(total))
    return Group(*parts)


def _worst_first(report: StepReport, to: str) -> list[StateRow]:
    """The states in a format."""
    found = [row for row in report.rows if isinstance(row, StateRow) and row.to == to]
    return sorted(found, key=StateRow.badness)


def _by_tensor(rows: Sequence[WeightRow]) -> list[list[WeightRow]]:
    """The rows of each tensor, the worst first."""
    found: dict[tuple[str, str], list[WeightRow]] = {}
    for row in rows:
        found.setdefault((row.source, row.tensor), []).append(row)
    return sorted(found.values(), key=lambda each: min(row.badness() for row in each))


# -- answers ---------------------------------------------------------------------------------------


def _heading(report: StepReport) -> list[RenderableType]:
    if report.optimizers:
        return [optimizers_text(report.optimizers)]
    if "step" in report.asked:
        text = f"Weights, rounded; {report.asked['step']:g} more and less, rounded again"
    else:
        text = "Weights before and after, rounded"
    return [Text(text, LABEL_STYLE)]


def _answer(total: StepRow) -> Text:
    if isinstance(total, StateRow):
        return state_answer(total)
    assert isinstance(total, WeightRow)
    style = BAD_STYLE if total.stands_still else GOOD_STYLE
    return Text.assemble((f"{total.to}: ", "bold"), (of_weights(total), style))


# -- tables ----------------------------------------------------------------------------------------


def _weights(
    tensors: Sequence[Sequence[WeightRow]], totals: Sequence[WeightRow], with_total: bool
) -> RenderableType:
    """Tensors, and beside each other what becomes of their weights in each format."""
    rows = [*totals, *(row for found in tensors for row in found)]
    columns = [column for column in _COLUMNS if any(column[1](row) for row in rows)]
    names = names_of([found[0] for found in tensors])
    table = plain_table()
    table.add_column("tensor", min_width=least_of(names))
    table.add_column("weights", justify="right", no_wrap=True)
    for heading, _ in columns:
        for total in totals:
            table.add_column(f"{total.to}\n{heading}", justify="right", no_wrap=True)

    def add(name: RenderableType, found: Sequence[WeightRow], style: str = "") -> None:
        cells = [
            Text(value(row), BAD_STYLE if at == 0 and row.stands_still else "")
            for at, (_, value) in enumerate(columns)
            for row in found
        ]
        table.add_row(name, f"{found[0].count:,}", *cells, style=style)

    for name, found in zip(names, tensors, strict=True):
        add(name, found)
    if with_total:
        table.add_section()
        add("(total)", totals, "bold")
    return table


def _still(row: WeightRow) -> str:
    if isinstance(row, ChangeRow):
        return ""
    return with_share(row.unmoved_count, row.comparable_count)


def _moved(row: WeightRow) -> str:
    return with_share(row.moved_count, row.count) if isinstance(row, ChangeRow) else ""


def _half(row: WeightRow) -> str:
    if not isinstance(row, GivenStepRow):
        return ""
    return "-" if row.half_step is None else f"{row.half_step:.3g}"


def _unusual(row: WeightRow) -> str:
    count = row.count - row.comparable_count
    return f"{count:,}" if count else ""


def _furthest(row: WeightRow) -> str:
    return f"{row.max_distance:,}" if isinstance(row, ChangeRow) else ""


def _telling(row: WeightRow) -> str:
    return f"{row.change_bytes:,}" if isinstance(row, ChangeRow) else ""


_COLUMNS = (
    ("do not move", _still),
    ("moved", _moved),
    ("max codes", _furthest),
    ("bytes", _telling),
    ("half move above", _half),
    ("no number", _unusual),
)


def _distances(total: ChangeRow) -> FittingTable:
    """How far codes moved."""
    table = plain_table(Text(f"{total.to}: codes that moved by", "bold"))
    table.add_column("codes", no_wrap=True)
    table.add_column("weights", justify="right", no_wrap=True)
    for most, count in total.distances.items():
        span = f"{most:,}" if most <= 2 else f"{most // 2 + 1:,} to {most:,}"
        table.add_row(span, with_share(count, total.moved_count))
    others = ((total.zero_sign_count, "sign of zero"), (total.special_count, "inf, NaN"))
    for count, what in others:
        if count:
            table.add_row(what, with_share(count, total.moved_count))
    return table


def _rest(hidden: int) -> list[RenderableType]:
    """A line on tensors that are not shown."""
    if hidden <= 0:
        return []
    return [
        Text(f"{hidden:,} more tensor{'s' * (hidden > 1)} (--all shows every one).", LABEL_STYLE)
    ]
