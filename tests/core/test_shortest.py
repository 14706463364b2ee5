"""The shortest decimal that rounds to a code."""

from __future__ import annotations

import math
import random
import struct
from fractions import Fraction

import numpy as np
import pytest

from fpx.core import codec
from fpx.core.formats import FORMATS
from fpx.core.names import find_format
from fpx.core.shortest import shortest_decimal
from fpx.core.spec import FormatSpec
from tests import oracle
from tests.helpers import F16, F32, F64, encode, results


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


def shortest_by_search(code: int, spec: FormatSpec) -> Fraction:
    """Of all decimals that round to a code, the nearest of those with the fewest digits."""
    value = codec.decode(code, spec)
    assert value is not None
    x = value.fraction
    for digits in range(1, 20):
        start = math.floor(math.log10(x)) - digits + 1
        found = [
            (abs(n * step - x), n % 2, n * step)
            for step in (Fraction(10) ** power for power in range(start - 1, start + 3))
            for n in range(int(x // step) - 1, int(x // step) + 3)
            if 0 < n < 10**digits and encode(n * step, spec) == code
        ]
        if found:
            return min(found)[2]
    raise AssertionError(f"{code:#x} has no short decimal")


@pytest.mark.parametrize(
    "spec",
    [*(s for s in FORMATS.values() if s.bits <= 32), *oracle.FAMILIES, find_format("e3m1")],
    ids=lambda s: s.name,
)
def test_shortest_at_the_edges_of_binades(spec: FormatSpec) -> None:
    """Powers of two, the smallest normal above all, whose neighbours are equally near; the ends."""
    step = 1 << spec.fraction_bits
    edges = {1, step - 1, step, step + 1, 2 * step}
    if spec.infinity or spec.nan_code is not None:  # else all beyond the largest rounds to it
        edges.add(spec.max_finite_magnitude)
    compared = 0
    for magnitude in (m for m in edges if int(spec.zero) <= m <= spec.max_finite_magnitude):
        found = Fraction(shortest_decimal(magnitude, spec))
        assert encode(found, spec) == magnitude
        assert found == shortest_by_search(magnitude, spec), magnitude
        compared += 1
    assert compared


def test_of_two_of_one_digit_the_nearer_is_shown() -> None:
    for value, name, text in (
        ("3/32", "e5m2", "0.09"),
        ("3/32", "e3m4", "0.09"),
        ("8", "e3m0", "8"),
    ):
        (entry,) = results("decode", value, "--dtype", name)
        assert entry["shortest"] == text


def test_the_shortest_of_the_smallest_normal() -> None:
    for name, text in (("tf32", "1.175e-38"), ("e3m1", "0.2"), ("fp32", "1.1754944e-38")):
        (entry,) = results("decode", "smallest_normal", "--dtype", name)
        assert entry["shortest"] == text
