"""Quotients on their side of numbers of few bits, against fractions."""

from __future__ import annotations

import math
import random
from fractions import Fraction

import pytest
import torch

from fpx.casts.quotient import quotient


def sign(x: Fraction | int) -> int:
    return (x > 0) - (x < 0)


@pytest.mark.parametrize("bits", [29, 48])
@pytest.mark.parametrize("digits", [4, 5, 6, 7, 8, 24, 25, 26, 27, 36, 53])
def test_a_quotient_stays_on_its_side_of_every_number_of_few_bits(bits: int, digits: int) -> None:
    """At the product of such a number and the divisor, and an ulp and three beside it."""
    rng = random.Random(f"{bits} {digits}")
    rows = []
    for _ in range(400):
        turn = Fraction(rng.getrandbits(rng.choice([1, 3, bits - 1, bits])) | 1, 1 << 20)
        divisor = math.ldexp(
            rng.getrandbits(digits) | 1 << (digits - 1) | 1, rng.randint(-300, 300)
        )
        at = float(turn * Fraction(divisor))
        for ulps in (0, 1, -1, 3, -3):
            x, side = at + ulps * math.ulp(at), rng.choice([1, -1])
            rows.append((side * x, divisor, side * turn))
    numbers, divisors = torch.tensor([row[:2] for row in rows], dtype=torch.float64).unbind(1)
    found = quotient(numbers.contiguous(), divisors.contiguous(), bits).tolist()
    rounded_on = 0
    for (number, divisor, turn), y in zip(rows, found, strict=True):
        exact = Fraction(number) / Fraction(divisor)
        assert sign(Fraction(y) - turn) == sign(exact - turn), (number, divisor)
        nearest = number / divisor
        rounded_on += Fraction(nearest) == turn != exact
        assert y == nearest or abs(y - nearest) == math.ulp(min(abs(y), abs(nearest)))
    if bits + digits not in (53, 54):  # float64 alone would do with up to 53, and fails beyond
        assert (rounded_on > 0) is (bits + digits > 53)


def test_what_has_no_quotient() -> None:
    """Infinities and NaNs are those of a division, also beside numbers that are moved."""
    x = torch.tensor([math.inf, -math.inf, math.nan, 0.0, 0.1], dtype=torch.float64)
    for divisor, last in (
        (0.1, 1.0),
        (0.3, 0.1 / 0.3),
        (0.05, 2.0),
        (0.01, math.nextafter(10, 11)),
    ):
        found = quotient(x, torch.full_like(x, divisor), 29).tolist()
        assert found[:2] == [math.inf, -math.inf]
        assert math.isnan(found[2])
        assert found[3:] == [0.0, last]
    beyond = torch.tensor([1e308, -1e308, 0.1], dtype=torch.float64)
    for divisor in (0.001, 2.0**-10):
        found = quotient(beyond, torch.full_like(beyond, divisor), 29).tolist()
        assert found[:2] == [math.inf, -math.inf]
    poisoned = quotient(torch.ones(2), torch.tensor([math.nan, math.inf]), 29)
    assert poisoned.isnan().tolist() == [True, False]


def test_quotients_that_underflow_are_not_zero() -> None:
    x = torch.tensor([5e-324, -5e-324, 0.0], dtype=torch.float64)
    for divisor in (2.0**100, 3.0**60):
        found = quotient(x, torch.full_like(x, divisor), 48)
        assert found.tolist() == [5e-324, -5e-324, 0.0]
