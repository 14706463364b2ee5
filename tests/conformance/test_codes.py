"""Which codes are cast."""

from __future__ import annotations

from fpx.casts.device import find_device
from fpx.conformance.codes import every_code
from tests.helpers import F32


def test_every_code_is_cast_once() -> None:
    codes = every_code(F32, find_device("cpu"))
    firsts = []
    for number in (0, 1, codes.blocks // 2, codes.blocks - 1):
        block, span = codes.block(number)
        assert span is not None
        assert int(block[0]) & F32.magnitude_mask == span.low
        assert int(block[-1]) & F32.magnitude_mask == span.high
        assert bool(block[0] < 0) == span.negative
        firsts.append(int(block[0]) % (1 << 32))
    assert firsts == [n * block.numel() for n in (0, 1, codes.blocks // 2, codes.blocks - 1)]
    assert codes.blocks * block.numel() == 1 << 32
