"""Mean and standard deviation, against exact fractions."""

from __future__ import annotations

import math
import sys
from fractions import Fraction
from itertools import pairwise

import pytest
import torch

from fpx.measure.moments import Moments

MAX = sys.float_info.max


def of(x: torch.Tensor) -> Moments:
    return Moments.of(x, float(x.abs().max()) if len(x) else 0.0)


def merged(x: torch.Tensor, cuts: list[int]) -> Moments:
    total = Moments()
    for start, end in pairwise([0, *cuts, len(x)]):
        total += of(x[start:end])
    return total


def exact(x: torch.Tensor) -> tuple[Fraction, Fraction]:
    values = [Fraction(v) for v in x.tolist()]
    mean = sum(values, Fraction(0)) / len(values)
    return mean, sum(((v - mean) ** 2 for v in values), Fraction(0)) / len(values)


def close(found: float, expected: Fraction, scale: Fraction, bits: int) -> bool:
    return bool(abs(Fraction(found) - expected) <= scale / 2**bits)


def normal(count: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(count, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


DATA = {
    "normal": normal(3000),
    "one": torch.tensor([3.5], dtype=torch.float64),
    "equal": torch.full((2000,), 0.1, dtype=torch.float64),
    "far from zero": 1e9 + normal(3000) * 1e-3,
    "very far from zero": 2.0**53 + torch.arange(500, dtype=torch.float64) % 8,
    "an outlier": torch.cat([torch.tensor([1e30], dtype=torch.float64), normal(2999)]),
    "an outlier at the end": torch.cat([normal(2999), torch.tensor([-1e30], dtype=torch.float64)]),
    "steps": torch.cat([normal(1000) + 10.0**k for k in range(0, 12, 4)]),
    "huge": normal(3000) * 2.0**1018,
    "largest": torch.tensor([MAX, -MAX, MAX, MAX], dtype=torch.float64),
    "largest alike": torch.full((1500,), MAX, dtype=torch.float64),
    "tiny": normal(3000) * 2.0**-1000,
    "huge and tiny": torch.cat([normal(1500) * 2.0**-900, normal(1500) * 2.0**1000]),
    "zeros": torch.zeros(100, dtype=torch.float64),
}


@pytest.mark.parametrize("cuts", [[], [1], [1000, 2000], [7, 8, 2990]], ids=str)
@pytest.mark.parametrize("name", DATA)
def test_moments_are_those_of_exact_arithmetic(name: str, cuts: list[int]) -> None:
    x = DATA[name]
    found = merged(x, [cut for cut in cuts if cut < len(x)])
    mean, variance = exact(x)
    largest = float(x.abs().max())
    spread = Fraction(math.isqrt(int(variance * 4**1100))) / 2**1100  # its root, to 2^-1100
    assert found.count == len(x)
    # to a few units in the last place of the mean or, where it is near zero, of the spread
    assert close(float(found.mean), mean, max(abs(mean), spread / 2**2), 50)
    assert close(found.std(largest), spread, spread, 44)


def test_subnormals() -> None:
    x = torch.tensor([5e-324, 1e-323, 0.0, 5e-324], dtype=torch.float64)
    found = merged(x, [2])
    assert float(found.mean) == 5e-324
    assert found.std(1e-323) == 5e-324  # 0.7 of it


def test_nothing() -> None:
    assert Moments() + Moments() == Moments()
    assert merged(torch.tensor([2.0, 4.0], dtype=torch.float64), [0, 0]).mean == 3
