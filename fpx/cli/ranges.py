"""`fpx range`: the constants of formats."""

from __future__ import annotations

from typing import Annotated

import typer

from fpx.cli import options
from fpx.cli.options import complete_format, complete_target
from fpx.cli.output import SCREEN, Output, show
from fpx.core.names import ALL
from fpx.core.targets import find_listed, find_target, without_scales
from fpx.errors import InputError
from fpx.report.base import Report
from fpx.report.ranges import RangeComparison
from fpx.report.scaled_range import RangeReport


@options.output_forms
def ranges(
    formats: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="FORMAT...",
            help="Formats to tell about; without it: all.",
            autocompletion=complete_target,
            show_default=False,
        ),
    ] = None,
    dtype: options.Targets = None,
    compare: Annotated[
        tuple[str, str] | None,
        typer.Option(
            "--compare",
            metavar="OLD NEW",
            help="Tell what going from one format to another gains and loses.",
            autocompletion=complete_format,
            show_default=False,
        ),
    ] = None,
    how: Output = SCREEN,
) -> None:
    """Show the range and precision of formats: all of them, or those that are named.

    Of numbers with scales it is that of element x scale, and that of one block.

    [bold]Examples[/bold]

    \b
    fpx range
    fpx range fp16 bf16
    fpx range mxfp4 nvfp4 bf16          numbers with scales beside those without
    fpx range --compare fp32 bf16       what a change of format gains and loses
    fpx range --json                    exact values
    """
    report: Report
    if compare is not None:
        if formats or dtype:
            raise InputError("--compare names its two formats itself: leave others out")
        report = RangeComparison(*without_scales(map(find_target, compare)))
    else:
        report = RangeReport.of(find_listed([*(formats or ()), *(dtype or ())] or [ALL]))
    show(report, how)
