"""`fpx cast-compare`: what a cast loses of real tensors."""

from __future__ import annotations

import textwrap
from typing import Annotated

import typer

from fpx.casts.backends import BACKENDS
from fpx.cli import options
from fpx.cli.failures import finish
from fpx.cli.options import complete_format
from fpx.cli.progress import ProgressBar
from fpx.core.names import find_format
from fpx.errors import InputError
from fpx.report.cast_compare import TARGETS, CastReport
from fpx.report.checks import parse_condition
from fpx.report.metrics import METRICS
from fpx.tensors.distributions import NAMES, SAYS
from fpx.tensors.files.kinds import READS


@options.output_forms
def cast_compare(
    sources: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="SOURCE...",
            help=f"A file ({READS}; - for .npy on stdin), a directory or index of a sharded "
            f"checkpoint, or a distribution: {', '.join(NAMES)} (see above). Without it: all "
            "distributions.",
            show_default=False,
        ),
    ] = None,
    from_: Annotated[
        str,
        typer.Option(
            "--from",
            metavar="FORMAT",
            help="Format in which distributions are drawn; files keep their own.",
            autocompletion=complete_format,
        ),
    ] = "float32",
    to: Annotated[
        list[str] | None,
        typer.Option(
            "--to",
            metavar="FORMAT",
            help=f"Target format; repeat for several. Without it: {' and '.join(TARGETS)}.",
            autocompletion=complete_format,
            show_default=False,
        ),
    ] = None,
    backend: Annotated[
        str | None,
        typer.Option(
            help="Who casts. Without it: torch, and correct rounding (exact) where torch has no "
            "such cast.",
            show_default=False,
            **options.one_of(BACKENDS),
        ),
    ] = None,
    device: Annotated[
        str,
        typer.Option(help="Where the casts run: cpu, cuda, cuda:N, or auto (CUDA where it is)."),
    ] = "cpu",
    size: Annotated[int, typer.Option(help="Values of a random distribution.")] = 1 << 20,
    seed: Annotated[int, typer.Option(help="Seed of the random distributions.")] = 0,
    fail_if: Annotated[
        list[str] | None,
        typer.Option(
            "--fail-if",
            metavar="CONDITION",
            help="Exit 1 if a row meets it, as in 'overflow_count>0', 'underflow_count>1%' or "
            "'sqnr_db<50'; repeat for several. Metrics, as in --json: "
            f"{', '.join(METRICS)}.",
            show_default=False,
        ),
    ] = None,
    include: options.Include = None,
    exclude: options.Exclude = None,
    top: Annotated[int, typer.Option(help="Rows to show; of more, the worst come first.")] = 20,
    how: str = "text",
) -> None:
    """Cast tensors and report overflow, underflow and precision loss.

    One row per tensor and target. Errors are measured in float64 against the source's value, in
    ulps of the target. On a device other than the CPU, results are compared with the CPU's too.

    [bold]Distributions[/bold]

    \b
    DISTRIBUTIONS

    [bold]Examples[/bold]

    \b
    fpx cast-compare
    fpx cast-compare model.safetensors --to float16
    fpx cast-compare model.pt --to bf16 --fail-if 'overflow_count>0'
    fpx cast-compare checkpoint/ --to fp16 --include 'layers.*.weight'
    fpx cast-compare normal boundaries --from float64 --to fp16
    fpx cast-compare weights.npy --to fp4 --to e3m4 --to tf32
    fpx cast-compare --device cuda --json
    """
    conditions = [parse_condition(text) for text in fail_if or ()]
    targets = [find_format(name) for name in to] if to else None
    origin = find_format(from_)
    if top < 1:
        raise InputError(f"`top` must be at least 1, not {top}")

    from fpx.measure.cast_compare import cast_compare as compare

    with ProgressBar("casting") as progress:
        report = compare(
            sources or [],
            targets,
            from_=origin,
            device=device,
            size=size,
            seed=seed,
            backend=None if backend is None else BACKENDS[backend],
            progress=progress,
            include=include or (),
            exclude=exclude or (),
            keep_partial=True,
            checks=conditions,
        )

    def draw(found: CastReport) -> object:
        from fpx.render.cast_compare import cast_tables

        return cast_tables(found, top)

    cut = "interrupted: the last row and the totals are of a part"
    finish(
        report,
        how,
        draw=draw,
        took=report.details.device if device == "auto" else None,
        notes=report.notes,
        errors=report.errors,
        interrupted=cut if report.partial else None,
        failures=report.failures(),
    )


def _distributions() -> str:
    """The named sources, a paragraph each."""
    width = max(map(len, NAMES)) + 2
    return "\n".join(
        textwrap.fill(
            says, 76, initial_indent=f"    {name:{width}}", subsequent_indent=" " * (width + 4)
        )
        for name, says in SAYS.items()
    )


cast_compare.__doc__ = (cast_compare.__doc__ or "").replace("    DISTRIBUTIONS", _distributions())
