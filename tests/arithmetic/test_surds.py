"""Numbers with square roots: identities, and digits against decimal arithmetic of many places."""

from __future__ import annotations

import math
from decimal import Decimal, localcontext
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fpx.arithmetic.surds import (
    Real,
    TooHardError,
    Tower,
    approximated,
    floor_at,
    log2_floor,
    negated,
    over,
    plus,
    sign,
    times,
)

_PLACES = 200


def root(tower: Tower, x: Real | int) -> Real:
    return tower.sqrt(Fraction(x) if isinstance(x, int) else x)


def minus(x: Real, y: Real) -> Real:
    return plus(x, negated(y))


def test_roots_of_squares_are_fractions() -> None:
    tower = Tower()
    assert root(tower, Fraction(9, 4)) == Fraction(3, 2)
    two = root(tower, 2)
    assert times(two, two) == 2
    assert root(tower, 8) != two
    assert minus(root(tower, 8), times(Fraction(2), two)) == 0
    assert over(Fraction(2), root(tower, Fraction(1, 2))).__class__ is two.__class__
    assert minus(root(tower, Fraction(1, 2)), over(two, Fraction(2))) == 0


def test_nested_roots_that_are_none() -> None:
    """√(3 + 2√2) = 1 + √2, √(5 + 2√6) = √2 + √3, √(4 - 2√3) = √3 - 1."""
    tower = Tower()
    two, three = root(tower, 2), root(tower, 3)
    inner = plus(Fraction(3), times(Fraction(2), two))
    assert minus(root(tower, inner), plus(Fraction(1), two)) == 0
    inner = plus(Fraction(5), times(Fraction(2), root(tower, 6)))
    assert minus(root(tower, inner), plus(two, three)) == 0
    inner = plus(Fraction(4), times(Fraction(-2), three))
    assert minus(root(tower, inner), plus(three, Fraction(-1))) == 0
    # one that is none: √(1 + √2) is of degree 4
    nested = root(tower, plus(Fraction(1), two))
    assert minus(times(nested, nested), plus(Fraction(1), two)) == 0


def test_quotients() -> None:
    tower = Tower()
    x = plus(root(tower, 2), root(tower, 3))
    assert times(x, over(Fraction(1), x)) == 1
    assert minus(over(Fraction(1), x), minus(root(tower, 3), root(tower, 2))) == 0


def test_limits() -> None:
    tower = Tower()
    for prime in (2, 3, 5, 7, 11):
        root(tower, prime)
    assert times(root(tower, 30), root(tower, 30)) == 30  # needs no root of its own
    with pytest.raises(TooHardError, match="more than 5"):
        root(tower, 13)
    with pytest.raises(TooHardError, match="bits"):
        times(Fraction(2) ** 100_000, Fraction(2) ** 100_000)


def test_small_differences_are_told_from_zero() -> None:
    """√(n² + 1) - n is just below 2^-1001 for n = 2^1000."""
    tower = Tower()
    n = Fraction(2) ** 1000
    x = minus(root(tower, n * n + 1), n)
    assert sign(x) == 1
    assert log2_floor(x) == -1002
    assert sign(negated(x)) == -1


@given(st.lists(st.sampled_from("+-*/s235"), min_size=1, max_size=14))
def test_digits(operations: list[str]) -> None:
    """A stack of numbers, on which operations work."""
    tower = Tower()
    with localcontext() as context:
        context.prec = _PLACES
        exact: list[Real] = [Fraction(3)]
        plain = [Decimal(3)]
        try:
            for operation in operations:
                if operation.isdigit():
                    exact.append(Fraction(int(operation)))
                    plain.append(Decimal(operation))
                elif operation == "s" and sign(exact[-1]) >= 0:
                    exact[-1], plain[-1] = tower.sqrt(exact[-1]), abs(plain[-1]).sqrt()
                elif operation in "+-*/" and len(exact) > 1:
                    b, y = exact.pop(), plain.pop()
                    if operation == "/" and b == 0:
                        return
                    a, x = exact.pop(), plain.pop()
                    exact.append({"+": plus, "-": minus, "*": times, "/": over}[operation](a, b))
                    plain.append(
                        {"+": x + y, "-": x - y, "*": x * y, "/": x / y if y else y}[operation]
                    )
        except TooHardError:
            return
        found, expected = exact[-1], plain[-1]
        near = approximated(found, 300)
        error = abs(Fraction(expected) - near)
        if found == 0:
            assert abs(expected) < Decimal(10) ** -150
            return
        assert error <= abs(near) * Fraction(1, 10**85)
        assert sign(found) == (1 if expected > 0 else -1)
        places = 40 - log2_floor(found if sign(found) > 0 else negated(found))
        assert floor_at(found, places) == math.floor(near * Fraction(2) ** places)


def test_no_digit_is_off() -> None:
    """A bound that is one unit off would tell one number in some thousands wrongly."""
    places, count = 60, 8_000
    root_of_two = Tower().sqrt(Fraction(2))
    by = Fraction(1, 10**6)
    near = Fraction(math.isqrt(2 * 10**80), 10**40) * by
    for numerator in range(count):
        a = Fraction(numerator, count + 11)
        x = plus(a, times(root_of_two, by))
        assert floor_at(x, places) == math.floor((a + near) * 2**places)
