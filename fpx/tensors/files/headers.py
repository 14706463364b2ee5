"""What readers of headers share: bytes that must be there, and JSON whose keys come once.

Nothing here loads a library of tensors: a file's header is listed without one.
"""

from __future__ import annotations

import io
import zipfile
from typing import IO, Any, TypeAlias

from fpx.errors import InputError
from fpx.words import quoted_path

Stream: TypeAlias = io.BufferedIOBase | io.RawIOBase


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


def record_start(file: IO[bytes], info: zipfile.ZipInfo) -> int:
    """Where in an archive the bytes of a stored member begin, by the member's own header."""
    file.seek(info.header_offset + 26)
    lengths = file.read(4)  # of the name, and of what pads it
    if len(lengths) < 4:
        raise zipfile.BadZipFile("a member beyond the end")
    name, padding = (int.from_bytes(part, "little") for part in (lengths[:2], lengths[2:]))
    return info.header_offset + 30 + name + padding
