"""`fpx table`: the values of a format."""

from __future__ import annotations

from typing import Annotated

import typer

from fpx.cli import options
from fpx.cli.options import complete_target
from fpx.cli.output import SCREEN, Output, show
from fpx.core.literals import parse_literal
from fpx.core.spec import FormatSpec
from fpx.core.targets import find_target
from fpx.errors import InputError
from fpx.report.blocking import read_scale_codes
from fpx.report.decode import DecodeReport
from fpx.report.element_table import ElementTable, find_codebook
from fpx.report.table import TableReport


@options.output_forms
def table(
    dtype: Annotated[
        str,
        typer.Argument(
            metavar="FORMAT",
            help="A format, such as e2m1fn, float8_e4m3fn, e3m2 or binary6p3se; of mxfp4, nf4 and "
            "the like their elements.",
            autocompletion=complete_target,
            show_default=False,
        ),
    ],
    around: Annotated[
        str | None,
        typer.Option(
            "--around",
            metavar="VALUE",
            help="Only the values around this one; the way to draw formats beyond 12 bits.",
            show_default=False,
        ),
    ] = None,
    count: Annotated[int, typer.Option("--count", help="How many values, with --around.")] = 16,
    as_list: Annotated[
        bool, typer.Option("--list", help="One line per code, with its value.")
    ] = False,
    scale_code: Annotated[
        str | None,
        typer.Option(
            "--scale-code",
            metavar="CODE",
            help="Of formats with scales: also what elements are at the scale of that code.",
            show_default=False,
        ),
    ] = None,
    how: Output = SCREEN,
) -> None:
    """Print all values of a format by exponent and fraction, or those around a value.

    Formats beyond 12 bits have too many values for a picture; --csv, --json, --jsonl and --markdown
    print all of those of up to 20 bits.

    [bold]Examples[/bold]

    \b
    fpx table float4_e2m1fn
    fpx table e4m3fn --list
    fpx table binary8p3se --csv > values.csv
    fpx table bf16 --around 1.0 --count 9
    fpx table mxfp4 --scale-code 0x80
    """
    target = find_codebook(dtype) or find_target(dtype)
    if not isinstance(target, FormatSpec):
        if around is not None:
            raise InputError(f"--around is of single numbers: {target.name} is shown whole")
        show(ElementTable.of(target, _one_code(scale_code)), how)
        return
    if scale_code is not None:
        raise InputError(f"{target.name} has no scale: leave --scale-code out")
    spec = target
    if around is None:
        report = TableReport.whole(spec)
        if how.form == "text" and report.too_many is not None:
            raise InputError(report.too_many)
    else:
        report = TableReport.around(DecodeReport.of(parse_literal(around), spec), count)
    if how.form != "text":
        show(report.in_parts(), how)
    elif as_list:
        from fpx.render.table import table_list

        show(report, how, table_list)
    else:
        show(report, how)


def _one_code(text: str | None) -> int | None:
    """The code of a scale; None for None.

    Raises:
        InputError: it is none, or several.
    """
    if text is None:
        return None
    first, *others = read_scale_codes(text)
    if others:
        raise InputError(f"one --scale-code at a time, not {1 + len(others)}")
    return first
