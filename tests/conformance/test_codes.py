"""Which codes are cast."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from fpx.casts.device import find_device
from fpx.conformance.cast_verify import find_origin
from fpx.conformance.codes import every_code, sampled_codes
from fpx.core.spec import FormatSpec
from tests.helpers import BF16, E4M3, E8M0, F16, F32, F64


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


@pytest.mark.parametrize("target", [F16, E4M3, E8M0], ids=lambda s: s.name)
@pytest.mark.parametrize("source", [F64, F32], ids=lambda s: s.name)
def test_samples_have_the_special_values_of_both_signs(
    source: FormatSpec, target: FormatSpec
) -> None:
    codes = sampled_codes(source, target, 50, 0, find_device("cpu"))
    found = {int(c) % (1 << source.bits) for n in range(codes.blocks) for c in codes.block(n)[0]}
    top, nan = source.max_finite_magnitude, source.nan_code
    assert nan is not None
    for magnitude in (0, top, top + 1, top + 2, nan):  # with infinity and two kinds of NaN
        assert {magnitude, magnitude | source.sign_mask} <= found
    assert codes.kind == "sampled"


@pytest.mark.parametrize("name", ["int32", "int64"])
def test_samples_of_integers_have_both_signs(name: str) -> None:
    source = find_origin(name)
    codes = sampled_codes(source, BF16, 50, 0, find_device("cpu"))
    found = {int(c) for n in range(codes.blocks) for c in codes.block(n)[0]}
    top = 1 << (source.bits - 1)
    assert {0, 1, -1, -top, top - 1, 257, -257, 259, -259} <= found


def test_samples_depend_on_the_seed_alone() -> None:
    def drawn(seed: int) -> Tensor:
        codes = sampled_codes(F64, F16, 1000, seed, find_device("cpu"))
        return torch.cat([codes.block(n)[0] for n in range(codes.blocks)])

    assert torch.equal(drawn(3), drawn(3))
    assert not torch.equal(drawn(3), drawn(4))
