"""Quotients on their side of numbers of few bits, against fractions."""

from __future__ import annotations

import math
import random
from fractions import Fraction

import pytest
import torch

from fpx.casts import residuals
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


@pytest.mark.parametrize("bits", [29, 48])
@pytest.mark.parametrize("digits", [1, 6, 24, 25, 36])
def test_numbers_of_more_bits_than_float64_has(bits: int, digits: int) -> None:
    """Integers up to 2^64 beside the product of such a number and the divisor."""
    rng = random.Random(f"{bits} {digits}")
    rows = []
    for _ in range(400):
        turn = Fraction(rng.getrandbits(rng.choice([1, 3, bits - 1, bits])) | 1)
        divisor = Fraction(rng.getrandbits(digits) | 1 << (digits - 1) | 1)
        divisor *= Fraction(2) ** (63 - math.floor(math.log2(turn * divisor)))
        at = math.floor(turn * divisor)
        for whole in (at - 2048, at - 1, at, at + 1, at + 2, at + 1024):
            x, side = float(whole), rng.choice([1, -1])
            rows.append((side * x, float(divisor), side * float(whole - int(x)), side * turn))
    numbers = torch.tensor([row[:3] for row in rows], dtype=torch.float64)
    xs, divisors, lows = (each.contiguous() for each in numbers.unbind(1))
    found = quotient(xs, divisors, bits, lows).tolist()
    rounded = 0
    for (number, by, rest, turn), y in zip(rows, found, strict=True):
        exact = (Fraction(number) + Fraction(rest)) / Fraction(by)
        assert sign(Fraction(y) - turn) == sign(exact - turn), (number, by, rest)
        rounded += sign(Fraction(number / by) - turn) != sign(exact - turn)
    assert rounded > 50


def test_residuals_are_what_rounding_drops() -> None:
    rng = random.Random(1)
    rows = []
    for _ in range(999):
        a, b = rng.uniform(-9, 9) * 2.0 ** rng.randint(-60, 60), rng.gauss(0, 1)
        less = Fraction(a) - Fraction(b) - Fraction(a - b)
        rows.append((a, b, float(less), float(Fraction(a) * Fraction(b) - Fraction(a * b))))
    x, y, *expected = torch.tensor(rows, dtype=torch.float64).unbind(1)
    found = residuals.of_difference(x, y, x - y), residuals.of_product(x, y, x * y)
    for some, wanted in zip(found, expected, strict=True):
        assert some.count_nonzero() > 500
        assert torch.equal(some, wanted)
