"""Optimizers and their states in other formats, on the screen."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rich.console import RenderableType
from rich.text import Text

from fpx.render.names import Name, least_of
from fpx.render.tables import FittingTable, plain_table
from fpx.render.text import BAD_STYLE, GOOD_STYLE, LABEL_STYLE, WARNING_STYLE
from fpx.report.step_answers import of_state
from fpx.report.step_compare import Decay, OptimizerFound
from fpx.report.step_rows import StateRow, StepRow, Survival
from fpx.words import counted, with_share

_STYLES = {
    Survival.SURVIVES: GOOD_STYLE,
    Survival.CANNOT_DECAY: WARNING_STYLE,
    Survival.VANISHES: BAD_STYLE,
    Survival.BREAKS: BAD_STYLE,
}
_MOST_OPTIMIZERS = 4  # lines
_FIRST_OUT = ("elements", "m = 0", "m cannot decay", "verdict")


def optimizers_text(found: Sequence[OptimizerFound]) -> Text:
    """A line for each: its name, its numbers, its size."""
    lines = []
    for each in found[:_MOST_OPTIMIZERS]:
        numbers = [
            f"{name.replace('_', ' ')} {value:g}"
            for name, value in each.settings.items()
            if value is not None and not isinstance(value, bool)
        ]
        flags = [name for name, value in each.settings.items() if value is True]
        size = f"{counted(each.parameters, 'parameter')}, {counted(each.elements, 'element')}"
        lines.append(f"{each.optimizer}: {', '.join([*numbers, *flags])}: {size}")
    if len(found) > _MOST_OPTIMIZERS:
        lines.append(f"and {len(found) - _MOST_OPTIMIZERS:,} more settings (--json has all)")
    return Text("\n".join(lines), LABEL_STYLE)


def names_of(rows: Sequence[StepRow]) -> list[Name]:
    """What tensors are called; of several sources, with those."""
    several = len({row.source for row in rows}) > 1
    return [Name(f"{row.source} {row.tensor}" if several else row.tensor) for row in rows]


def state_answer(total: StateRow) -> Text:
    """What becomes of all moments in a format."""
    found = of_state(total)
    return Text.assemble(
        (f"{total.to} state ", "bold"),
        (total.verdict.value, _STYLES[total.verdict]),
        f"{found and ': '}{found}.",
    )


def decays_text(found: Sequence[Decay]) -> list[RenderableType]:
    """A line for each factor that leaves values of a format as they are."""
    lines = [
        f"{each.moment} ({each.beta:g}) in {each.to}: {each.stuck_count:,} of "
        f"{each.normal_count:,} normal values cannot decay"
        for each in found
        if each.stuck_count
    ]
    return [Text("\n".join(lines), LABEL_STYLE)] if lines else []


def state_table(rows: Sequence[StateRow], total: StateRow) -> FittingTable:
    """The parameters of one format, the worst first."""
    shown = [*rows, total]
    names = names_of(rows)
    table = plain_table(Text(f"State in {total.to}", "bold"), first_out=_FIRST_OUT)
    table.add_column("parameter", min_width=least_of(names))
    table.add_column("elements", justify="right", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    columns = [
        column for column in _COLUMNS if any(column[1](row) not in ("", "0") for row in shown)
    ]
    for heading, _ in columns:
        table.add_column(heading, justify="right", no_wrap=True)

    def add(name: RenderableType, row: StateRow, style: str = "") -> None:
        verdict = Text(row.verdict.value, _STYLES[row.verdict])
        cells = [value(row) for _, value in columns]
        table.add_row(name, f"{row.count:,}", verdict, *cells, style=style)

    for name, row in zip(names, rows, strict=True):
        add(name, row)
    if len(rows) > 1:
        table.add_section()
        add("(total)", total, "bold")
    return table


def _number(count: int | None) -> str:
    return "" if count is None else f"{count:,}"


def _of(count: int | None, whole: int | None) -> str:
    return "" if count is None or whole is None else with_share(count, whole)


def _update(row: StateRow) -> str:
    return "" if row.max_update is None else f"{row.max_update:.3g}"


_COLUMNS: tuple[tuple[str, Callable[[StateRow], str]], ...] = (
    ("inf, NaN", lambda row: _number(row.not_finite_count)),
    ("v = 0,\nm not 0", lambda row: _of(row.second_lost_count, row.count)),
    ("max update\nlr", _update),
    ("v cannot\ndecay", lambda row: _of(row.second_stuck_count, row.second_left_count)),
    ("m cannot\ndecay", lambda row: _of(row.first_stuck_count, row.first_left_count)),
    ("m = 0", lambda row: _of(row.first_zero_count, row.count)),
)
