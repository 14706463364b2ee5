"""Codes in bytes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fpx.core.packing import Packing, group_bytes, unpack


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
    st.sampled_from(list(Packing)),
    st.data(),
)
def test_unpack(bits: int, packing: Packing, data: st.DataObject) -> None:
    codes = data.draw(st.lists(st.integers(0, (1 << bits) - 1)))
    raw = packed(codes, bits, packing)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(raw)), max_size=4)))
    chunks = [raw[a:b] for a, b in zip([0, *cuts], [*cuts, len(raw)], strict=True)]
    found = list(unpack(chunks, bits, packing))
    assert found[: len(codes)] == codes
    assert not any(found[len(codes) :])  # padding of the last byte
    assert group_bytes(bits, packing) * 8 % (bits if packing is not Packing.BYTES else 8) == 0
