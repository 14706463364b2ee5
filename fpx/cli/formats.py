"""`fpx formats`: every format, what it is called and by whom."""

from __future__ import annotations

from typing import Annotated

import typer

from fpx.cli import options
from fpx.cli.options import complete_target
from fpx.cli.output import SCREEN, Output, show
from fpx.core.names import ALL
from fpx.core.targets import find_listed
from fpx.report.formats import FormatsReport


@options.output_forms
def formats(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="FORMAT...",
            help="Formats to tell about; without it: all.",
            autocompletion=complete_target,
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
    fpx formats mxfp4 nvfp4             numbers with scales
    fpx formats --json
    """
    show(FormatsReport.of(find_listed(names or [ALL])), how)
