"""Codes in raw bytes: how they follow each other in memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from enum import Enum
from math import lcm

from fpx.errors import InputError


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


BLOCK = 32
"""Codes of a block of split halves, where nobody says; NVFP4 has 16 (ggml's `block_nvfp4`)."""

_LARGEST_BLOCK = 4096  # codes; what is split in people's files has 16 or 32


def default_packing(bits: int) -> Packing:
    """Codes below a byte are packed; others have whole bytes."""
    return Packing.LOW_FIRST if bits < 8 else Packing.BYTES


def group_bytes(bits: int, packing: Packing, block: int = BLOCK) -> int:
    """The smallest number of bytes that holds a whole number of codes, of split halves a block.

    Raises:
        InputError: split halves of codes that have not 4 bits, or of a `block` that has no halves.
    """
    if packing is Packing.BYTES:
        return -(-bits // 8)
    if packing is Packing.SPLIT_HALVES:
        if bits != 4:
            raise InputError(f"split halves are of codes of 4 bits, and these have {bits}")
        if block < 2 or block % 2 or block > _LARGEST_BLOCK:
            raise InputError(
                f"`block` must be an even number up to {_LARGEST_BLOCK}, not {block}: split halves "
                "are of whole blocks"
            )
        return block // 2
    return lcm(bits, 8) // 8


def offset_of(index: int, bits: int, packing: Packing, block: int = BLOCK) -> int:
    """The byte in which a code begins, counted from the one in which the first does."""
    if packing is Packing.SPLIT_HALVES:
        return index // block * (block // 2) + index % block % (block // 2)
    if packing is Packing.BYTES:
        return index * -(-bits // 8)
    return index * bits // 8


class Unpacker:
    """The codes in bytes that come piece by piece.

    Args:
        bits: width of a code.
        packing: how codes follow each other.
        big_endian: of codes with whole bytes, whether the highest byte comes first.
        block: codes of a block, of split halves.

    Raises:
        InputError: as `group_bytes`.
    """

    def __init__(
        self, bits: int, packing: Packing, big_endian: bool = False, block: int = BLOCK
    ) -> None:
        self._bits, self._packing, self._big_endian = bits, packing, big_endian
        self._size = group_bytes(bits, packing, block)
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
        """The codes of an incomplete group, and the number of bytes after the last code.

        Half a block of split halves has no codes.
        """
        if self._packing in (Packing.BYTES, Packing.SPLIT_HALVES):
            return [], len(self._rest)
        codes = list(_split(self._rest, self._bits, self._packing, self._big_endian))
        return codes, (8 * len(self._rest) - self._bits * len(codes)) // 8


def unpack(
    chunks: Iterable[bytes],
    bits: int,
    packing: Packing,
    big_endian: bool = False,
    block: int = BLOCK,
) -> Iterator[int]:
    """The codes in a stream of bytes that is cut anywhere; arguments as for `Unpacker`.

    A rest that is no whole code is dropped.
    """
    unpacker = Unpacker(bits, packing, big_endian, block)
    for chunk in chunks:
        yield from unpacker.feed(chunk)
    yield from unpacker.finish()[0]


def pack(codes: Sequence[int], bits: int, packing: Packing, block: int = BLOCK) -> bytes:
    """The bytes of some codes, the highest byte of a wide one last; what is left over is 0.

    Of split halves the last block is filled up with codes of 0.

    Raises:
        InputError: as `group_bytes`.
    """
    size = group_bytes(bits, packing, block)
    if packing is Packing.BYTES:
        return b"".join(code.to_bytes(size, "little") for code in codes)
    if packing is Packing.SPLIT_HALVES:
        codes = [*codes, *[0] * (-len(codes) % block)]
        starts = (at + low for at in range(0, len(codes), block) for low in range(block // 2))
        return bytes(codes[low] | codes[low + block // 2] << 4 for low in starts)
    length = -(-bits * len(codes) // 8)
    number = 0
    if packing is Packing.LOW_FIRST:
        for code in reversed(codes):
            number = number << bits | code
        return number.to_bytes(length, "little")
    for code in codes:
        number = number << bits | code
    return (number << (8 * length - bits * len(codes))).to_bytes(length, "big")


def _split(data: bytes, bits: int, packing: Packing, big_endian: bool) -> Iterator[int]:
    """The whole codes in some bytes, of which the first starts a code."""
    mask = (1 << bits) - 1
    if packing is Packing.BYTES:
        yield int.from_bytes(data, "big" if big_endian else "little") & mask
    elif packing is Packing.LOW_FIRST:
        number = int.from_bytes(data, "little")
        for at in range(0, 8 * len(data) - bits + 1, bits):
            yield number >> at & mask
    elif packing is Packing.SPLIT_HALVES:
        yield from (byte & mask for byte in data)
        yield from (byte >> bits for byte in data)
    else:
        number = int.from_bytes(data, "big")
        for at in range(8 * len(data) - bits, -1, -bits):
            yield number >> at & mask
