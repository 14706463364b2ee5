"""The binomial test, against sums of exact probabilities."""

from __future__ import annotations

from fractions import Fraction
from math import comb

import pytest

from fpx.conformance.binomial import p_value


def exact(count: int, trials: int, p: Fraction) -> Fraction:
    terms = [comb(trials, k) * p**k * (1 - p) ** (trials - k) for k in range(trials + 1)]
    below, above = sum(terms[: count + 1], Fraction(0)), sum(terms[count:], Fraction(0))
    return min(Fraction(1), 2 * min(below, above))


@pytest.mark.parametrize(
    "p", [Fraction(1, 2), Fraction(1, 3), Fraction(1, 1000), Fraction(99, 100)]
)
@pytest.mark.parametrize("trials", [1, 7, 60])
def test_it_is_the_exact_one(p: Fraction, trials: int) -> None:
    for count in range(trials + 1):
        assert p_value(count, trials, p) == pytest.approx(
            float(exact(count, trials, p)), rel=1e-9, abs=1e-300
        )


def test_what_is_certain_is() -> None:
    for p in (Fraction(0), Fraction(1, 10**400)):
        assert p_value(0, 10, p) == 1
        assert p_value(1, 10, p) == 0
        assert p_value(10, 10, 1 - p) == 1
        assert p_value(9, 10, 1 - p) == 0


def test_many_trials_take_no_time_and_keep_their_digits() -> None:
    half = Fraction(1, 2)
    assert p_value(1 << 19, 1 << 20, half) == pytest.approx(1, abs=1e-3)
    assert p_value((1 << 19) - 2560, 1 << 20, half) == pytest.approx(5.76e-7, rel=0.01)  # 5 sigma
    assert p_value(0, 1000, half) == pytest.approx(2.0**-999)
    assert p_value(3, 65536, Fraction(1, 1 << 40)) < 1e-20
