"""A block beside what a cast made of it."""

from __future__ import annotations

import math
import random
from collections import Counter
from fractions import Fraction

import numpy as np
import pytest
import torch

from fpx.casts.rounding import round_codes
from fpx.casts.values import values
from fpx.core.formats import FORMATS
from fpx.core.interval import midpoint_above
from fpx.core.names import find_format
from fpx.core.spec import FormatSpec
from fpx.measure.block import SourceBlock
from fpx.measure.metrics import measure
from fpx.measure.pair import Pair
from fpx.tensors.dtypes import cast_dtype, container, origin_of
from tests.helpers import F64
from tests.measure.definitions import TARGETS, adversarial, same, taken
from tests.measure.plain import measure_plainly


@pytest.mark.parametrize("target", [*TARGETS, FORMATS["float8_e5m2fnuz"]], ids=lambda s: s.name)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16], ids=str)
def test_measuring_in_float32_loses_nothing(dtype: torch.dtype, target: FormatSpec) -> None:
    narrow_blocks = 0
    for x in adversarial(dtype, 1):
        q = x.to(cast_dtype(target))
        block = SourceBlock(x)
        same(taken(block, q, target), taken(block.wide, q, target))
        narrow_blocks += Pair(block, q, target).is_narrow
    assert (narrow_blocks > 2) == (target is not F64)


@pytest.mark.parametrize("name", ["e7m10", "e7m50", "e7m51", "e7m52", "e7m51fn", "e7m52fn", "e8m8"])
@pytest.mark.parametrize("dtype", [torch.int64, torch.uint64], ids=str)
def test_integers_beyond_two_to_53_at_thresholds(dtype: torch.dtype, name: str) -> None:
    """Where they overflow, at ties, and beside both: all is what fractions say."""
    target, rng = find_format(name), random.Random(name)
    low, high = (0, 2**64 - 1) if dtype is torch.uint64 else (-(2**63), 2**63 - 1)
    numbers = [2**53 + 1, 2**53, low, high, -1, -3, 2**32 - 1, 2**60 - 1, 1 - 2**60]
    turns = [midpoint_above(target.max_finite_magnitude, target)]
    for _ in range(50):
        code = (rng.randrange(53, 64) + target.bias << target.fraction_bits) - rng.getrandbits(1)
        turns += [midpoint_above(code + rng.getrandbits(target.fraction_bits), target)]
    for significand, exponent in turns:
        at = math.floor(significand * Fraction(2) ** exponent)
        numbers += [sign * (at + more) for more in (-1, 0, 1, 2) for sign in (1, -1)]
    kind = np.uint64 if dtype is torch.uint64 else np.int64
    x = torch.from_numpy(np.array([v for v in numbers if low <= v <= high], dtype=kind))
    origin = origin_of(dtype)
    q = values(round_codes(x.view(container(origin)), origin, target), target)
    found, expected = (way(SourceBlock(x), q, target) for way in (measure, measure_plainly))
    assert +Counter(found.counts) == +Counter(expected.counts)
    assert found.maxima == expected.maxima
    assert found.firsts == expected.firsts
    assert found.exponents == expected.exponents


def test_errors_of_integers_are_rounded_once() -> None:
    """What saturated is far away: neither a number nor the difference is a float64."""
    rng = random.Random(1)
    x = [rng.randrange(1 << 59, 1 << 60) for _ in range(2000)]
    q = [rng.choice([448.0, 1.75, 57344.0, float(v), float(v >> 30 << 30)]) for v in x]
    pair = Pair(SourceBlock(torch.tensor(x)), torch.tensor(q, dtype=torch.float64), F64)
    exact = [Fraction(after) - before for before, after in zip(x, q, strict=True)]
    assert pair.signed_error.tolist() == list(map(float, exact))
    relative = [abs(error) / before for error, before in zip(exact, x, strict=True)]
    assert pair.relative_error().tolist() == list(map(float, relative))
