"""The report of `fpx bits`: raw bytes as the codes of a format."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from io import SEEK_END
from math import lcm
from os import PathLike
from pathlib import Path
from typing import BinaryIO, ClassVar

from fpx.core.packing import BLOCK, Packing, Unpacker, default_packing, offset_of
from fpx.core.spec import FormatSpec
from fpx.errors import InputError
from fpx.report.base import JsonValue, Report
from fpx.report.table import CodeRow
from fpx.words import cause, quoted

ROW = 16
"""Reports of a stream hold a multiple of that many codes, but for the last."""

_CHUNK = 1 << 16  # bytes


@dataclass(frozen=True, eq=False, repr=False)
class BitsReport(Report):
    """Codes in raw bytes.

    Attributes:
        spec: the codes' format.
        codes: in the order in which they lie.
        offset: the byte in which the first one starts.
        packing: how the codes lie.
        leftover_bytes: bytes at the end that are no whole code; 0 where the end was not reached.
        block: codes of a block, of split halves; the first code begins one.
    """

    schema: ClassVar[str] = "fpx.bits/1"

    spec: FormatSpec
    codes: Sequence[int]
    offset: int
    packing: Packing
    leftover_bytes: int = 0
    block: int = BLOCK

    def offset_of(self, index: int) -> int:
        """The byte in which a code starts."""
        return self.offset + offset_of(index, self.spec.bits, self.packing, self.block)

    def parts(self) -> tuple[CodeRow, ...]:
        """One row per code."""
        return tuple(CodeRow(self.spec, code) for code in self.codes)

    def results(self) -> list[dict[str, JsonValue]]:
        """One entry per code."""
        return [
            {"offset": self.offset_of(index), **row.entry()}
            for index, row in enumerate(self.parts())
        ]

    def beside(self) -> dict[str, JsonValue]:
        """`leftover_bytes`."""
        return {"leftover_bytes": self.leftover_bytes}

    def about(self) -> str:
        """The format."""
        return self.spec.name


def bits_stream(
    chunks: Iterable[bytes],
    spec: FormatSpec,
    *,
    offset: int = 0,
    count: int | None = None,
    packing: Packing | None = None,
    big_endian: bool = False,
    block: int = BLOCK,
) -> Iterator[BitsReport]:
    """Reports on the codes in bytes, each as soon as there are codes; at least one.

    Args:
        chunks: the bytes, cut anywhere.
        spec: the codes' format.
        offset: of the first byte; it is only told.
        count: codes to decode; without it all.
        packing: how codes follow each other; without it `default_packing`.
        big_endian: of codes with whole bytes, whether the highest byte comes first.
        block: codes of a block, of split halves.

    Raises:
        InputError: `offset` or `count` is negative, or split halves are asked for of what has none.
    """
    for name, number in (("offset", offset), ("count", count or 0)):
        if number < 0:
            raise InputError(f"`{name}` must not be negative, as {number} is")
    chosen = packing or default_packing(spec.bits)
    if block != BLOCK and chosen is not Packing.SPLIT_HALVES:
        raise InputError(
            f"`block` is of split halves, and these codes are {chosen.value}: choose "
            f'`packing="{Packing.SPLIT_HALVES.value}"`'
        )
    unpacker = Unpacker(spec.bits, chosen, big_endian, block)
    whole = lcm(ROW, block) if chosen is Packing.SPLIT_HALVES else ROW  # so that blocks begin one
    waiting: list[int] = []
    done = 0

    def report(codes: list[int], leftover: int = 0) -> BitsReport:
        start = offset + offset_of(done, spec.bits, chosen, block)
        return BitsReport(spec, codes, start, chosen, leftover, block)

    for chunk in chunks:
        waiting += unpacker.feed(chunk)
        if count is not None and done + len(waiting) >= count:
            yield report(waiting[: count - done])
            return
        ready = len(waiting) // whole * whole
        if ready:
            yield report(waiting[:ready])
            done += ready
            del waiting[:ready]
    codes, leftover = unpacker.finish()
    waiting += codes
    if count is not None and done + len(waiting) >= count:
        waiting, leftover = waiting[: count - done], 0
    yield report(waiting, leftover)


def read_chunks(
    source: str | PathLike[str] | bytes | bytearray | memoryview | BinaryIO, offset: int = 0
) -> Iterator[bytes]:
    """The bytes from an offset on, of a file by its path, of bytes, or of an open binary file.

    Raises:
        InputError: the file cannot be read, or ends before the offset.
    """
    if isinstance(source, (bytes, bytearray, memoryview)):
        data = bytes(source)
        if offset > len(data):
            raise InputError(f"the bytes end before byte {offset}: give a smaller `offset`")
        yield data[offset:]
        return
    try:
        if isinstance(source, (str, PathLike)):
            name = quoted(str(source))
            with Path(source).open("rb") as file:
                yield from _rest(file, offset, name)
        else:
            name = quoted(str(getattr(source, "name", "file")))
            yield from _rest(source, offset, name)
    except FileNotFoundError:
        raise InputError(f"{name}: no such file") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{name} cannot be read: {cause(error)}") from None


def _rest(file: BinaryIO, offset: int, name: str) -> Iterator[bytes]:
    _skip(file, offset, name)
    read = getattr(file, "read1", file.read)  # what is there, without waiting for more
    while chunk := read(_CHUNK):
        yield chunk


def _skip(file: BinaryIO, offset: int, name: str) -> None:
    left = offset
    if file.seekable():
        left = max(offset - file.seek(0, SEEK_END), 0)
        file.seek(offset)
    while left:
        chunk = file.read(min(left, _CHUNK))
        if not chunk:
            raise InputError(f"{name} ends before byte {offset}: give a smaller `offset`")
        left -= len(chunk)
