"""`fpx cast-compare`: what a cast loses of real tensors."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated

import typer

from fpx.casts.backends import BACKENDS
from fpx.cli import options, tensors
from fpx.cli.config import exemptions_of
from fpx.cli.failures import note
from fpx.cli.options import complete_format, complete_target
from fpx.cli.output import SCREEN, Output
from fpx.cli.progress import ProgressBar
from fpx.cli.ranks import has_ranks, together
from fpx.core.blocks import BLOCK_FORMATS
from fpx.core.choices import LIKE
from fpx.core.names import find_format
from fpx.core.policy import Rounding, Stochastic, find_rounding
from fpx.core.targets import asked_targets
from fpx.errors import InputError
from fpx.report.cast_compare import MEASURABLE, TARGETS, CastReport
from fpx.report.checks import parse_condition
from fpx.report.metrics import METRICS, rate_of
from fpx.report.verdicts import USUAL, Tolerance
from fpx.tensors.distributions import NAMES, SAYS
from fpx.tensors.files.kinds import READS
from fpx.words import quoted

_CUT = "the last row and the totals are of a part"


def _rate(given: str | float) -> float:
    """`0.001` or `0.1%`; typer passes the default through here too."""
    text = str(given).strip()
    number = text.removesuffix("%")
    try:
        return float(number) / (100 if number != text else 1)
    except ValueError:
        raise typer.BadParameter(f"{quoted(text)} is no share: write 0.001 or 0.1%") from None


@options.output_forms
def cast_compare(
    context: typer.Context,
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
            help="Target format; repeat for several, or write fp16,bf16; all16, all8 and all are "
            f"those of so many bits and all. Block formats ({', '.join(BLOCK_FORMATS)}) and others "
            "with scales (e4m3fn:channel, e2m1:block=16,scale=e4m3fn) are targets too. Without it: "
            f"{' and '.join(TARGETS)}.",
            autocompletion=complete_target,
            show_default=False,
        ),
    ] = None,
    scale: tensors.Scale = None,
    scale_format: tensors.ScaleFormat = None,
    scale_rule: tensors.ScaleRule = None,
    like: Annotated[
        str | None,
        typer.Option(
            metavar="LIBRARY",
            help=f"Encode as a library does: {', '.join(LIKE)}.",
            autocompletion=lambda: [*LIKE],
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
    seed: Annotated[
        int, typer.Option(help="Seed of the random distributions, and of stochastic rounding.")
    ] = 0,
    rounding: Annotated[
        str,
        typer.Option(
            "--rounding",
            metavar="MODE",
            help="ties_to_even, as casts round, or stochastic[:BITS[:a|b|c]]: one draw by --seed, "
            "what is expected of all, and nearest beside them.",
            autocompletion=lambda: [Rounding.TIES_TO_EVEN.value, "stochastic"],
        ),
    ] = Rounding.TIES_TO_EVEN.value,
    fail_if: Annotated[
        list[str] | None,
        typer.Option(
            "--fail-if",
            metavar="CONDITION",
            help="Exit 1 if a row meets it, as in 'verdict!=fits', 'overflow_count>0', "
            "'underflow_count>1%' or 'sqnr_db<50'; repeat for several. The metrics are above.",
            show_default=False,
        ),
    ] = None,
    baseline: options.Baseline = None,
    include: options.Include = None,
    exclude: options.Exclude = None,
    integers: Annotated[
        bool,
        typer.Option(
            "--integers", help="Cast integer and bool tensors too, which module.half() leaves."
        ),
    ] = False,
    tolerate_overflow: Annotated[
        float,
        typer.Option(
            "--tolerate-overflow",
            metavar="RATE",
            help="Share of a tensor's elements that may overflow or be destroyed (0.001 or 0.1%) "
            "and it still fits.",
            parser=_rate,
        ),
    ] = USUAL.overflow_rate,
    tolerate_underflow: Annotated[
        float,
        typer.Option(
            "--tolerate-underflow",
            metavar="RATE",
            help="Share of its non-zero elements that may become zero.",
            parser=_rate,
        ),
    ] = USUAL.underflow_rate,
    tolerate_loss: Annotated[
        float,
        typer.Option(
            "--tolerate-loss",
            metavar="DB",
            help="dB that its SQNR may be below what the format gives on data in its range.",
        ),
    ] = USUAL.small_value_loss_db,
    axis: Annotated[
        int | None,
        typer.Option(
            "--axis",
            metavar="N",
            help="Tell which channel along axis N sticks out, and what it costs the others in "
            "targets where they share scales; -1 is the last axis.",
            show_default=False,
        ),
    ] = None,
    stored: options.Stored = False,
    as_: options.As = None,
    every: Annotated[bool, typer.Option("--all", help="Show all tensors.")] = False,
    top: Annotated[
        int | None,
        typer.Option(
            "--top",
            metavar="N",
            help="Show the N worst tensors. Without it: up to 20 that need attention.",
            show_default=False,
        ),
    ] = None,
    sort: Annotated[
        str | None,
        typer.Option(
            "--sort",
            help="Order tensors by a metric, the worst first.",
            show_default=False,
            **options.one_of(METRICS) | {"metavar": "METRIC"},
        ),
    ] = None,
    histogram: Annotated[
        bool,
        typer.Option("--histogram", help="Draw exponents of tensors over the targets' ranges."),
    ] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", help="Say on stderr who measured, and why.")
    ] = False,
    how: Output = SCREEN,
) -> None:
    """Say which tensors fit a format, where others overflow or underflow, and by how much.

    First comes the answer for each file and target, then the tensors that need attention. Errors
    are measured against the source's value, in ulps of the target. On a device other than the CPU,
    results are compared with the CPU's too.

    [bold]Verdicts[/bold]

    A tensor [bold]loses range[/bold] if more of its elements than --tolerate-overflow overflow, are
    saturated or become infinite or NaN. It [bold]loses small values[/bold] if more of its non-zero
    elements than --tolerate-underflow become zero, or if its SQNR is more than --tolerate-loss dB
    under what the format gives on data in its range. Otherwise it [bold]fits[/bold].

    A target with scales ([bold]--to mxfp4[/bold], [bold]--scale channel[/bold]) clips or flushes
    some values of any tensor, so a tensor fits it if it does about as well as normally distributed
    numbers: clipping costs it at most --tolerate-loss dB, the rest at most that much again, and
    values become zero hardly more than twice as often.

    [bold]Metrics[/bold] of --fail-if and --sort, as in --json; x is an element, q what became of it

    \b
    METRICS

    [bold]Distributions[/bold]

    \b
    DISTRIBUTIONS

    [bold]Examples[/bold]

    \b
    fpx cast-compare
    fpx cast-compare model.safetensors --to float16
    fpx cast-compare model.pt --to bf16 --fail-if 'verdict!=fits'
    fpx cast-compare model.safetensors --to all8 --sort sqnr_db --top 5
    fpx cast-compare checkpoint/ --to fp16 --include 'layers.*.weight'
    fpx cast-compare normal boundaries --from float64 --to fp16
    fpx cast-compare weights.npy --to fp4 --to e3m4 --to tf32
    fpx cast-compare model.safetensors --to mxfp4,nvfp4 --scale-rule all
    fpx cast-compare model.safetensors --to e4m3fn --scale channel
    fpx cast-compare model.safetensors --to e4m3fn --scale tensor --axis 0
    fpx cast-compare model.safetensors --to bf16 --rounding stochastic --seed 1
    fpx cast-compare --device cuda --json
    """
    conditions = [parse_condition(text) for text in fail_if or ()]
    older = options.older(baseline, CastReport.schema)
    targets = asked_targets(
        to or TARGETS,
        MEASURABLE,
        scale=scale,
        scale_format=scale_format,
        scale_rule=scale_rule or (),
        like=like,
    )
    origin = find_format(from_)
    mode = find_rounding(rounding)
    if not isinstance(mode, Stochastic) and mode is not Rounding.TIES_TO_EVEN:
        raise InputError(
            f"casts round to nearest, not {mode.value}: `rounding` is ties_to_even or stochastic"
        )
    tolerance = Tolerance(tolerate_overflow, tolerate_underflow, tolerate_loss)
    tensors.check_shown(top, every)

    from fpx.measure.cast_compare import cast_compare as compare

    with ProgressBar("casting") as progress:
        report = together(
            compare,
            sources or [],
            targets,
            from_=origin,
            device=device,
            size=size,
            seed=seed,
            backend=None if backend is None else BACKENDS[backend],
            include=include or (),
            exclude=exclude or (),
            keep_partial=True,
            integers=integers,
            stored=stored,
            as_=as_ or (),
            axis=axis,
            rounding=mode if isinstance(mode, Stochastic) else None,
            here={
                "progress": progress,
                "checks": conditions,
                "tolerance": tolerance,
                "tell": note,
            },
        )

    report = replace(report, exemptions=exemptions_of(context))
    if older is not None:
        report = report.since(older)

    def draw(found: CastReport) -> object:
        from fpx.render.cast_compare import View, cast_tables

        return cast_tables(found, View(top, sort, every, histogram))

    tensors.finish_tensors(
        report,
        how,
        draw,
        missing="rows and totals are of what each rank had done" if has_ranks() else _CUT,
        notes=[
            *report.gate.notes(report.rows),
            *([f"measured by {report.measured_by}"] if verbose else []),
        ],
        unchecked=report.unchecked,
        took=report.details.device if device == "auto" else None,
    )


def _described(rows: Mapping[str, str]) -> str:
    """Names and what they are, a paragraph each."""
    width = max(map(len, rows)) + 2
    return "\n".join(
        textwrap.fill(
            says, 80, initial_indent=f"    {name:{width}}", subsequent_indent=" " * (width + 4)
        )
        for name, says in rows.items()
    )


def _metrics() -> dict[str, str]:
    """The metrics, with one entry for all rates."""
    rates = {rate_of(row.name) for row in METRICS.values() if row.is_count}
    found = {row.name: row.says for row in METRICS.values() if row.name not in rates}
    return found | {"*_rate": "of each *_count: its share, 0 to 1"}


cast_compare.__doc__ = (
    (cast_compare.__doc__ or "")
    .replace("    DISTRIBUTIONS", _described(SAYS))
    .replace("    METRICS", _described(_metrics()))
)
