"""`fpx calc`: arithmetic in formats."""

from __future__ import annotations

from typing import Annotated

import typer

from fpx.cli import options
from fpx.cli.failures import command_path, finish, meant_option
from fpx.cli.output import SCREEN, Output
from fpx.core.literals import ReadAs
from fpx.core.policy import Overflow, Rounding, find_rounding
from fpx.core.targets import find_targets, without_scales
from fpx.errors import InputError
from fpx.report.calc import NUMBERS, Order
from fpx.words import listed, quoted


@options.output_forms
def calc(
    expression: Annotated[
        list[str],
        typer.Argument(
            metavar="EXPRESSION...",
            help="Numbers as for decode (those with a / in brackets: '[1/3]'), + - * /, sqrt(a), "
            "abs(a), fma(a, b, c), min(a, ...), max(a, ...), sum(a, ...), dot(a, ... | b, ...).",
            show_default=False,
        ),
    ],
    dtype: options.Formats = None,
    rounding: options.RoundingMode = Rounding.TIES_TO_EVEN.value,
    overflow: options.OverflowPolicy = Overflow.IEEE,
    read_as: options.Meaning = ReadAs.AUTO,
    precise: Annotated[
        bool,
        typer.Option(
            "--precise",
            help="Compute the whole exactly, from the numbers as they are written, and round once.",
        ),
    ] = False,
    order: Annotated[
        Order,
        typer.Option(
            "--order",
            help="How sum and dot add: from left to right, in halves, with Kahan's compensation, "
            "or exactly with one rounding.",
        ),
    ] = Order.SEQUENTIAL,
    trace: Annotated[bool, typer.Option("--trace", help="Show every step.")] = False,
    all_: Annotated[
        list[str] | None,
        typer.Option(
            "--all",
            metavar="NAME",
            help="A variable of the expression that takes every code of the format, of up to 16 "
            "bits: count where the result equals it, overflows and the like. Two variables: up to "
            "8 bits.",
            show_default=False,
        ),
    ] = None,
    libraries: Annotated[
        bool,
        typer.Option("--libraries", help="Also compute with numpy, ml_dtypes and torch."),
    ] = False,
    fail_if: Annotated[
        list[str] | None,
        typer.Option(
            "--fail-if",
            metavar="CONDITION",
            help=f"Exit 1 if this holds, such as inexact or 'error_ulp>0.5': {listed(NUMBERS)}; "
            "with --all the counts that --json has. Repeat for several.",
            show_default=False,
        ),
    ] = None,
    how: Output = SCREEN,
) -> None:
    """Compute in a format, exactly: every operation rounded once, beside the exact value.

    Without --dtype: float64, float32, float16 and bfloat16.

    [bold]Examples[/bold]

    \b
    fpx calc '0.05 - 1e-5' --dtype bf16             is 0.05 again
    fpx calc '0.1 + 0.2'                            four formats
    fpx calc 'fma(0.1, 10, -1)' --dtype fp32 --trace
    fpx calc 'sum(1, 2^-8, 2^-8)' --dtype bf16 --order kahan
    fpx calc 'sqrt(2) * sqrt(2)' --dtype fp16 --precise
    fpx calc 'x * 0.999' --dtype bf16 --all x       who can decay?
    fpx calc 'x + y' --dtype e4m3fn --all x --all y
    fpx calc '1/3 - 0x3eab' --dtype bf16 --libraries
    fpx calc '0.05 - 1e-5' --dtype bf16 --rounding stochastic
    fpx calc 'x * y' --dtype fp4 --all x,y --rounding stochastic:1
    """
    wrong = next((word for word in expression if word.startswith("--")), None)
    if wrong is not None:  # unknown options reach the expression, because -1 looks like one
        raise InputError(
            f"no such option: {quoted(wrong)}{meant_option(wrong)} (see {command_path()} --help)"
        )

    from fpx.arithmetic.calc import calc as compute

    report = compute(
        " ".join(expression),
        without_scales(find_targets(dtype or options.SIDE_BY_SIDE)),
        rounding=find_rounding(rounding),
        overflow=overflow,
        read_as=read_as,
        precise=precise,
        order=order,
        traced=trace,
        variables=all_ or (),
        libraries=libraries,
        conditions=fail_if or (),
    )
    found = report.items[0] if len(report.items) == 1 else report
    finish(found, how, failures=report.failures())
