"""`fpx step-compare`: what training would do in other formats."""

from __future__ import annotations

from typing import Annotated

import typer

from fpx.cli import options, tensors
from fpx.cli.options import complete_format, complete_target
from fpx.cli.output import SCREEN, Output
from fpx.cli.progress import ProgressBar
from fpx.cli.ranks import has_ranks, together
from fpx.core.policy import Rounding
from fpx.report.step_compare import NUMBERS, TARGETS, StepReport, conditions, state_targets
from fpx.report.step_rows import STILL_RATE
from fpx.tensors.files.kinds import READS
from fpx.words import listed

_CUT, _UNDONE = "the tensors that follow", "tensors that a rank had not done"


@options.output_forms
def step_compare(
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="SOURCE...",
            help=f"Files ({READS}; - for .npy on stdin), directories or indexes of sharded "
            "checkpoints; with --weights-to or --state-to one with an optimizer's state; without "
            "those and --lr two, before and after.",
            show_default=False,
        ),
    ],
    lr: Annotated[
        str | None,
        typer.Option(
            "--lr",
            metavar="STEP",
            help="Length of a step that every weight takes, up and down: which cannot be moved?",
            show_default=False,
        ),
    ] = None,
    to: Annotated[
        list[str] | None,
        typer.Option(
            "--to",
            metavar="FORMAT",
            help="Format of the weights, with --lr and of two checkpoints; repeat for several, or "
            "write fp16,bf16; all16, all8 and all are those of so many bits and all. Without it: "
            f"{' and '.join(TARGETS)}.",
            autocompletion=complete_format,
            show_default=False,
        ),
    ] = None,
    weights_to: Annotated[
        list[str] | None,
        typer.Option(
            "--weights-to",
            metavar="FORMAT",
            help="Format of the weights, which the update of the optimizer's state moves or does "
            "not; as --to.",
            autocompletion=complete_format,
            show_default=False,
        ),
    ] = None,
    state_to: Annotated[
        list[str] | None,
        typer.Option(
            "--state-to",
            metavar="FORMAT",
            help="Format of the optimizer's moments: what becomes of them? As --to; formats with "
            "scales (mxfp8_e4m3, e4m3fn:tensor) too. --scale is for these alone.",
            autocompletion=complete_target,
            show_default=False,
        ),
    ] = None,
    scale: tensors.Scale = None,
    scale_format: tensors.ScaleFormat = None,
    scale_rule: tensors.ScaleRule = None,
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            metavar="SOURCE",
            help="Where the weights are, if not beside the optimizer's state.",
            show_default=False,
        ),
    ] = None,
    optimizer: Annotated[
        str | None,
        typer.Option(
            "--optimizer",
            help="Whose state it is, where the checkpoint does not tell.",
            show_default=False,
            **options.one_of(("adamw", "adam", "sgd")),
        ),
    ] = None,
    still: Annotated[
        float,
        typer.Option(
            "--still",
            metavar="RATE",
            help="Share of unmoved weights, 0 to 1, from which on a tensor stands still; of "
            "moments that become 0 or cannot decay, from which on the state does.",
        ),
    ] = STILL_RATE,
    rounding: Annotated[
        str,
        typer.Option(
            "--rounding",
            metavar="MODE",
            help="stochastic[:BITS[:a|b|c]] also says how many weights are expected to move if "
            "sums are rounded so.",
        ),
    ] = Rounding.TIES_TO_EVEN.value,
    fail_if: Annotated[
        list[str] | None,
        typer.Option(
            "--fail-if",
            metavar="CONDITION",
            help=f"Exit 1 if a row meets it, such as stands_still or 'unmoved_rate>0.9': "
            f"{listed(NUMBERS, 40)}. Repeat for several.",
            show_default=False,
        ),
    ] = None,
    baseline: options.Baseline = None,
    include: options.Include = None,
    exclude: options.Exclude = None,
    every: Annotated[bool, typer.Option("--all", help="Show all tensors.")] = False,
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
    """Say which weights an update moves in a format, and which state survives in one.

    Weights are rounded to the format first; after the update they are rounded once more, to
    nearest, ties to even. A weight that is then what it was has lost the update. All counts are
    exact.

    [bold]Three questions[/bold]

    With --lr: which weights a step of that length cannot move, up or down. With --weights-to and
    --state-to: what the update of Adam's, AdamW's or SGD's state in the checkpoint does to the
    weights, and what becomes of the state. Of two checkpoints: which codes moved, by how much, and
    how many bytes tell the change.

    [bold]Examples[/bold]

    \b
    fpx step-compare model.safetensors --lr 1e-5
    fpx step-compare model.safetensors --lr 3e-6 --to bf16 --include 'layers.*'
    fpx step-compare checkpoint.pt --weights-to bf16 --state-to bf16,e4m3fn
    fpx step-compare checkpoint.pt --state-to e4m3fn --scale tensor
    fpx step-compare optimizer.pt --model pytorch_model.bin --weights-to bf16
    fpx step-compare model.safetensors --lr 1e-5 --rounding stochastic
    fpx step-compare before.pt after.pt --to bf16
    fpx step-compare checkpoint.pt --state-to e5m2 --fail-if breaks
    fpx step-compare checkpoint.pt --weights-to bf16 --baseline old.json
    """
    checks = conditions(fail_if or ())
    older = options.older(baseline, StepReport.schema)
    tensors.check_shown(top, every)
    states = state_targets(
        state_to or (), scale=scale, scale_format=scale_format, scale_rule=scale_rule or ()
    )

    from fpx.training.step_compare import step_compare as compare

    with ProgressBar("counting") as progress:
        report = together(
            compare,
            sources,
            lr=lr,
            to=to or (),
            weights_to=weights_to or (),
            states_to=states,
            model=model,
            optimizer=optimizer,
            include=include or (),
            exclude=exclude or (),
            still_rate=still,
            rounding=rounding,
            keep_partial=True,
            here={"progress": progress, "checks": checks},
        )

    if older is not None:
        report = report.since(older)

    def draw(found: StepReport) -> object:
        from fpx.render.step_compare import ROWS, step_tables

        return step_tables(found, len(found.rows) if every else top or ROWS)

    tensors.finish_tensors(
        report,
        how,
        draw,
        missing=f"{_UNDONE if has_ranks() else _CUT} are not in it",
        notes=[] if report.baseline is None else report.baseline.lines(),
        unchecked=report.unchecked,
    )
