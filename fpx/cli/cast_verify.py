"""`fpx cast-verify`: what this machine's casts do, code by code."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from fpx.casts.backends import BACKENDS, CONTIGUOUS, EXACT, LAYOUTS, REFERENCES
from fpx.cli import options
from fpx.cli.failures import finish
from fpx.cli.options import complete_format
from fpx.cli.output import SCREEN, Output
from fpx.cli.progress import ProgressBar
from fpx.core.policy import (
    ROUNDINGS,
    AnyRounding,
    Overflow,
    Rounding,
    Stochastic,
    find_rounding,
)
from fpx.core.targets import find_targets, without_scales
from fpx.errors import InputError
from fpx.report.cast_verify import ANY, KINDS, WRONG_ROUNDING, NoDifference, VerifyReport


@options.output_forms
def cast_verify(
    from_: Annotated[
        list[str] | None,
        typer.Option(
            "--from",
            metavar="FORMAT",
            help="Source format or integer type (int8 to int64, uint8); repeat for several. Of "
            "those named, all codes of up to 32 bits are cast.",
            autocompletion=complete_format,
            show_default=False,
        ),
    ] = None,
    to: Annotated[
        list[str] | None,
        typer.Option(
            "--to",
            metavar="FORMAT",
            help="Target format; repeat for several. Without it: every listed one.",
            autocompletion=complete_format,
            show_default=False,
        ),
    ] = None,
    backend: Annotated[
        list[str] | None,
        typer.Option(
            help="Who casts; repeat for several. Default: torch.",
            show_default=False,
            **options.one_of(BACKENDS),
        ),
    ] = None,
    device: Annotated[
        list[str] | None,
        typer.Option(
            help="Where torch and exact cast: cpu, cuda, cuda:N or auto; repeat for several. "
            "Default: cpu.",
            show_default=False,
        ),
    ] = None,
    against: Annotated[
        str,
        typer.Option(
            help="What is expected: the correctly rounded result, or what others give (cpu: torch "
            "there).",
            **options.one_of(REFERENCES),
        ),
    ] = EXACT.name,
    sample: Annotated[
        bool,
        typer.Option(
            "--sample",
            help="Boundaries and random codes of 32-bit sources too, not all 4,294,967,296.",
        ),
    ] = False,
    size: Annotated[int, typer.Option(help="Random codes of a sampled source.")] = 1 << 16,
    seed: Annotated[int, typer.Option(help="Seed of those.")] = 0,
    examples: Annotated[int, typer.Option(help="Examples to keep of each cause.")] = 3,
    layout: Annotated[
        str,
        typer.Option(
            help="How the source's elements lie; scalar casts each alone.",
            **options.one_of(LAYOUTS),
        ),
    ] = CONTIGUOUS,
    compiled: Annotated[
        bool, typer.Option("--compile", help="The cast that torch.compile makes.")
    ] = False,
    flush_denormal: Annotated[
        bool,
        typer.Option("--flush-denormal", help="With the processor's flush-to-zero mode on."),
    ] = False,
    fail_on: Annotated[
        str | None,
        typer.Option(
            help=f"Which differences make the exit code 1: {', '.join(KINDS)} (each with those "
            f"before it), or {ANY}. Without it: {WRONG_ROUNDING}; with --baseline: {ANY}.",
            show_default=False,
            **options.one_of((*KINDS, ANY)) | {"metavar": "KIND"},
        ),
    ] = None,
    baseline: options.Baseline = None,
    with_: Annotated[
        str | None,
        typer.Option(
            "--with",
            metavar="MODULE:FUNCTION",
            help="Verify a function of yours in place of a cast: it takes a torch tensor (and, if "
            "it has a second argument, as many random words) and returns it rounded. Modules of "
            "this folder come first.",
            show_default=False,
        ),
    ] = None,
    rounding: Annotated[
        str,
        typer.Option(
            "--rounding",
            metavar="MODE",
            help="With --with: what the function should do: "
            f"{', '.join(ROUNDINGS[:-1])}, or stochastic[:BITS[:a|b|c]].",
            autocompletion=options.complete_rounding,
        ),
    ] = Rounding.TIES_TO_EVEN.value,
    overflow: Annotated[
        Overflow,
        typer.Option("--overflow", help="With --with: what it should make of what is too large."),
    ] = Overflow.IEEE,
    random_bits: Annotated[
        int | None,
        typer.Option(
            "--random-bits",
            metavar="N",
            help="With --with, of a function that takes random words: how many bits they have, 1 "
            "to 31; up to 24 all words are tried, of more some.",
            show_default=False,
        ),
    ] = None,
    how: Output = SCREEN,
) -> None:
    """Prove what casts do: compare them with correct rounding, bit for bit.

    Every code of a source is cast where there are few enough; of float64 and int64, the target's
    boundaries and random codes. Without options: a matrix in under 20 seconds. What differs is
    told apart: wrong rounding; another policy (saturation); NaNs with other bits.

    [bold]Examples[/bold]

    \b
    fpx cast-verify
    fpx cast-verify --from float64 --to float16        finds double rounding
    fpx cast-verify --from float32 --to bfloat16       all 2^32 codes
    fpx cast-verify --device cuda --against cpu        do both agree?
    fpx cast-verify --backend numpy --backend ml_dtypes --fail-on any
    fpx cast-verify --with rounding:to_bf16 --from float16
    fpx cast-verify --with rounding:stochastic_bf16 --rounding stochastic --random-bits 16
    """
    if with_ is not None:
        alone = (
            (backend, "backend"), (device, "device"), (against != EXACT.name, "against"),
            (layout != CONTIGUOUS, "layout"), (compiled, "compiled"),
            (flush_denormal, "flush_denormal"), (baseline, "baseline"),
        )  # fmt: skip
        for given, name in alone:
            if given:
                raise InputError(
                    f"`{name}` is of casts, not of functions: leave out that, or `with_`"
                )
        mode = find_rounding(rounding)
        if isinstance(mode, Stochastic):
            for given, name in ((sample, "sample"), (fail_on, "fail_on")):
                if given:
                    raise InputError(f"`{name}` has no meaning where rounding is stochastic")
        _verify_function(
            with_, from_ or [], to or [], mode, overflow, random_bits, sample, size, seed, examples,
            fail_on or WRONG_ROUNDING, how,
        )  # fmt: skip
        return
    for given, name in (
        (rounding != Rounding.TIES_TO_EVEN.value, "rounding"),
        (overflow is not Overflow.IEEE, "overflow"),
        (random_bits is not None, "random_bits"),
    ):
        if given:
            raise InputError(f"`{name}` says what a function should do: name it with `with_`")
    older = options.older(baseline, VerifyReport.schema)
    kind = fail_on or (WRONG_ROUNDING if older is None else ANY)

    from fpx.conformance.cast_verify import cast_verify as verify
    from fpx.conformance.cast_verify import find_origin

    with ProgressBar("casting") as progress:
        report = verify(
            [find_origin(name) for name in from_ or ()],
            without_scales(find_targets(to or ())),
            backends=[BACKENDS[name] for name in backend or ()],
            devices=device or ["cpu"],
            against=against,
            everything=False if sample else None,
            size=size,
            seed=seed,
            examples=examples,
            layout=layout,
            compiled=compiled,
            flush_denormal=flush_denormal,
            checks=[NoDifference(kind)],
            progress=progress,
        )
    if older is not None:
        report = report.since(older)
    done = sum(row.checked_count + row.undefined_count for row in report.rows)
    cut = f"interrupted after {done:,} casts: what they showed is on stdout"
    finish(
        report,
        how,
        took=report.details.device if "auto" in (device or ()) else None,
        notes=() if report.baseline is None else report.baseline.lines(),
        interrupted=None if report.complete else cut,
        unchecked=report.unchecked,
        failures=report.failures(),
    )


def _verify_function(
    name: str,
    from_: Sequence[str],
    to: Sequence[str],
    rounding: AnyRounding,
    overflow: Overflow,
    random_bits: int | None,
    sample: bool,
    size: int,
    seed: int,
    examples: int,
    kind: str,
    how: Output,
) -> None:
    """What a function of the user's does, in place of casts."""
    from fpx.conformance.verify_with import verify_with

    with ProgressBar("rounding") as progress:
        report = verify_with(
            name,
            from_=from_,
            to=to,
            rounding=rounding,
            overflow=overflow,
            random_bits=random_bits,
            sample=sample,
            size=size,
            seed=seed,
            examples=examples,
            checks=[NoDifference(kind)],
            progress=progress,
        )
    complete = not isinstance(report, VerifyReport) or report.complete
    finish(
        report,
        how,
        interrupted=None if complete else "interrupted: what was covered is on stdout",
        failures=report.failures(),
    )
