"""`fpx inspect`: what is in tensor files."""

from __future__ import annotations

from typing import Annotated

import typer

from fpx.cli import options
from fpx.cli.failures import finish
from fpx.cli.progress import ProgressBar
from fpx.errors import InputError
from fpx.tensors.files.kinds import READS
from fpx.words import quoted


@options.output_forms
def inspect(
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE...",
            help=f"Tensor files ({READS}; - for .npy on stdin), directories or indexes of sharded "
            "checkpoints.",
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
            help="One tensor: how size, offset and stride map to its storage; with --stats, its "
            "values too.",
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
    baseline: options.Baseline = None,
    how: str = "text",
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
    from fpx.report.inspect import InspectReport

    if baseline is not None and tensor is not None:
        raise InputError("`baseline` is of all tensors: leave out `tensor`")
    older = options.older(baseline, InspectReport.schema)

    from fpx.measure.inspect import inspect as look

    with ProgressBar("reading") as progress:
        report = look(
            files,
            tensor=tensor,
            index=None if index is None else _index(index),
            top=top,
            stats=stats,
            include=include or (),
            exclude=exclude or (),
            progress=progress,
        )
    if not isinstance(report, InspectReport):
        return finish(report, how)
    if older is not None:
        report = report.since(older)
    since = () if report.baseline is None else report.baseline.lines()
    notes = [*report.notes, *since]
    return finish(report, how, notes=notes, errors=report.errors, failures=report.failures())


def _index(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.strip("[]() ").split(",") if part.strip())
    except ValueError:
        raise InputError(f"{quoted(text)} is no index: write integers, as in 3,4") from None
