"""Bytes of files in one bounded buffer, as blocks of a tensor."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, TypeAlias

import numpy as np
import torch

from fpx.errors import InputError
from fpx.tensors.rows import Read
from fpx.words import quoted_path

Stream: TypeAlias = io.BufferedIOBase | io.RawIOBase


Bytes: TypeAlias = np.ndarray[Any, np.dtype[np.uint8]]


def raw_blocks(file: Stream, count: int, itemsize: int, limit: int, name: str) -> Iterator[Bytes]:
    """`count` items from the file's position on, in one buffer that is used again.

    Raises:
        InputError: the file ends before.
    """
    buffer: Bytes = np.empty(min(limit, count) * itemsize, dtype=np.uint8)
    for start in range(0, count, limit):
        block = buffer[: min(limit, count - start) * itemsize]
        fill(file, block.data, name)
        yield block


def fill(file: Stream, buffer: memoryview, name: str) -> None:
    """Reads as many bytes as the buffer has.

    Raises:
        InputError: the file ends before.
    """
    filled = 0
    while filled < len(buffer):
        chunk = file.readinto(buffer[filled:])
        if not chunk:
            raise ends_early(name)
        filled += chunk


def ends_early(name: str) -> InputError:
    """What is said of a file that has fewer bytes than it should."""
    return InputError(f"{quoted_path(name)} ends too early: it is damaged or still being written")


def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of a JSON document, for `object_pairs_hook`; a key that comes twice is an error."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key comes twice")
    return found


def file_blocks(path: Path, at: int, dtype: torch.dtype, count: int) -> Read:
    """Reads `count` little-endian elements that begin at a byte of a file."""

    def blocks(limit: int) -> Iterator[torch.Tensor]:
        with path.open("rb", buffering=0) as file:
            file.seek(at)
            for raw in raw_blocks(file, count, dtype.itemsize, limit, str(path)):
                yield torch.from_numpy(raw).view(dtype)

    return blocks


def record_start(file: IO[bytes], info: zipfile.ZipInfo) -> int:
    """Where in an archive the bytes of a stored member begin, by the member's own header."""
    file.seek(info.header_offset + 26)
    lengths = file.read(4)  # of the name, and of what pads it
    if len(lengths) < 4:
        raise zipfile.BadZipFile("a member beyond the end")
    name, padding = (int.from_bytes(part, "little") for part in (lengths[:2], lengths[2:]))
    return info.header_offset + 30 + name + padding
