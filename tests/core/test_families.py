"""Custom eXmY formats, and those of IEEE P3109."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fpx.core import codec
from fpx.core.codec import Classification
from fpx.core.literals import to_literal
from fpx.core.names import find_format

F = Fraction


@given(st.integers(2, 11), st.integers(1, 52))
def test_custom_formats_follow_ieee(exponent_bits: int, fraction_bits: int) -> None:
    spec = find_format(f"float{1 + exponent_bits + fraction_bits}_e{exponent_bits}m{fraction_bits}")
    assert spec.bias == spec.emax == 2 ** (exponent_bits - 1) - 1
    assert spec.emin == 1 - spec.emax
    precision = fraction_bits + 1
    assert spec.max_finite.fraction == (2 - F(2) ** (1 - precision)) * F(2) ** spec.emax
    assert spec.infinity
    assert spec.nan_code == (1 << (exponent_bits + fraction_bits)) - (1 << (fraction_bits - 1))
    assert codec.encode(to_literal("inf"), spec).code == spec.nan_code & ~spec.quiet_bit


@given(st.floats(allow_nan=False))
def test_custom_formats_equal_the_libraries(x: float) -> None:
    with np.errstate(over="ignore"):
        for name, kind in (("e5m10", np.float16), ("e8m23", np.float32), ("e11m52", np.float64)):
            expected = np.asarray(kind(x))
            bits = int(expected.view(f"u{expected.itemsize}"))
            assert codec.encode(to_literal(x), find_format(name)).code == bits
    through = np.float32(x) if abs(x) < 3.5e38 else None
    if through is not None and float(through) == x:  # torch's bfloat16 goes through float32
        bits = int(torch.tensor(x, dtype=torch.float32).to(torch.bfloat16).view(torch.int16))
        assert codec.encode(to_literal(x), find_format("e8m7")).code == bits & 0xFFFF


# IEEE P3109: code x stands for, with P precision bits and exponent bias B: zero at 0, NaN at
# 2^(K-1) (signed) or 2^K - 1 (unsigned), infinity at the largest magnitude below. By hand:
P3109 = {
    "binary3p2se": ["0", "1/2", "1", "inf", "nan", "-1/2", "-1", "-inf"],
    "binary3p2sf": ["0", "1/2", "1", "3/2", "nan", "-1/2", "-1", "-3/2"],
    "binary3p1se": ["0", "1/2", "1", "inf", "nan", "-1/2", "-1", "-inf"],
    "binary3p1sf": ["0", "1/2", "1", "2", "nan", "-1/2", "-1", "-2"],
    "binary3p2ue": ["0", "1/4", "1/2", "3/4", "1", "3/2", "inf", "nan"],
    "binary3p2uf": ["0", "1/4", "1/2", "3/4", "1", "3/2", "2", "nan"],
    "binary3p1ue": ["0", "1/8", "1/4", "1/2", "1", "2", "inf", "nan"],
    "binary3p3uf": ["0", "1/4", "1/2", "3/4", "1", "5/4", "3/2", "nan"],
    "binary4p2se": ["0", "1/4", "1/2", "3/4", "1", "3/2", "2", "inf",
                    "nan", "-1/4", "-1/2", "-3/4", "-1", "-3/2", "-2", "-inf"],
    "binary4p3sf": ["0", "1/4", "1/2", "3/4", "1", "5/4", "3/2", "7/4",
                    "nan", "-1/4", "-1/2", "-3/4", "-1", "-5/4", "-3/2", "-7/4"],
    "binary5p3sf": ["0", "1/8", "1/4", "3/8", "1/2", "5/8", "3/4", "7/8", "1", "5/4", "3/2", "7/4",
                    "2", "5/2", "3", "7/2"],
}  # fmt: skip


# from the draft's definition: K, P -> (smallest positive, 1.0, largest finite, extended)
P3109_LARGER = {
    "binary6p3se": (F(1, 32), 16, F(12)),
    "binary7p3se": (F(1, 512), 32, F(192)),
    "binary8p1se": (F(2) ** -63, 64, F(2) ** 62),
    "binary8p3se": (F(2) ** -17, 64, F(49152)),
    "binary8p4se": (F(2) ** -10, 64, F(224)),
    "binary8p4sf": (F(2) ** -10, 64, F(240)),
    "binary8p5se": (F(2) ** -7, 64, F(15)),
    "binary8p7sf": (F(1, 64), 64, F(127, 64)),
}


@pytest.mark.parametrize("name", P3109)
def test_p3109_values(name: str) -> None:
    spec = find_format(name)
    for code, text in enumerate(P3109[name]):
        value, kind = codec.decode(code, spec), codec.classify(code, spec)
        if text == "nan":
            assert kind is Classification.NAN
        elif text.endswith("inf"):
            assert kind is Classification.INFINITY
            assert bool(code & spec.sign_mask) == text.startswith("-")
        else:
            assert value is not None
            assert value.fraction == F(text), hex(code)


@pytest.mark.parametrize("name", P3109_LARGER)
def test_p3109_extremes(name: str) -> None:
    spec = find_format(name)
    smallest, one, largest = P3109_LARGER[name]
    assert spec.finite(1).fraction == smallest
    assert spec.finite(one).fraction == 1
    assert spec.max_finite.fraction == largest
    assert spec.nan_code == 0x80 >> (8 - spec.bits)
    assert (spec.infinity_magnitude is None) == name.endswith("f")
