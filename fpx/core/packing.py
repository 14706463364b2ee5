"""Codes in raw bytes: how they follow each other in memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import Enum


class Packing(Enum):
    """How codes whose width is no whole number of bytes lie in bytes."""

    LOW_FIRST = "low-first"
    """Without gaps, the first code in the lowest bits of the first byte: of two 4-bit codes in a
    byte the low nibble comes first (torch's `float4_e2m1fn_x2`, ONNX's FLOAT4E2M1)."""
    HIGH_FIRST = "high-first"
    """Without gaps, the first code in the highest bits of the first byte (bitsandbytes)."""
    SPLIT_HALVES = "split-halves"
    """4-bit codes in blocks: each byte has a code of the first half in its low nibble, and the one
    half a block later in its high nibble (GGUF, where blocks of 32 lie in 16 bytes)."""
    BYTES = "bytes"
    """Each code in the low bits of bytes of its own, as ml_dtypes' arrays hold them."""


def default_packing(bits: int) -> Packing:
    """Codes below a byte are packed; others have whole bytes."""
    return Packing.LOW_FIRST if bits < 8 else Packing.BYTES


def group_bytes(bits: int, packing: Packing) -> int:
    """The smallest number of bytes that holds a whole number of codes."""
    if packing is Packing.BYTES:
        return -(-bits // 8)
    width = bits
    while width % 8:
        width += bits
    return width // 8


class Unpacker:
    """The codes in bytes that come piece by piece.

    Args:
        bits: width of a code.
        packing: how codes follow each other.
        big_endian: of codes with whole bytes, whether the highest byte comes first.
    """

    def __init__(self, bits: int, packing: Packing, big_endian: bool = False) -> None:
        self._bits, self._packing, self._big_endian = bits, packing, big_endian
        self._size = group_bytes(bits, packing)
        self._rest = b""

    def feed(self, data: bytes) -> list[int]:
        """The codes that are whole now."""
        data = self._rest + data if self._rest else data
        whole = len(data) - len(data) % self._size
        self._rest = data[whole:]
        return [
            code
            for start in range(0, whole, self._size)
            for code in _split(
                data[start : start + self._size], self._bits, self._packing, self._big_endian
            )
        ]

    def finish(self) -> tuple[list[int], int]:
        """The codes of an incomplete group, and the number of bytes after the last code."""
        if self._packing is Packing.BYTES:
            return [], len(self._rest)
        codes = list(_split(self._rest, self._bits, self._packing, self._big_endian))
        return codes, (8 * len(self._rest) - self._bits * len(codes)) // 8


def unpack(
    chunks: Iterable[bytes], bits: int, packing: Packing, big_endian: bool = False
) -> Iterator[int]:
    """The codes in a stream of bytes that is cut anywhere; arguments as for `Unpacker`.

    A rest that is no whole code is dropped.
    """
    unpacker = Unpacker(bits, packing, big_endian)
    for chunk in chunks:
        yield from unpacker.feed(chunk)
    yield from unpacker.finish()[0]


def _split(data: bytes, bits: int, packing: Packing, big_endian: bool) -> Iterator[int]:
    """The whole codes in some bytes, of which the first starts a code."""
    mask = (1 << bits) - 1
    if packing is Packing.BYTES:
        yield int.from_bytes(data, "big" if big_endian else "little") & mask
    elif packing is Packing.LOW_FIRST:
        number = int.from_bytes(data, "little")
        for at in range(0, 8 * len(data) - bits + 1, bits):
            yield number >> at & mask
    else:
        number = int.from_bytes(data, "big")
        for at in range(8 * len(data) - bits, -1, -bits):
            yield number >> at & mask
