"""`fpx encode`: numbers to codes, for pipes."""

from __future__ import annotations

from typing import Annotated

import typer

from fpx.cli import options
from fpx.cli.output import SCREEN, Output, collected, show
from fpx.cli.values import STDIN, read_values
from fpx.core.literals import ReadAs
from fpx.core.policy import Overflow, Rounding, Stochastic, find_rounding
from fpx.errors import InputError
from fpx.report.encode import EncodeReport, Notation


@options.output_forms
def encode(
    values: Annotated[
        list[str],
        typer.Argument(
            metavar="VALUE...",
            help="As for decode; - reads one per line from stdin.",
            show_default=False,
        ),
    ],
    dtype: options.OneFormat,
    rounding: options.RoundingMode = Rounding.TIES_TO_EVEN.value,
    overflow: options.OverflowPolicy = Overflow.IEEE,
    output: Annotated[
        Notation, typer.Option("--output", help="Write codes as 0x4049, 0b0100… or 16457.")
    ] = Notation.HEX,
    read_as: options.Meaning = ReadAs.AUTO,
    how: Output = SCREEN,
) -> None:
    """Print the code of each number, one per line and nothing else.

    [bold]Examples[/bold]

    \b
    fpx encode 3.14 -1/3 --dtype bf16
    fpx encode 65520 --dtype fp16 --overflow saturate
    fpx encode -0.1 --dtype fp16 --output bin
    cat numbers.txt | fpx encode - --dtype fp16 > codes.txt
    """
    spec, mode = options.find_one_format(dtype), find_rounding(rounding)
    if isinstance(mode, Stochastic):
        raise InputError(
            "stochastic rounding has no one code to print: fpx decode shows all that a number "
            "may become"
        )
    reports = (
        EncodeReport.of(literal, spec, mode, overflow) for literal in read_values(values, read_as)
    )
    show(
        collected(reports, how, EncodeReport.schema),
        how,
        lambda item: item.text(output),
        prompt=STDIN not in values,
    )
