"""Options that several commands share, each declared once."""

from __future__ import annotations

from typing import Annotated

import typer

from fpx.cli.output import complete_format
from fpx.core.codec import Overflow, Rounding
from fpx.core.literals import ReadAs

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead.")]

Formats = Annotated[
    list[str] | None,
    typer.Option(
        "--dtype",
        metavar="FORMAT",
        help="Format, such as float16, bf16 or binary32; repeat for several.",
        autocompletion=complete_format,
        show_default=False,
    ),
]

RoundingMode = Annotated[
    Rounding, typer.Option("--rounding", help="What becomes of a number between two values.")
]

OverflowPolicy = Annotated[
    Overflow,
    typer.Option("--overflow", help="Beyond the largest finite value: infinity, or that value."),
]

Meaning = Annotated[
    ReadAs,
    typer.Option("--as", help="What 0x4049, 0b0100 and 16 mean: a code of the format or a value."),
]
