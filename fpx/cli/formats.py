"""`fpx formats`: every format, what it is called and by whom."""

from __future__ import annotations

from typing import Annotated

import typer

from fpx.cli import options
from fpx.cli.options import complete_format
from fpx.cli.output import SCREEN, Output, show
from fpx.core.names import ALL, find_formats
from fpx.report.formats import FormatsReport, NamesReport


@options.output_forms
def formats(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="FORMAT...",
            help="Formats to tell about; without it: all.",
            autocompletion=complete_format,
            show_default=False,
        ),
    ] = None,
    how: Output = SCREEN,
) -> None:
    """List formats: layout, special values, other names, libraries that have them, source.

    [bold]Examples[/bold]

    \b
    fpx formats
    fpx formats e4m3fn bf16             what these are called elsewhere
    fpx formats e5m7 binary8p4se        custom and IEEE P3109 formats
    fpx formats --json
    """
    chosen = find_formats(names or [ALL])
    report = FormatsReport(tuple(NamesReport(spec) for spec in chosen))
    show(report, how)
