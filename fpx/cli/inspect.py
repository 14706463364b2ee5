"""`fpx inspect`: what is in tensor files."""

from __future__ import annotations

from typing import Annotated

import typer

from fpx.cli import options
from fpx.cli.failures import complain, note
from fpx.cli.output import print_json, print_report
from fpx.cli.progress import ProgressBar
from fpx.errors import InputError
from fpx.report.base import Report
from fpx.words import quoted


def inspect(
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE...",
            help="Tensor files, directories or indexes of sharded checkpoints.",
            show_default=False,
        ),
    ],
    stats: Annotated[
        bool,
        typer.Option("--stats", help="Read the values too: range, zeros, subnormals, exponents."),
    ] = False,
    tensor: Annotated[
        str | None,
        typer.Option(
            "--tensor",
            metavar="NAME",
            help="One tensor: how size, offset and stride map to its storage.",
            show_default=False,
        ),
    ] = None,
    index: Annotated[
        str | None,
        typer.Option(
            "--index",
            metavar="I,J,...",
            help="With --tensor: one element, down to its bits.",
            show_default=False,
        ),
    ] = None,
    top: Annotated[
        int | None,
        typer.Option(
            "--top",
            metavar="N",
            help="With --tensor: the N largest, smallest and closest to zero, with their index.",
            show_default=False,
        ),
    ] = None,
    include: options.Include = None,
    exclude: options.Exclude = None,
    json: options.Json = False,
) -> None:
    """Show what is in tensor files: names, dtypes, shapes, strides, shared storages.

    Headers alone are read, where the format allows that.

    [bold]Examples[/bold]

    \b
    fpx inspect model.safetensors
    fpx inspect checkpoint.pt --stats --include '*.weight'
    fpx inspect points.pt --tensor transposed
    fpx inspect model.safetensors --tensor lm_head.weight --index 3,4
    fpx inspect model.safetensors --tensor lm_head.weight --top 10
    """
    if tensor is None and (index is not None or top is not None):
        raise InputError("--index and --top look into one tensor: name it with --tensor")
    if index is not None and top is not None:
        raise InputError("--index and --top exclude each other: choose one")

    from fpx.measure import inspect as harness

    report: Report
    if tensor is None:
        with ProgressBar("reading") as progress:
            found = harness.inspect_files(
                files,
                include=include or (),
                exclude=exclude or (),
                stats=stats,
                progress=progress,
            )
        for line in found.notes:
            note(line)
        _show(found, json)
        for error in found.errors:
            complain(error)
        if found.errors:
            raise typer.Exit(InputError.exit_code)
        return
    if index is not None:
        report = harness.element(files, tensor, _index(index))
    elif top is not None:
        report = harness.extremes(files, tensor, top)
    else:
        report = harness.layout(files, tensor)
    _show(report, json)


def _show(report: Report, json: bool) -> None:
    if json:
        print_json(report)
    else:
        print_report(report)


def _index(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.strip("[]() ").split(",") if part.strip())
    except ValueError:
        raise InputError(f"{quoted(text)} is no index: write integers, as in 3,4") from None
