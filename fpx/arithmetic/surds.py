"""Exact real numbers made of fractions and square roots, and how their digits are found.

A number is an element of a tower of fields, Q(√r1)(√r2)…: a fraction, or a + b√r with a, b and r of
the fields below. No root of the tower lies in the field below it, which is decided before a root
joins. So a number has one form, 0 is the fraction 0, and what is no fraction is irrational: it is
never halfway between two values of a format, and approximations tell how it rounds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import isqrt
from typing import TypeAlias

_MOST_ROOTS = 5  # different ones: a number has 2^5 fractions then
_MOST_BITS = 1 << 17  # of a numerator or denominator: a dot product of float128 takes half
_MOST_SURD_BITS = 1 << 12  # of those of numbers with roots, which have up to 32
_MOST_PLACES = 1 << 18  # binary ones, of an approximation


class TooHardError(Exception):
    """Why a number is not computed exactly, in words that follow what it is about."""


@dataclass(frozen=True, eq=False)
class Root:
    """√radicand, positive; `level` is its place in the tower, from 1."""

    level: int
    radicand: Real


@dataclass(frozen=True, eq=False)
class Surd:
    """a + b√r, with a and b of the fields below √r; b is not 0."""

    a: Real
    b: Real
    root: Root


Real: TypeAlias = Fraction | Surd

_ZERO = Fraction(0)


def plus(x: Real, y: Real) -> Real:
    """x + y."""
    if isinstance(x, Fraction) and isinstance(y, Fraction):
        return _bounded(x + y)
    root = _top(x, y)
    (a, b), (c, d) = _parts(x, root), _parts(y, root)
    return _made(plus(a, c), plus(b, d), root)


def negated(x: Real) -> Real:
    """-x."""
    return -x if isinstance(x, Fraction) else Surd(negated(x.a), negated(x.b), x.root)


def times(x: Real, y: Real) -> Real:
    """x * y."""
    if isinstance(x, Fraction) and isinstance(y, Fraction):
        return _bounded(x * y)
    root = _top(x, y)
    (a, b), (c, d) = _parts(x, root), _parts(y, root)
    inner = plus(times(a, c), times(times(b, d), root.radicand))
    return _made(inner, plus(times(a, d), times(b, c)), root)


def over(x: Real, y: Real) -> Real:
    """x / y, for y != 0: a divisor with a root is multiplied by its conjugate."""
    if isinstance(y, Fraction):
        return times(x, 1 / y)
    norm = plus(times(y.a, y.a), negated(times(times(y.b, y.b), y.root.radicand)))
    return over(times(x, Surd(y.a, negated(y.b), y.root)), norm)


class Tower:
    """The roots that the numbers of one computation have so far."""

    def __init__(self) -> None:
        self._roots: list[Root] = []

    def sqrt(self, x: Real) -> Real:
        """√x, for x >= 0; a root that is not there yet joins the tower.

        Raises:
            TooHardError: it would be one too many, or the numbers become too long.
        """
        found = _sqrt_in(x, self._roots)
        if found is not None:
            return found if sign(found) >= 0 else negated(found)
        if len(self._roots) == _MOST_ROOTS:
            raise TooHardError(f"has more than {_MOST_ROOTS} different square roots")
        self._roots.append(Root(len(self._roots) + 1, x))
        return Surd(_ZERO, Fraction(1), self._roots[-1])


def _sqrt_in(x: Real, roots: Sequence[Root]) -> Real | None:
    """A square root of x in the field of these roots; None if there is none."""
    if not roots:
        return _perfect(x) if isinstance(x, Fraction) else None
    *lower, root = roots
    a, b = _parts(x, root)
    if b == 0:
        found = _sqrt_in(a, lower)
        if found is not None:
            return found
        found = _sqrt_in(times(a, root.radicand), lower)  # a = r c² has the root c√r
        return None if found is None else _made(_ZERO, over(found, root.radicand), root)
    # (p + q√r)² has a = p² + q²r, b = 2pq, and the norm a² - b²r = (p² - q²r)²
    norm = plus(times(a, a), negated(times(times(b, b), root.radicand)))
    n = _sqrt_in(norm, lower)
    if n is None:
        return None
    for sum_ in (plus(a, n), plus(a, negated(n))):
        p = _sqrt_in(times(sum_, Fraction(1, 2)), lower)
        if p is not None:
            return _made(p, over(b, times(Fraction(2), p)), root)
    return None


def _perfect(x: Fraction) -> Fraction | None:
    """The square root of a fraction that is a square."""
    if x < 0:
        return None
    over_, under = isqrt(x.numerator), isqrt(x.denominator)
    exact = over_ * over_ == x.numerator and under * under == x.denominator
    return Fraction(over_, under) if exact else None


def _top(x: Real, y: Real) -> Root:
    """The highest root of two numbers that are not both fractions."""
    roots = [item.root for item in (x, y) if isinstance(item, Surd)]
    return max(roots, key=lambda root: root.level)


def _parts(x: Real, root: Root) -> tuple[Real, Real]:
    """a and b of x = a + b√r."""
    return (x.a, x.b) if isinstance(x, Surd) and x.root is root else (x, _ZERO)


def _made(a: Real, b: Real, root: Root) -> Real:
    if b == 0:
        return a
    for part in (a, b):
        if isinstance(part, Fraction):
            _bounded(part, _MOST_SURD_BITS)
    return Surd(a, b, root)


def _bounded(x: Fraction, most: int = _MOST_BITS) -> Fraction:
    if max(x.numerator.bit_length(), x.denominator.bit_length()) > most:
        raise TooHardError(f"takes more than {most:,} bits to compute exactly")
    return x


# -- digits ----------------------------------------------------------------------------------------


def sign(x: Real) -> int:
    """-1, 0 or 1."""
    if isinstance(x, Fraction):
        return (x > 0) - (x < 0)
    places = 64
    while True:
        low, high = _enclosed(x, places)
        if low > 0 or high < 0:
            return 1 if low > 0 else -1
        places = _more(places)


def floor_at(x: Real, places: int) -> int:
    """floor(x * 2^places)."""
    if isinstance(x, Fraction):
        return (x.numerator << max(places, 0)) // (x.denominator << max(-places, 0))
    working = max(places + 8, 64)
    while True:
        low, high = (end >> (working - places) for end in _enclosed(x, working))
        if low == high:
            return low
        working = _more(working)


def log2_floor(x: Real) -> int:
    """floor(log2 x), for x > 0."""
    places = 64
    while not (digits := floor_at(x, places)):
        places = _more(places)
    return digits.bit_length() - 1 - places


def approximated(x: Real, bits: int) -> Fraction:
    """x, cut to so many significant bits; a fraction as it is."""
    if isinstance(x, Fraction):
        return x
    if sign(x) < 0:
        return -approximated(negated(x), bits)
    places = bits - log2_floor(x)
    return Fraction(floor_at(x, places)) / Fraction(2) ** places


def _more(places: int) -> int:
    if places >= _MOST_PLACES:
        raise TooHardError(f"is not told apart from another number by {places:,} bits")
    return 2 * places


def _enclosed(x: Real, places: int) -> tuple[int, int]:
    """Integers that x * 2^places lies between."""
    if isinstance(x, Fraction):
        whole, rest = divmod(x.numerator << places, x.denominator)
        return whole, whole + bool(rest)
    low, high = _enclosed(x.root.radicand, 2 * places)
    root = isqrt(max(low, 0)), isqrt(high) + 1
    products = [u * v for u in _enclosed(x.b, places) for v in root]
    a_low, a_high = _enclosed(x.a, places)
    return a_low + (min(products) >> places), a_high - (-max(products) >> places)
