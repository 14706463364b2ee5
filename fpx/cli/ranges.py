"""`fpx range`: the constants of formats."""

from __future__ import annotations

from fpx.cli import options
from fpx.cli.output import print_json, print_report
from fpx.core.formats import FORMATS, find_format
from fpx.report import FormatReport, RangeReport


def ranges(dtype: options.Formats = None, json: options.Json = False) -> None:
    """Show the range and precision of formats: all of them, or those of --dtype.

    [bold]Examples[/bold]

    \b
    fpx range
    fpx range --dtype fp16 --dtype bf16
    fpx range --json                    exact values
    """
    chosen = [find_format(name) for name in dtype] if dtype else FORMATS.values()
    report = RangeReport(tuple(FormatReport(spec) for spec in chosen))
    if json:
        print_json(report)
    else:
        print_report(report)
