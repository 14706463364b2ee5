"""What commands share that report on many tensors: options, which rows are shown, how they end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fpx.cli.failures import finish
from fpx.cli.options import complete_format
from fpx.cli.output import Output
from fpx.core.choices import ScaleRule as Rule
from fpx.errors import InputError

if TYPE_CHECKING:
    from fpx.report.cast_compare import CastReport
    from fpx.report.diff import DiffReport
    from fpx.report.step_compare import StepReport

Scale = Annotated[
    str | None,
    typer.Option(
        "--scale",
        metavar="tensor|channel[:AXIS]|block:N|block:NxM",
        help="What shares a scale, of targets that have none of their own.",
        show_default=False,
    ),
]


ScaleFormat = Annotated[
    str | None,
    typer.Option(
        "--scale-format",
        metavar="FORMAT",
        help="Format of those scales: float32 (without it), e8m0, e4m3fn, ...",
        autocompletion=complete_format,
        show_default=False,
    ),
]


ScaleRule = Annotated[
    list[str] | None,
    typer.Option(
        "--scale-rule",
        metavar="RULE",
        help=f"How scales are chosen: {', '.join(rule.value for rule in Rule)} or pow2; repeat for "
        "several, or write all to compare them.",
        show_default=False,
    ),
]


def check_shown(top: int | None, every: bool) -> None:
    """Refuses what says nothing of how many tensors are to be shown.

    Raises:
        InputError: less than one, or both so many and all.
    """
    if top is not None and top < 1:
        raise InputError(f"`top` must be at least 1, not {top}")
    if top is not None and every:
        raise InputError("`top` and `every` exclude each other: choose one")


def finish_tensors(
    report: CastReport | DiffReport | StepReport,
    how: Output,
    draw: Callable[[Any], Any],
    *,
    missing: str,
    notes: Sequence[str] = (),
    unchecked: Sequence[str] = (),
    took: str | None = None,
) -> None:
    """As `finish`, with what the report itself has to say.

    Args:
        report, how, draw, unchecked, took: as for that.
        missing: what is not in the report if it is partial.
        notes: more than those of the report.

    Raises:
        typer.Exit: as that does.
    """
    finish(
        report,
        how,
        draw=draw,
        took=took,
        notes=[*report.notes, *notes],
        errors=report.errors,
        interrupted=f"interrupted: {missing}" if report.partial else None,
        unchecked=unchecked,
        failures=report.failures(),
    )
