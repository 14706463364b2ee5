"""The shortest decimal that rounds to a code."""

from __future__ import annotations

import random
import struct
from fractions import Fraction

import numpy as np
import pytest

from fpx.core.shortest import shortest_decimal
from tests.helpers import F16, F32, F64


@pytest.mark.parametrize("seed", range(4))
def test_shortest_of_random_codes_is_repr(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(15_000):
        code = rng.getrandbits(64)
        (x,) = struct.unpack("d", struct.pack("Q", code))
        if x - x == 0:
            assert shortest_decimal(code, F64) == repr(x).removesuffix(".0")
        code = rng.getrandbits(32)
        y = np.uint32(code).view(np.float32)
        if np.isfinite(y):
            digits = np.format_float_scientific(y, unique=True, trim="-")
            assert Fraction(shortest_decimal(code, F32)) == Fraction(digits)


def test_shortest_of_every_float16_is_numpys() -> None:
    for code in range(1 << 16):
        x = np.uint16(code).view(np.float16)
        if np.isfinite(x):
            digits = np.format_float_scientific(x, unique=True, trim="-")
            assert Fraction(shortest_decimal(code, F16)) == Fraction(digits)
