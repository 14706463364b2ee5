"""`fpx watch`: what each format loses, the worst modules first, and how it went by steps."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from rich.console import Group, RenderableType
from rich.text import Text

from fpx.render.names import Name, least_of
from fpx.render.tables import plain_table
from fpx.render.text import BAD_STYLE, GOOD_STYLE, LABEL_STYLE, WARNING_STYLE
from fpx.report.answers import brief, percent
from fpx.report.watch import WatchedModel, WatchReport
from fpx.report.watch_rows import GRAD_OUTPUT, WEIGHT_GRAD, StepRow, UpdateRow, ValueRow
from fpx.words import counted, escape

ROWS = 10
"""Rows of a table where nobody says how many."""

_STEPS = 8  # lines of steps


class _Column(NamedTuple):
    """A share of the numbers of a row.

    Attributes:
        heading: above it.
        part, whole: the share's.
        style: of one that is not 0.
        seldom: whether it is left out where all are 0.
    """

    heading: str
    part: Callable[[ValueRow], int]
    whole: Callable[[ValueRow], int]
    style: str
    seldom: bool = True


_COLUMNS = (
    _Column("overflow", lambda row: row.overflow_count, lambda row: row.count, BAD_STYLE),
    _Column("inf, NaN", lambda row: row.inf_count + row.nan_count, lambda row: row.count,
            BAD_STYLE),
    _Column("become 0", lambda row: row.underflow_count, lambda row: row.nonzero_count,
            WARNING_STYLE, seldom=False),
    _Column("subnormal", lambda row: row.subnormal_count, lambda row: row.nonzero_count, ""),
)  # fmt: skip
_CALLED = {GRAD_OUTPUT: "gradient", WEIGHT_GRAD: "weight gradient"}
_FIRST_OUT = ("subnormal", "numbers", "largest", "inf, NaN", "steps")


def watch_tables(report: WatchReport, limit: int | None = ROWS) -> RenderableType:
    """Each model: the answers, the tables, and what else there is to know.

    Args:
        report: what was watched.
        limit: rows of a table; None is all of them.
    """
    parts: list[RenderableType] = []
    for model in report.models:
        parts += [*([""] if parts else []), *_model(model, limit)]
    if not report.models:
        parts.append(Text("Nothing was watched: no model with anything to train ran.", "bold"))
    return Group(*parts)


def _model(model: WatchedModel, limit: int | None) -> Iterable[RenderableType]:
    yield Text.assemble((escape(model.model), "bold"), (_heading(model), LABEL_STYLE))
    yield Text()
    for answer in model.answers:
        style = GOOD_STYLE if answer.good else BAD_STYLE
        rest = "".join(f" {sentence}" for sentence in answer.rest)
        yield Text.assemble((f"{answer.to}: ", "bold"), (f"{answer.verdict}.", style), escape(rest))
    for to in model.to:
        losing = [row for row in model.values if row.to == to and row.loses]
        if losing:
            yield Text()
            yield _values(to, losing[:limit])
            yield from _more(len(losing) - len(losing[:limit]))
    yield from _updates(model, limit)
    yield from _history(model)
    for note in model.notes:
        yield Text(f"note: {escape(note)}", WARNING_STYLE)


def _heading(model: WatchedModel) -> str:
    counts = f"{counted(model.modules, 'module')}, {counted(model.parameters, 'parameter')}"
    steps = counted(model.steps, "step")
    if model.watched_steps != model.steps:
        steps += f", {model.watched_steps:,} of them counted"
    said = [counts, *map(escape, model.optimizers), steps]
    if model.scaled_by is not None:
        least, most = (brief(scale) for scale in model.scaled_by)
        said.append(f"loss scale {least}" + ("" if least == most else f" to {most}"))
    return f": {'; '.join(said)}"


def _values(to: str, rows: Sequence[ValueRow]) -> RenderableType:
    table = plain_table(Text(f"{to}, the worst first", "bold"), first_out=_FIRST_OUT)
    names = [Name(row.name) for row in rows]
    table.add_column("name", min_width=least_of(names))
    table.add_column("what", no_wrap=True)
    table.add_column("numbers", justify="right", no_wrap=True)
    columns = [column for column in _COLUMNS if not column.seldom or any(map(column.part, rows))]
    for column in columns:
        table.add_column(column.heading, justify="right", no_wrap=True)
    table.add_column("largest", justify="right", no_wrap=True)
    scaled = any(_scale(row) != "-" for row in rows)
    if scaled:
        table.add_column("best loss\nscale", justify="right", no_wrap=True)
    for row, name in zip(rows, names, strict=True):
        called = escape(_CALLED.get(row.kind, row.kind))
        shares = [_share(column.part(row), column.whole(row), column.style) for column in columns]
        largest = "-" if row.amax is None else brief(row.amax)
        scale = [_scale(row)] if scaled else []
        table.add_row(name, called, f"{row.count:,}", *shares, largest, *scale)
    return table


def _share(count: int, whole: int, style: str) -> Text:
    if not count:
        return Text("0", LABEL_STYLE)
    return Text(percent(count / whole), style)


def _scale(row: ValueRow) -> str:
    scale = row.loss_scale
    if scale is None or not (scale.saved_count or scale.exponent):
        return "-"
    return f"2^{scale.exponent}"


def _more(count: int) -> Iterable[Text]:
    if count > 0:
        yield Text(f"{count:,} more in --json or with --all.", LABEL_STYLE)


def _updates(model: WatchedModel, limit: int | None) -> Iterable[RenderableType]:
    """Each parameter with the share of it that stays what it is, format by format."""
    rows = model.updates
    formats = [to for to in model.formats if any(row.to == to for row in rows)]
    stuck = (row for row in rows if row.unmoved_count or row.nonfinite_count)
    names = list(dict.fromkeys(row.name for row in stuck))
    if not names:
        return
    found = {(row.name, row.to): row for row in rows}
    yield Text()
    shown = names[:limit]
    table = plain_table(Text("Weights that a step does not move, stored in", "bold"))
    cells = [Name(name) for name in shown]
    table.add_column("parameter", min_width=least_of(cells))
    for name in formats:
        table.add_column(name, justify="right", no_wrap=True)
    for name, cell in zip(shown, cells, strict=True):
        table.add_row(cell, *(_stayed(found.get((name, to))) for to in formats))
    yield table
    yield from _more(len(names) - len(shown))


def _stayed(row: UpdateRow | None) -> Text:
    if row is None or not row.count:
        return Text("-", LABEL_STYLE)
    if row.nonfinite_count:
        return Text(f"{row.nonfinite_count:,} became inf, NaN", BAD_STYLE)
    return _share(row.unmoved_count, row.count, WARNING_STYLE)


def _history(model: WatchedModel) -> Iterable[RenderableType]:
    """What is lost over steps: a line for each stretch, a column for each loss that there is."""
    rows = model.history
    stretches = list(dict.fromkeys((row.first_step, row.last_step) for row in rows))
    if len(stretches) < 2:
        return
    size = -(-len(stretches) // _STEPS)
    groups = [stretches[at : at + size] for at in range(0, len(stretches), size)]
    columns = [
        (f"{to}\n{heading}", to, share)
        for to in model.formats
        for heading, share in _LOSSES
        if any(share([row]) for row in rows if row.to == to)
    ]
    if not columns:
        return
    yield Text()
    table = plain_table(Text("By steps", "bold"))
    table.add_column("steps", no_wrap=True)
    for heading, _, _ in columns:
        table.add_column(heading, justify="right", no_wrap=True)
    for group in groups:
        first, last = group[0][0], group[-1][1]
        mine = [row for row in rows if first <= row.first_step and row.last_step <= last]
        shares = [share([row for row in mine if row.to == to]) for _, to, share in columns]
        table.add_row(
            f"{first:,}" if first == last else f"{first:,} to {last:,}",
            *(Text(percent(share)) if share else Text("0", LABEL_STYLE) for share in shares),
        )
    yield table


def _destroyed(rows: Sequence[StepRow]) -> float:
    return _part(rows, lambda row: row.destroyed_count, lambda row: row.count)


def _vanished(rows: Sequence[StepRow]) -> float:
    gradients = [row for row in rows if row.kind in _CALLED]
    return _part(gradients, lambda row: row.underflow_count, lambda row: row.nonzero_count)


def _lost(rows: Sequence[StepRow]) -> float:
    return _part(rows, lambda row: row.lost_update_count, lambda row: row.count)


_LOSSES = (
    ("destroyed", _destroyed),
    ("gradients → 0", _vanished),
    ("updates lost", _lost),
)


def _part(
    rows: Sequence[StepRow],
    part: Callable[[StepRow], int | None],
    whole: Callable[[StepRow], int | None],
) -> float:
    """One count over another, of the rows that have the first."""
    mine = [row for row in rows if part(row) is not None]
    total = sum(whole(row) or 0 for row in mine)
    return sum(part(row) or 0 for row in mine) / total if total else 0.0
