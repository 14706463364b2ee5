"""`fpx bits`: raw bytes as the codes of a format."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Annotated

import typer

from fpx.cli import options
from fpx.cli.failures import note
from fpx.cli.output import SCREEN, Output, show
from fpx.core.packing import BLOCK, Packing
from fpx.report.bits import BitsReport, bits_stream, read_chunks


@options.output_forms
def bits(
    file: Annotated[
        str,
        typer.Argument(metavar="FILE", help="A file; - reads stdin.", show_default=False),
    ],
    dtype: options.OneFormat,
    offset: Annotated[int, typer.Option("--offset", help="Bytes to skip first.")] = 0,
    count: Annotated[
        int | None,
        typer.Option("--count", help="Codes to decode; without it all.", show_default=False),
    ] = None,
    big_endian: Annotated[
        bool, typer.Option("--big-endian", help="The highest byte of a code comes first.")
    ] = False,
    packing: Annotated[
        Packing | None,
        typer.Option(
            "--packing",
            help="Where codes of 4, 6 or other odd widths lie: low-first packs them from the "
            "lowest bits of each byte on (the low nibble first), high-first from the highest, "
            "split-halves has each block's first half in the low nibbles (GGUF), bytes gives each "
            "whole bytes. Below 8 bits low-first, else bytes.",
            show_default=False,
        ),
    ] = None,
    block: Annotated[
        int, typer.Option("--block", help="Codes of a block of split halves; GGUF's NVFP4 has 16.")
    ] = BLOCK,
    how: Output = SCREEN,
) -> None:
    """Decode raw bytes as a hex dump does: offset, codes, and what they stand for.

    [bold]Examples[/bold]

    \b
    fpx bits weights.bin --dtype bf16 --offset 128 --count 16
    printf '\\\\x49\\\\x40' | fpx bits - --dtype bf16
    fpx bits packed.bin --dtype fp4 --packing high-first
    fpx bits blocks.bin --dtype fp4 --packing split-halves --block 16
    fpx bits data.bin --dtype float32 --big-endian --json
    """
    spec = options.find_one_format(dtype)
    source = sys.stdin.buffer if file == "-" else file
    show(
        _told(
            bits_stream(
                read_chunks(source, offset),
                spec,
                offset=offset,
                count=count,
                packing=packing,
                big_endian=big_endian,
                block=block,
            )
        ),
        how,
    )


def _told(reports: Iterator[BitsReport]) -> Iterator[BitsReport]:
    """The reports; of bytes at the end that are no code, a note says how many there are."""
    for report in reports:
        yield report
        if report.leftover_bytes:
            count = report.leftover_bytes
            note(
                f"the last {count} byte{'s are' if count > 1 else ' is'} no whole code of "
                f"{report.spec.name}, and left out"
            )
