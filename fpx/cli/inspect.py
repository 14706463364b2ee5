"""`fpx inspect`: what is in tensor files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from fpx.cli import options
from fpx.cli.failures import finish
from fpx.cli.output import SCREEN, Output
from fpx.cli.progress import ProgressBar
from fpx.errors import InputError
from fpx.tensors.files.kinds import READS
from fpx.words import quoted

if TYPE_CHECKING:
    from rich.console import RenderableType


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
        typer.Option(
            "--stats",
            help="Read the values too: range, smallest non-zero magnitude, mean, standard "
            "deviation, zeros, subnormals, exponents; of quantised weights, what is suspicious of "
            "their scales.",
        ),
    ] = False,
    axis: Annotated[
        int | None,
        typer.Option(
            "--axis",
            metavar="N",
            help="With --stats: the channel along axis N whose largest magnitude sticks out; -1 is "
            "the last axis.",
            show_default=False,
        ),
    ] = None,
    tensor: Annotated[
        str | None,
        typer.Option(
            "--tensor",
            metavar="NAME",
            help="One tensor: its values, or the corners of a large one, and how a quantised one "
            "is stored; with --stats, its statistics.",
            show_default=False,
        ),
    ] = None,
    index: Annotated[
        str | None,
        typer.Option(
            "--index",
            metavar="I,J,...",
            help="With --tensor: one element, down to its bits; of a quantised weight, from its "
            "code and scales to its value.",
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
    layout: Annotated[
        bool,
        typer.Option(
            "--layout",
            help="With --tensor: how size, offset and stride map to its storage; of a quantised "
            "weight, where codes and scales are.",
        ),
    ] = False,
    every: Annotated[
        bool,
        typer.Option("--all", help="A line for each tensor, not for each group of names."),
    ] = False,
    include: options.Include = None,
    exclude: options.Exclude = None,
    stored: options.Stored = False,
    as_: options.As = None,
    baseline: options.Baseline = None,
    how: Output = SCREEN,
) -> None:
    """Show what is in tensor files: dtypes, sizes, metadata, tensors, and their values.

    Headers alone are read, where the format allows that. Tensors whose names differ in numbers only
    have one line; --json and --csv have each. Codes of quantised weights are shown with their
    scales, as the numbers that they mean.

    [bold]Examples[/bold]

    \b
    fpx inspect model.safetensors
    fpx inspect checkpoint.pt --stats --include '*.weight'
    fpx inspect model.safetensors --stats --axis 0
    fpx inspect model.safetensors --tensor lm_head.weight
    fpx inspect points.pt --tensor transposed --layout
    fpx inspect model.safetensors --tensor lm_head.weight --index 3,4
    fpx inspect model.safetensors --tensor lm_head.weight --top 10
    """
    from fpx.report.inspect import InspectReport

    if baseline is not None and tensor is not None:
        raise InputError("`baseline` is of all tensors: leave out `tensor`")
    older = options.older(baseline, InspectReport.schema)

    from fpx.measure.inspect import inspect as look
    from fpx.render.inspect import inspect_tables

    with ProgressBar("reading") as progress:
        report = look(
            files,
            tensor=tensor,
            index=None if index is None else _index(index),
            top=top,
            layout=layout,
            stats=stats,
            axis=axis,
            include=include or (),
            exclude=exclude or (),
            stored=stored,
            as_=as_ or (),
            progress=progress,
        )
    if not isinstance(report, InspectReport):
        return finish(report, how)
    if older is not None:
        report = report.since(older)
    since = () if report.baseline is None else report.baseline.lines()

    def draw(shown: InspectReport) -> RenderableType:
        return inspect_tables(shown, every=every)

    return finish(
        report,
        how,
        draw=draw,
        notes=[*report.notes, *since],
        errors=report.errors,
        failures=report.failures(),
    )


def _index(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.strip("[]() ").split(",") if part.strip())
    except ValueError:
        raise InputError(f"{quoted(text)} is no index: write integers, as in 3,4") from None
