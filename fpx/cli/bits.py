"""`fpx bits`: raw bytes as the codes of a format."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import nullcontext
from io import SEEK_END
from itertools import islice
from pathlib import Path
from typing import IO, Annotated

import typer

from fpx.cli import options
from fpx.cli.output import console, stream_json
from fpx.core.packing import Packing, default_packing, unpack
from fpx.errors import InputError
from fpx.words import quoted

_CHUNK = 1 << 16  # bytes


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
            "bytes gives each whole bytes. Below 8 bits low-first, else bytes.",
            show_default=False,
        ),
    ] = None,
    json: options.Json = False,
) -> None:
    """Decode raw bytes as a hex dump does: offset, codes, and what they stand for.

    [bold]Examples[/bold]

    \b
    fpx bits weights.bin --dtype bf16 --offset 128 --count 16
    printf '\\\\x49\\\\x40' | fpx bits - --dtype bf16
    fpx bits packed.bin --dtype fp4 --packing high-first
    fpx bits data.bin --dtype float32 --big-endian --json
    """
    spec = options.find_one_format(dtype)
    if offset < 0 or (count is not None and count < 0):
        raise InputError("--offset and --count must not be negative")
    chosen = packing or default_packing(spec.bits)
    codes = islice(unpack(_chunks(file, offset), spec.bits, chosen, big_endian), count)
    stride = spec.bits if chosen is not Packing.BYTES else 8 * -(-spec.bits // 8)
    if json:
        from fpx.report.table import code_entry

        stream_json(
            "fpx.bits/1",
            (
                {"offset": offset + index * stride // 8, **code_entry(code, spec)}
                for index, code in enumerate(codes)
            ),
        )
        return

    from fpx.render.bits import ByteLines

    lines = ByteLines(spec, console().width)
    done = 0
    while row := list(islice(codes, lines.per_line)):
        sys.stdout.write(lines.line(offset + done * stride // 8, row) + "\n")
        done += len(row)


def _chunks(name: str, offset: int) -> Iterator[bytes]:
    """The bytes of a file or stdin from an offset on.

    Raises:
        InputError: it cannot be read, or ends before the offset.
    """
    try:
        with nullcontext(sys.stdin.buffer) if name == "-" else Path(name).open("rb") as file:
            _skip(file, offset, name)
            while chunk := file.read1(_CHUNK):  # type: ignore[union-attr]  # both are buffered
                yield chunk
    except FileNotFoundError:
        raise InputError(f"{quoted(name)}: no such file") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{quoted(name)} cannot be read: {reason}") from None


def _skip(file: IO[bytes], offset: int, name: str) -> None:
    left = offset
    if file.seekable():
        left = max(offset - file.seek(0, SEEK_END), 0)
        file.seek(offset)
    while left:
        chunk = file.read(min(left, _CHUNK))
        if not chunk:
            raise InputError(f"{quoted(name)} ends before byte {offset}: give a smaller --offset")
        left -= len(chunk)
