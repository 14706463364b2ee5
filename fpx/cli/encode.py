"""`fpx encode`: numbers to codes, for pipes."""

from __future__ import annotations

import sys
from enum import Enum
from typing import Annotated

import typer

from fpx.cli import options
from fpx.cli.output import print_json
from fpx.cli.values import read_values
from fpx.core import codec
from fpx.core.literals import ReadAs
from fpx.core.policy import Overflow, Rounding
from fpx.errors import InputError
from fpx.report.base import Reports
from fpx.report.encode import EncodeReport


class Output(Enum):
    """How a code is written."""

    HEX = "hex"
    BIN = "bin"
    INT = "int"


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
    rounding: options.RoundingMode = Rounding.TIES_TO_EVEN,
    overflow: options.OverflowPolicy = Overflow.IEEE,
    output: Annotated[
        Output, typer.Option("--output", help="Write codes as 0x4049, 0b0100… or 16457.")
    ] = Output.HEX,
    read_as: options.Meaning = ReadAs.AUTO,
    json: options.Json = False,
) -> None:
    """Print the code of each number, one per line and nothing else.

    [bold]Examples[/bold]

    \b
    fpx encode 3.14 -1/3 --dtype bf16
    fpx encode 65520 --dtype fp16 --overflow saturate
    fpx encode -0.1 --dtype fp16 --output bin
    cat numbers.txt | fpx encode - --dtype fp16 > codes.txt
    """
    spec = options.find_one_format(dtype)
    literals = read_values(values, read_as)
    if json:
        found = tuple(EncodeReport.of(item, spec, rounding, overflow) for item in literals)
        if not found:
            raise InputError("no value: stdin is empty")
        print_json(Reports(found))
        return
    pattern = {
        Output.HEX: f"0x{{:0{spec.code_digits}x}}\n",
        Output.BIN: f"0b{{:0{spec.bits}b}}\n",
        Output.INT: "{}\n",
    }[output]
    write, flush = sys.stdout.write, sys.stdout.flush
    for literal in literals:
        write(pattern.format(codec.encode(literal, spec, rounding, overflow).code))
        flush()  # the reader of a pipe gets its answer before we wait for the next line
