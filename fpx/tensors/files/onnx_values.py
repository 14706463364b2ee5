"""Elements of ONNX's tensors that do not lie in a file one after the other: numbers of varying
length, several codes in a byte, and data in several pieces."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from fpx.errors import InputError
from fpx.tensors.files.headers import Stream
from fpx.tensors.files.raw import Bytes, raw_blocks
from fpx.words import quoted_path

Unsigned: TypeAlias = "np.ndarray[Any, np.dtype[np.uint64]]"

_PIECE = 1 << 16  # bytes of varying numbers read at a time
_LONGEST = 10  # bytes of one


class Pieces(io.RawIOBase):
    """Parts of a file as one stream.

    Args:
        path: the file.
        parts: (first byte, the byte behind the last) of each.
    """

    def __init__(self, path: Path, parts: Sequence[tuple[int, int]]) -> None:
        self._file = path.open("rb", buffering=0)
        self._parts = iter(parts)
        self._left = 0

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Any) -> int:
        """As of any file."""
        while not self._left:
            part = next(self._parts, None)
            if part is None:
                return 0
            self._file.seek(part[0])
            self._left = part[1] - part[0]
        target = memoryview(buffer).cast("B")[: self._left]
        count = self._file.readinto(target) or 0
        self._left -= count
        return count

    def close(self) -> None:
        """Closes the file too."""
        self._file.close()
        super().close()


def varying(stream: Stream, count: int, limit: int, name: str) -> Iterator[Unsigned]:
    """Numbers of varying length: seven bits in a byte, the lowest first, the last below 0x80.

    Args:
        stream: nothing but such numbers.
        count: how many there should be.
        limit: numbers of a block, at most.
        name: the file's name for messages.

    Raises:
        InputError: there are more or fewer, or one is too long.
    """
    rest = b""
    seen = 0
    while data := stream.read(_PIECE):
        raw = np.frombuffer(rest + data, dtype=np.uint8)
        ends = np.flatnonzero(raw < 0x80) + 1
        starts = np.concatenate(([0], ends[:-1])) if len(ends) else ends
        rest = raw[ends[-1] if len(ends) else 0 :].tobytes()
        seen += len(ends)
        lengths = ends - starts
        if seen > count or len(rest) >= _LONGEST or (len(ends) and lengths.max() > _LONGEST):
            raise _damaged(name, count)
        found = np.zeros(len(ends), dtype=np.uint64)
        for place in range(int(lengths.max()) if len(ends) else 0):
            longer = lengths > place
            bits = (raw[starts[longer] + place] & 0x7F).astype(np.uint64)
            found[longer] |= bits << np.uint64(7 * place)
        for start in range(0, len(found), limit):
            yield found[start : start + limit]
    if rest or seen < count:
        raise _damaged(name, count)


def _damaged(name: str, count: int) -> InputError:
    return InputError(f"{quoted_path(name)} is damaged: a tensor has not the {count:,} numbers of "
                      "its shape")  # fmt: skip


def packed(stream: Stream, count: int, bits: int, limit: int, name: str) -> Iterator[Bytes]:
    """Codes of 2, 4 or 6 bits without gaps, the first in the lowest bits, each in its own byte.

    Args:
        stream: their bytes.
        count: how many codes there are.
        bits: width of a code.
        limit: codes of a block, at most.
        name: the file's name for messages.

    Raises:
        InputError: the stream ends before.
    """
    nbytes = -(-count * bits // 8)
    group = 3 if bits == 6 else 1  # bytes of whole codes
    at_once = max(limit * bits // 8 // group, 1) * group
    left = count
    for raw in raw_blocks(stream, nbytes, 1, at_once, name):
        codes = unpacked(raw, bits)[:left]
        left -= len(codes)
        for start in range(0, len(codes), limit):
            yield codes[start : start + limit]


def unpacked(raw: Bytes, bits: int) -> Bytes:
    """The codes of some bytes, the first in the lowest bits; bits are 2, 4 or 6."""
    if bits == 6:
        padded = np.concatenate((raw, np.zeros(-len(raw) % 3, dtype=np.uint8)))
        three = padded.reshape(-1, 3).astype(np.uint32)
        words = three[:, 0] | three[:, 1] << 8 | three[:, 2] << 16
        shifts = np.arange(0, 24, 6, dtype=np.uint32)
        return (words[:, None] >> shifts & 63).astype(np.uint8).reshape(-1)
    shifts = np.arange(0, 8, bits, dtype=np.uint8)
    codes: Bytes = (raw[:, None] >> shifts & np.uint8((1 << bits) - 1)).reshape(-1)
    return codes
