"""`fpx distance`: how many values lie between two numbers."""

from __future__ import annotations

from typing import Annotated

import typer

from fpx.cli import options
from fpx.cli.output import SCREEN, Output, show
from fpx.cli.values import read_values
from fpx.core.literals import ReadAs
from fpx.core.targets import find_targets, without_scales
from fpx.errors import InputError
from fpx.report.decode import DecodeReport
from fpx.report.distance import DistanceReport, Distances


@options.output_forms
def distance(
    first: Annotated[str, typer.Argument(metavar="A", help="As for decode.", show_default=False)],
    second: Annotated[str, typer.Argument(metavar="B", help="As for decode.", show_default=False)],
    dtype: options.Formats = None,
    read_as: options.Meaning = ReadAs.AUTO,
    how: Output = SCREEN,
) -> None:
    """Count the values between two numbers (the distance in ulps), and their exact difference.

    Both are rounded to the format first. Without --dtype: float64, float32, float16 and
    bfloat16.

    [bold]Examples[/bold]

    \b
    fpx distance 1 1.001 --dtype fp16
    fpx distance 0x3f80 0x3f8a --dtype bf16
    fpx distance -smallest_subnormal max --dtype e4m3fn
    """
    if "-" in (first, second):
        raise InputError("distance takes its two numbers as arguments, not from stdin")
    a, b = read_values((first, second), read_as)
    report = Distances(
        tuple(
            DistanceReport(DecodeReport.of(a, spec), DecodeReport.of(b, spec))
            for spec in without_scales(find_targets(dtype or options.SIDE_BY_SIDE))
        )
    )
    show(report, how)
