"""`fpx explore`: a number's bits to play with."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Annotated

import typer

from fpx.cli import options
from fpx.cli.failures import INTERNAL_ERROR, note
from fpx.cli.values import read_numbers
from fpx.core.formats import FORMATS
from fpx.core.literals import ReadAs
from fpx.core.numbers import Code, Literal
from fpx.core.policy import Overflow, Rounding, Stochastic, find_rounding
from fpx.core.spec import FormatSpec
from fpx.errors import InputError, UnavailableError

if TYPE_CHECKING:
    from fpx.explore.state import State

DTYPES = ("bfloat16", "float16", "float32")
"""The formats where nobody chose: the first leads."""

NEEDS = ("textual>=8.2.8", "textual-serve>=1.1.3")
"""What the extra `explore` installs."""

_WIDER = ("float64", "float128")  # for codes that fit none of those
_VALUE = "3.14"
_WEB_DRIVER = "TEXTUAL_DRIVER"  # set by textual-serve for the processes behind its pages


def explore(
    values: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[VALUE]...",
            help=f"What to begin with: a number or a code, as fpx decode reads them; of block "
            f"formats several. Without it: {_VALUE}.",
            show_default=False,
        ),
    ] = None,
    dtype: options.Targets = None,
    rounding: options.RoundingMode = Rounding.TIES_TO_EVEN.value,
    overflow: options.OverflowPolicy = Overflow.IEEE,
    read_as: options.Meaning = ReadAs.AUTO,
    web: Annotated[
        bool,
        typer.Option(
            "--web",
            help="Serve it to browsers on this machine: prints the address, ends with Ctrl-C.",
        ),
    ] = False,
    host: Annotated[
        str | None,
        typer.Option(
            "--host",
            metavar="ADDRESS",
            help="With --web: another address than 127.0.0.1, for other machines to open.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Play with a number's bits: flip them, step by one value, and see what becomes of it.

    A program for the whole terminal, with keys and mouse; ? shows the keys, q leaves and prints the
    fpx decode line that shows the same. The first --dtype leads. Without --dtype: bfloat16,
    float16 and float32.

    [bold]Examples[/bold]

    \b
    fpx explore 3.14
    fpx explore 0x7bff --dtype fp16 --dtype bf16
    fpx explore 448 --dtype e4m3fn --overflow saturate
    fpx explore 6 -4 3 0.1 --dtype mxfp4
    fpx explore 3.14 --web
    """
    if host is not None and not web:
        raise InputError("--host is of --web: leave it out, or add that")
    mode = find_rounding(rounding)
    if isinstance(mode, Stochastic):
        raise InputError(
            "stochastic rounding has no one result to play with: fpx decode shows all that a "
            "number may become"
        )
    given = values or [_VALUE]
    state = _state(given, dtype, mode, overflow, read_as)
    if find_spec("textual") is None or (web and find_spec("textual_serve") is None):
        needed = " ".join(f"'{each}'" for each in NEEDS)
        raise UnavailableError(
            f"fpx explore needs Textual, which is not installed: {sys.executable} -m pip install "
            f"{needed}"
        )
    if web:
        from fpx.explore.serve import LOOPBACK, serve

        if host not in (None, LOOPBACK):
            note(f"whoever reaches {host} can open fpx explore there, unencrypted")
        serve(_command(given, dtype, mode, overflow, read_as), host or LOOPBACK)
        return
    served = _WEB_DRIVER in os.environ
    if not served and not _here():
        raise InputError(
            "fpx explore draws on a terminal, and here is none: fpx decode prints the same"
        )
    from fpx.explore.app import ExploreApp
    from fpx.explore.pasted import command_line

    app = ExploreApp(state)
    app.run()
    if app.return_code:  # Textual has drawn what went wrong
        raise typer.Exit(INTERNAL_ERROR)
    if not served:
        print(command_line(app.state))


def _here() -> bool:
    """Whether there is a terminal to draw on."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def _state(
    values: Sequence[str], dtype: Sequence[str] | None, rounding: Rounding, overflow: Overflow,
    read_as: ReadAs,
) -> State:  # fmt: skip
    """What is explored first.

    Raises:
        InputError: no such number or format, several numbers where one is shown, or a format with
            scales that does not lead.
    """
    from fpx.explore.state import State

    literals = tuple(read_numbers(values, read_as))
    first, *others = options.find_targets(dtype or _usual(literals[0]))
    formats = [target for target in (first, *others) if isinstance(target, FormatSpec)]
    late = next((target for target in others if not isinstance(target, FormatSpec)), None)
    if late is not None:
        raise InputError(f"{late.name} has a scale, and such formats lead: name it first")
    if not isinstance(first, FormatSpec):
        from fpx.explore.block import Block

        block = Block.of(literals, first)
        plain = formats or [FORMATS[name] for name in DTYPES]
        return State.of(literals[0], plain, rounding, overflow).with_block(block)
    if len(literals) != 1:
        raise InputError(
            f"one VALUE at a time, not {len(literals)}: several are for formats with scales, such "
            "as mxfp4"
        )
    return State.of(literals[0], formats, rounding, overflow)


def _usual(literal: Literal) -> Sequence[str]:
    """The formats where nobody chose, after one that a code fits."""
    if not isinstance(literal, Code):
        return DTYPES
    lead = next((name for name in (*DTYPES, *_WIDER) if literal.fits(FORMATS[name])), _WIDER[-1])
    return tuple(dict.fromkeys((lead, *DTYPES)))


def _command(
    values: Sequence[str], dtype: Sequence[str] | None, rounding: Rounding, overflow: Overflow,
    read_as: ReadAs,
) -> list[str]:  # fmt: skip
    """The command that explores the same on its own terminal."""
    words = [sys.executable, "-P", "-m", "fpx", "explore", "--no-config"]
    words += [part for name in dtype or () for part in ("--dtype", name)]
    words += ["--rounding", rounding.value, "--overflow", overflow.value, "--as", read_as.value]
    return [*words, "--", *values]
