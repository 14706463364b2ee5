"""`fpx devices`: what this machine can do with each format."""

from __future__ import annotations

from typing import Annotated

import typer

from fpx.cli import options
from fpx.cli.output import SCREEN, Output, show


@options.output_forms
def devices(
    device: Annotated[
        list[str] | None,
        typer.Option(
            help="cpu, cuda, cuda:N or auto; repeat for several. Without it: all there are.",
            show_default=False,
        ),
    ] = None,
    size: Annotated[int, typer.Option(help="Elements that rates are measured with.")] = 1 << 22,
    how: Output = SCREEN,
) -> None:
    """Show the devices here, and what torch can do with each format on them.

    Everything is tried, nothing looked up: storage, casts from float32 and back, matrix products,
    whether subnormals survive arithmetic; and rates are measured, each three times.

    [bold]Examples[/bold]

    \b
    fpx devices
    fpx devices --device cuda --json
    """
    from fpx.casts.devices import survey_devices

    show(survey_devices(device or (), size), how)
