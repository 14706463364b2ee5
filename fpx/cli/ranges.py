"""`fpx range`: the constants of formats."""

from __future__ import annotations

from typing import Annotated

import typer

from fpx.cli import options
from fpx.cli.options import complete_format
from fpx.cli.output import SCREEN, Output, show
from fpx.core.names import ALL, find_format, find_formats
from fpx.errors import InputError
from fpx.report.base import Report
from fpx.report.ranges import FormatReport, RangeComparison, RangeReport


@options.output_forms
def ranges(
    dtype: options.Formats = None,
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
    """Show the range and precision of formats: all of them, or those of --dtype.

    [bold]Examples[/bold]

    \b
    fpx range
    fpx range --dtype fp16 --dtype bf16
    fpx range --compare fp32 bf16       what a change of format gains and loses
    fpx range --json                    exact values
    """
    report: Report
    if compare is not None:
        if dtype:
            raise InputError("--compare names its two formats itself: leave --dtype out")
        report = RangeComparison(find_format(compare[0]), find_format(compare[1]))
    else:
        chosen = find_formats(dtype or [ALL])
        report = RangeReport(tuple(FormatReport(spec) for spec in chosen))
    show(report, how)
