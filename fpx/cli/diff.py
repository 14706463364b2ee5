"""`fpx diff`: what two checkpoints differ in."""

from __future__ import annotations

from typing import Annotated

import typer

from fpx.cli import options, tensors
from fpx.cli.output import SCREEN, Output
from fpx.cli.progress import ProgressBar
from fpx.cli.ranks import together
from fpx.report.diff import DiffReport
from fpx.tensors.files.kinds import READS


@options.output_forms
def diff(
    a: Annotated[
        str,
        typer.Argument(
            metavar="A",
            help=f"A tensor file ({READS}; - for .npy on stdin), a directory or an index of a "
            "sharded checkpoint.",
            show_default=False,
        ),
    ],
    b: Annotated[
        str,
        typer.Argument(metavar="B", help="What became of it; of any kind.", show_default=False),
    ],
    tolerance_ulp: Annotated[
        int,
        typer.Option(
            "--tolerance-ulp",
            metavar="N",
            help="Codes of B's dtype that two values may be apart.",
        ),
    ] = 0,
    allow_renamed: Annotated[
        bool,
        typer.Option(
            "--allow-renamed", help="A tensor of the same content and another name is no failure."
        ),
    ] = False,
    strip_prefix: Annotated[
        list[str] | None,
        typer.Option(
            "--strip-prefix",
            metavar="TEXT",
            help="A beginning of names that means nothing, such as module.; repeat for several.",
            show_default=False,
        ),
    ] = None,
    include: options.Include = None,
    exclude: options.Exclude = None,
    stored: options.Stored = False,
    as_: options.As = None,
    every: Annotated[
        bool, typer.Option("--all", help="Show all tensors that are not equal.")
    ] = False,
    top: Annotated[
        int | None,
        typer.Option(
            "--top",
            metavar="N",
            help="Show the N worst tensors. Without it: up to 20.",
            show_default=False,
        ),
    ] = None,
    how: Output = SCREEN,
) -> None:
    """Compare two checkpoints, or one before and after a conversion, tensor by tensor.

    Values are compared by code: A's are rounded to B's dtype (to nearest, ties to even), and the
    distance is how many codes of B lie between. So a correct conversion has distance 0, and
    neighbouring values are 1 apart. Exit code 1: a value is further off than --tolerance-ulp; a
    NaN or infinity appeared or vanished, or a value is out of B's range; a tensor is missing,
    extra, reshaped or renamed.

    [bold]Examples[/bold]

    \b
    fpx diff old.safetensors new.safetensors
    fpx diff model.pt model-bf16.safetensors
    fpx diff checkpoint/ copy.gguf --allow-renamed
    fpx diff a.npz b.npz --tolerance-ulp 4 --json
    fpx diff ddp.pt plain.pt --strip-prefix module.
    """
    tensors.check_shown(top, every)

    from fpx.measure.diff import diff as compare

    with ProgressBar("comparing") as progress:
        report = together(
            compare,
            a,
            b,
            tolerance_ulp=tolerance_ulp,
            allow_renamed=allow_renamed,
            strip_prefix=strip_prefix or (),
            include=include or (),
            exclude=exclude or (),
            stored=stored,
            as_=as_ or (),
            keep_partial=True,
            here={"progress": progress},
        )

    def draw(found: DiffReport) -> object:
        from fpx.render.diff import ROWS, diff_tables

        return diff_tables(found, len(found.rows) if every else top or ROWS)

    tensors.finish_tensors(report, how, draw, missing="the tensors that follow were not compared")
