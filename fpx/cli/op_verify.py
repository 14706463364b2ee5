"""`fpx op-verify`: what this machine's functions do, input by input."""

from __future__ import annotations

from typing import Annotated

import typer

from fpx.casts.backends import CONTIGUOUS, LAYOUTS
from fpx.cli import options
from fpx.cli.failures import finish
from fpx.cli.output import SCREEN, Output, show
from fpx.cli.progress import ProgressBar
from fpx.core.targets import find_targets, without_scales
from fpx.report.limits import parse_limit
from fpx.report.op_verify import BACKENDS, NUMBERS, SUCH
from fpx.words import listed


def _complete_function(incomplete: str) -> list[str]:
    from fpx.arithmetic.functions.catalogue import ALL, FUNCTIONS

    return [name for name in (*FUNCTIONS, ALL) if name.startswith(incomplete)]


@options.output_forms
def op_verify(
    functions: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[FUNCTION]...",
            help="Names such as exp, gelu or atan2; all is every one. Without any: a list of them.",
            autocompletion=_complete_function,
            show_default=False,
        ),
    ] = None,
    dtype: Annotated[
        list[str] | None,
        typer.Option(
            "--dtype",
            metavar="FORMAT",
            help="Format of inputs and results; repeat for several. Default: bfloat16 and float16.",
            autocompletion=options.complete_format,
            show_default=False,
        ),
    ] = None,
    backend: Annotated[
        list[str] | None,
        typer.Option(
            help="Who computes; repeat for several. Default: torch.",
            show_default=False,
            **options.one_of(BACKENDS),
        ),
    ] = None,
    device: Annotated[
        list[str] | None,
        typer.Option(
            help="Where torch computes: cpu, cuda, cuda:N or auto; repeat for several. Default: "
            "cpu.",
            show_default=False,
        ),
    ] = None,
    exhaustive: Annotated[
        bool,
        typer.Option(
            "--exhaustive",
            help="All 4,294,967,296 inputs of float32 too, not boundaries and random ones.",
        ),
    ] = False,
    size: Annotated[int, typer.Option(help="Random inputs where not all are tried.")] = 1 << 16,
    seed: Annotated[int, typer.Option(help="Seed of those.")] = 0,
    examples: Annotated[int, typer.Option(help="Examples to keep of each cause.")] = 1,
    layout: Annotated[
        str,
        typer.Option(
            help="How the inputs lie; scalar computes each alone.", **options.one_of(LAYOUTS)
        ),
    ] = CONTIGUOUS,
    compiled: Annotated[
        bool, typer.Option("--compile", help="The function that torch.compile makes.")
    ] = False,
    flush_denormal: Annotated[
        bool,
        typer.Option("--flush-denormal", help="With the processor's flush-to-zero mode on."),
    ] = False,
    fail_if: Annotated[
        list[str] | None,
        typer.Option(
            "--fail-if",
            metavar="CONDITION",
            help="Exit 1 if this holds of a function, such as wrong_count or 'max_error_ulp>1': "
            f"{listed(NUMBERS, 40)}. Repeat for several.",
            show_default=False,
        ),
    ] = None,
    how: Output = SCREEN,
) -> None:
    """Prove what functions do: compare exp, gelu and others with correct rounding, bit for bit.

    Every input of formats of up to 16 bits, and every pair of 8-bit formats for functions of two;
    of others the boundaries and random inputs. What differs is told by its cause.

    [bold]Examples[/bold]

    \b
    fpx op-verify erf --dtype bf16
    fpx op-verify all --dtype bf16 --fail-if 'max_error_ulp>1'
    fpx op-verify exp gelu --dtype fp32 --exhaustive
    fpx op-verify silu --device cuda --compile
    fpx op-verify add mul --dtype e4m3fn --backend numpy
    fpx op-verify                                      lists the functions
    """
    if not functions:
        from fpx.arithmetic.functions.op_verify import list_functions

        show(list_functions(), how)
        return
    checks = [parse_limit(text, NUMBERS, SUCH) for text in fail_if or ()]
    formats = without_scales(find_targets(dtype or ("bfloat16", "float16")))

    from fpx.arithmetic.functions.catalogue import ALL, find_functions
    from fpx.arithmetic.functions.op_verify import op_verify as verify

    found = find_functions(functions)
    with ProgressBar("computing") as progress:
        report = verify(
            found,
            formats,
            backends=backend or (),
            devices=device or ["cpu"],
            exhaustive=exhaustive,
            size=size,
            seed=seed,
            examples=examples,
            layout=layout,
            compiled=compiled,
            flush_denormal=flush_denormal,
            checks=checks,
            lenient=ALL in functions,
            progress=progress,
        )
    done = sum(row.checked_count for row in report.rows)
    cut = f"interrupted after {done:,} results: what they showed is on stdout"
    finish(
        report,
        how,
        took=report.details.device if "auto" in (device or ()) else None,
        interrupted=None if report.complete else cut,
        unchecked=report.unchecked,
        failures=report.failures(),
    )
