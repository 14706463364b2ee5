"""Codes in bytes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fpx.core.packing import BLOCK, Packing, Unpacker, group_bytes, offset_of, pack, unpack
from fpx.errors import InputError

DENSE = [packing for packing in Packing if packing is not Packing.SPLIT_HALVES]
CODES = [*range(16), *range(16)]
# the same 32 codes as libraries lay them: gpt-oss and torch; bitsandbytes; GGUF's types 39 and 40
LAID = [
    (Packing.LOW_FIRST, 32, "1032547698badcfe1032547698badcfe"),
    (Packing.HIGH_FIRST, 32, "0123456789abcdef0123456789abcdef"),
    (Packing.SPLIT_HALVES, 32, "00112233445566778899aabbccddeeff"),
    (Packing.SPLIT_HALVES, 16, "8091a2b3c4d5e6f78091a2b3c4d5e6f7"),
]


def packed(codes: list[int], bits: int, packing: Packing) -> bytes:
    """Codes as bytes, by way of a string of bits."""
    if packing is Packing.BYTES:
        return b"".join(code.to_bytes(-(-bits // 8), "little") for code in codes)
    if packing is Packing.HIGH_FIRST:
        text = "".join(f"{code:0{bits}b}" for code in codes)
        text += "0" * (-len(text) % 8)
        return bytes(int(text[at : at + 8], 2) for at in range(0, len(text), 8))
    text = "".join(f"{code:0{bits}b}"[::-1] for code in codes)
    text += "0" * (-len(text) % 8)
    return bytes(int(text[at : at + 8][::-1], 2) for at in range(0, len(text), 8))


@given(
    st.sampled_from([1, 4, 5, 6, 8, 12, 13, 16, 19, 32]),
    st.sampled_from(DENSE),
    st.data(),
)
def test_unpack(bits: int, packing: Packing, data: st.DataObject) -> None:
    codes = data.draw(st.lists(st.integers(0, (1 << bits) - 1)))
    raw = packed(codes, bits, packing)
    assert pack(codes, bits, packing) == raw
    cuts = sorted(data.draw(st.lists(st.integers(0, len(raw)), max_size=4)))
    chunks = [raw[a:b] for a, b in zip([0, *cuts], [*cuts, len(raw)], strict=True)]
    found = list(unpack(chunks, bits, packing))
    assert found[: len(codes)] == codes
    assert not any(found[len(codes) :])  # padding of the last byte
    assert group_bytes(bits, packing) * 8 % (bits if packing is not Packing.BYTES else 8) == 0


@pytest.mark.parametrize(("packing", "block", "laid"), LAID)
def test_nibbles_lie_as_in_peoples_files(packing: Packing, block: int, laid: str) -> None:
    assert pack(CODES, 4, packing, block).hex() == laid
    assert list(unpack([bytes.fromhex(laid)], 4, packing, block=block)) == CODES


def test_four_codes_of_6_bits_lie_in_three_bytes() -> None:
    codes = [1, 2, 3, 4, 0x1F]
    assert pack(codes, 6, Packing.LOW_FIRST).hex() == "8130101f"
    assert list(unpack([bytes.fromhex("8130101f")], 6, Packing.LOW_FIRST)) == codes


@given(st.lists(st.integers(0, 15), max_size=100), st.integers(1, 20), st.data())
def test_split_halves(codes: list[int], half: int, data: st.DataObject) -> None:
    block = 2 * half
    raw = pack(codes, 4, Packing.SPLIT_HALVES, block)
    assert len(raw) == -(-len(codes) // block) * half
    for index, code in enumerate(codes):  # GGUF's own words: byte j has element j, and j + half
        at = offset_of(index, 4, Packing.SPLIT_HALVES, block)
        number, inside = divmod(index, block)
        assert at == number * half + inside % half
        assert raw[at] >> (4 if inside >= half else 0) & 15 == code
    cut = data.draw(st.integers(0, len(raw)))
    found = list(unpack([raw[:cut], raw[cut:]], 4, Packing.SPLIT_HALVES, block=block))
    assert found[: len(codes)] == codes
    assert not any(found[len(codes) :])
    unpacker = Unpacker(4, Packing.SPLIT_HALVES, block=block)
    assert len(unpacker.feed(raw[:cut])) == cut // half * block
    assert unpacker.finish() == ([], cut % half)


@pytest.mark.parametrize(("bits", "block"), [(6, 32), (8, 32), (4, 0), (4, 31), (4, 1), (4, 5000)])
def test_what_has_no_halves_is_refused(bits: int, block: int) -> None:
    for use in (pack, lambda _, *more: Unpacker(more[0], more[1], block=more[2])):
        with pytest.raises(InputError, match=r"4 bits|even number"):
            use([], bits, Packing.SPLIT_HALVES, block)


def test_where_codes_begin() -> None:
    assert BLOCK == 32
    assert [offset_of(at, 6, Packing.LOW_FIRST) for at in range(5)] == [0, 0, 1, 2, 3]
    assert [offset_of(at, 13, Packing.BYTES) for at in range(3)] == [0, 2, 4]
