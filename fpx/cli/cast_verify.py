"""`fpx cast-verify`: what this machine's casts do, code by code."""

from __future__ import annotations

import sys
from enum import Enum
from typing import Annotated

import typer

from fpx.cli import options
from fpx.cli.failures import INTERRUPTED, complain
from fpx.cli.options import complete_format
from fpx.cli.output import print_json, print_report
from fpx.cli.progress import ProgressBar
from fpx.core.formats import FORMATS
from fpx.errors import CheckError, InputError
from fpx.words import quoted

_FAILURES_SHOWN = 20


class _Library(Enum):
    TORCH = "torch"
    NUMPY = "numpy"
    ML_DTYPES = "ml_dtypes"


class _Against(Enum):
    EXACT = "exact"
    CPU = "cpu"
    NUMPY = "numpy"
    ML_DTYPES = "ml_dtypes"


class _FailOn(Enum):
    WRONG_ROUNDING = "wrong_rounding"
    POLICY = "policy"
    NAN_BITS = "nan_bits"
    ANY = "any"


class _Layout(Enum):
    CONTIGUOUS = "contiguous"
    STRIDED = "strided"
    SCALAR = "scalar"


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
        list[_Library] | None,
        typer.Option(help="Who casts; repeat for several. Default: torch.", show_default=False),
    ] = None,
    device: Annotated[
        list[str] | None,
        typer.Option(
            help="Where torch casts: cpu, cuda, cuda:N or auto; repeat for several. Default: cpu.",
            show_default=False,
        ),
    ] = None,
    against: Annotated[
        _Against,
        typer.Option(help="What is expected: the correctly rounded result, or what others give."),
    ] = _Against.EXACT,
    sample: Annotated[
        bool,
        typer.Option(
            "--sample",
            help="Boundaries and random codes of 32-bit sources too, not all 4,294,967,296.",
        ),
    ] = False,
    size: Annotated[int, typer.Option(help="Random codes of a sampled source.")] = 1 << 16,
    seed: Annotated[int, typer.Option(help="Seed of those.")] = 0,
    examples: Annotated[int, typer.Option(help="Examples to keep of each cause (--json).")] = 3,
    layout: Annotated[
        _Layout, typer.Option(help="How the source's elements lie; scalar casts each alone.")
    ] = _Layout.CONTIGUOUS,
    compiled: Annotated[
        bool, typer.Option("--compile", help="The cast that torch.compile makes.")
    ] = False,
    flush_denormal: Annotated[
        bool,
        typer.Option("--flush-denormal", help="With the processor's flush-to-zero mode on."),
    ] = False,
    fail_on: Annotated[
        _FailOn, typer.Option(help="Which differences make the exit code 1.")
    ] = _FailOn.WRONG_ROUNDING,
    json: options.Json = False,
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
    """
    from fpx.casts.backends import BACKENDS
    from fpx.conformance.cast_verify import ORIGINS, find_origin
    from fpx.conformance.cast_verify import cast_verify as verify

    sources = [find_origin(name) for name in from_ or ()]
    targets = options.find_formats(to or ())
    for spec in targets:
        if spec.bits > 64:
            raise InputError(f"no library here casts to {quoted(spec.name)}: --to up to 64 bits")
    with ProgressBar("casting") as progress:
        report = verify(
            sources or [find_origin(name) for name in ORIGINS],
            targets or [spec for spec in FORMATS.values() if spec.bits <= 64],
            backends=[BACKENDS[library.value] for library in backend or ()],
            devices=device or ["cpu"],
            against=against.value,
            everything=bool(sources) and not sample,
            size=size,
            seed=seed,
            examples=examples,
            layout=layout.value,
            compiled=compiled,
            flush_denormal=flush_denormal,
            progress=progress,
        )
    if "auto" in (device or ()):
        sys.stderr.write(f"fpx: auto took {report.details['device']}\n")
    if json:
        print_json(report)
    else:
        print_report(report)
    if not report.complete:
        done = sum(row.checked_count + row.undefined_count for row in report.rows)
        complain(f"interrupted after {done:,} casts: what they showed is on stdout")
        raise typer.Exit(INTERRUPTED)
    failures = report.failures(fail_on.value)
    for failure in failures[:_FAILURES_SHOWN]:
        complain(failure)
    if failures:
        if len(failures) > _FAILURES_SHOWN:
            complain(f"and {len(failures) - _FAILURES_SHOWN} more casts")
        raise typer.Exit(CheckError.exit_code)
