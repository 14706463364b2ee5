"""`fpx decode`: everything about a number in a format."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from fpx.cli import options
from fpx.cli.output import console, print_json, read_values
from fpx.core.codec import Overflow, Rounding
from fpx.core.formats import FormatSpec, find_format
from fpx.core.literals import Code, Literal, ReadAs
from fpx.errors import InputError
from fpx.report import Comparison, DecodeReport, Reports

_SIDE_BY_SIDE = ("float32", "float16", "bfloat16")


def decode(
    values: Annotated[
        list[str],
        typer.Argument(
            metavar="VALUE...",
            help="3.14, -1e-3, 0x1.8p3, 1/3, inf, nan, snan, a code 0x4049 or 0b0100; "
            "- reads one per line from stdin.",
            show_default=False,
        ),
    ],
    dtype: options.Formats = None,
    rounding: options.RoundingMode = Rounding.TIES_TO_EVEN,
    overflow: options.OverflowPolicy = Overflow.IEEE,
    read_as: options.Meaning = ReadAs.AUTO,
    json: options.Json = False,
    jsonl: Annotated[
        bool, typer.Option("--jsonl", help="Print one JSON object per line, as values come.")
    ] = False,
) -> None:
    """Show a number's bits in a format, with its exact value, error and neighbours.

    The number is read exactly and rounded once. Without --dtype it is shown in float32, float16 and
    bfloat16 side by side.

    [bold]Examples[/bold]

    \b
    fpx decode 3.14                     three formats side by side
    fpx decode 3.14 --dtype bf16        the whole story in one format
    fpx decode 0x4049 --dtype bf16      what a code means
    fpx decode -inf 1/3 0x1.8p-3 --dtype half --json
    seq 1 1000 | fpx decode - --dtype bf16 --jsonl
    """
    if json and jsonl:
        raise InputError("--json and --jsonl exclude each other: choose one")
    formats = [find_format(name) for name in dtype or _SIDE_BY_SIDE]

    def reports(literal: Literal) -> tuple[DecodeReport, ...]:
        chosen = formats if dtype else _wide_enough(literal, formats)
        return tuple(DecodeReport.of(literal, spec, rounding, overflow) for spec in chosen)

    literals = read_values(values, read_as)
    if json:
        found = tuple(report for literal in literals for report in reports(literal))
        if not found:
            raise InputError("no value: stdin is empty")
        print_json(Reports(found))
    elif jsonl:
        from fpx.render import to_json_line

        for literal in literals:
            for report in reports(literal):
                sys.stdout.write(to_json_line(report.results()[0]) + "\n")
            sys.stdout.flush()
    else:
        screen = console()
        for literal in literals:
            group = reports(literal)
            if dtype or len(group) == 1:
                for report in group:
                    screen.print(report)
            else:
                screen.print(Comparison(group))
            sys.stdout.flush()


def _wide_enough(literal: Literal, formats: list[FormatSpec]) -> list[FormatSpec]:
    """Of formats that nobody asked for by name, those that a code fits."""
    if not isinstance(literal, Code):
        return formats
    return [spec for spec in formats if literal.fits(spec)] or formats[:1]
