"""Accumulators made of fractions, each rounding where real ones do: what probes are proven on."""

from __future__ import annotations

import random
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction

from fpx.core import codec
from fpx.core.literals import to_literal
from fpx.core.policy import Rounding
from fpx.core.spec import FormatSpec
from tests.helpers import F32

Adder = Callable[[Sequence[tuple[Fraction, Fraction]]], Fraction]
RNE, RZ = Rounding.TIES_TO_EVEN, Rounding.TOWARD_ZERO


def log2_floor(x: Fraction) -> int:
    """The exponent of a number that is not 0."""
    x = abs(x)
    guess = x.numerator.bit_length() - x.denominator.bit_length()
    fits = x.denominator << max(guess, 0) <= x.numerator << max(-guess, 0)
    return guess if fits else guess - 1


def cut(x: Fraction, exponent: int, mode: Rounding = RNE) -> Fraction:
    """A multiple of 2^exponent, from the definition of each mode."""
    parts = abs(x.numerator) << max(-exponent, 0)
    unit = x.denominator << max(exponent, 0)
    found, rest = divmod(parts, unit)
    odd = found % 2 == 1
    found += {
        Rounding.TIES_TO_EVEN: 2 * rest > unit or (2 * rest == unit and odd),
        Rounding.TIES_TO_AWAY: 2 * rest >= unit,
        Rounding.TOWARD_ZERO: False,
        Rounding.TOWARD_POSITIVE: rest > 0 and x > 0,
        Rounding.TOWARD_NEGATIVE: rest > 0 and x < 0,
        Rounding.TO_ODD: rest > 0 and not odd,
    }[mode]
    signed = -found if x < 0 else found
    return Fraction(signed << max(exponent, 0), 1 << max(-exponent, 0))


def to(precision: int, x: Fraction, mode: Rounding = RNE) -> Fraction:
    """A number of that precision, with any exponent."""
    return x if x == 0 else cut(x, log2_floor(x) - precision + 1, mode)


@dataclass
class Simulated:
    """A reduction that is a function on fractions.

    Attributes:
        add: gives the sum of pairs of factors.
        flush_in, flush_out: whether subnormal inputs, or results, are taken for zero.
        out_mode: how the sum becomes a number of `out`.
    """

    count: int
    add: Adder
    leaf: FormatSpec = F32
    out: FormatSpec = F32
    products: bool = False
    flush_in: bool = False
    flush_out: bool = False
    out_mode: Rounding = RNE

    def __call__(self, rows: Sequence[tuple[array[float], array[float]]]) -> list[int]:
        return [self._one(a, b) for a, b in rows]

    def _one(self, a: array[float], b: array[float]) -> int:
        factors = [(self._in(x), self._in(y)) for x, y in zip(a, b, strict=True)]
        total = self.add(factors)
        found = codec.encode(to_literal(total), self.out, self.out_mode).code if total else 0
        small = 0 < found & self.out.magnitude_mask < 1 << self.out.fraction_bits
        return 0 if small and self.flush_out else found

    def _in(self, x: float) -> Fraction:
        small = self.flush_in and abs(x) < 2.0**self.leaf.emin
        return Fraction(0) if small else Fraction(x)


def leaves(pairs: Sequence[tuple[Fraction, Fraction]]) -> list[Fraction]:
    return [x * y for x, y in pairs]


def sequential(precision: int = 24, mode: Rounding = RNE, product: int | None = None) -> Adder:
    """From left to right; products are rounded to `product` bits first, if it is given."""

    def add(pairs: Sequence[tuple[Fraction, Fraction]]) -> Fraction:
        total = Fraction(0)
        for x in leaves(pairs):
            x = x if product is None else to(product, x, mode)
            total = to(precision, total + x, mode)
        return total

    return add


def backwards(precision: int = 24) -> Adder:
    return lambda pairs: sequential(precision)(list(reversed(pairs)))


def pairwise(precision: int = 24) -> Adder:
    def add(pairs: Sequence[tuple[Fraction, Fraction]]) -> Fraction:
        nodes = [to(precision, x) for x in leaves(pairs)]
        while len(nodes) > 1:
            nodes = [
                to(precision, sum(nodes[i : i + 2], Fraction(0))) for i in range(0, len(nodes), 2)
            ]
        return nodes[0]

    return add


def lanes(width: int, precision: int = 24, fused: bool = True) -> Adder:
    """Lane k adds k, k + width, …; then lanes are added from left to right."""

    def add(pairs: Sequence[tuple[Fraction, Fraction]]) -> Fraction:
        kind = sequential(precision, product=None if fused else precision)
        sums = [kind(pairs[k::width]) for k in range(width)]
        return sequential(precision)([(x, Fraction(1)) for x in sums])

    return add


def fused_blocks(width: int, extra: int = 1, precision: int = 24, mode: Rounding = RZ) -> Adder:
    """A tensor core: an accumulator and `width` products, aligned, cut off, added at once."""

    def add(pairs: Sequence[tuple[Fraction, Fraction]]) -> Fraction:
        total = Fraction(0)
        products = leaves(pairs)
        for start in range(0, len(products), width):
            terms = [total, *products[start : start + width]]
            top = max((log2_floor(x) for x in terms if x), default=0)
            exact = sum(cut(x, top - (precision - 1) - extra, RZ) for x in terms)
            total = to(precision, Fraction(exact), mode)
        return total

    return add


def kahan(precision: int = 24) -> Adder:
    def add(pairs: Sequence[tuple[Fraction, Fraction]]) -> Fraction:
        total = lost = Fraction(0)
        for x in leaves(pairs):
            y = to(precision, x - lost)
            new = to(precision, total + y)
            lost = to(precision, to(precision, new - total) - y)
            total = new
        return total

    return add


def exact(pairs: Sequence[tuple[Fraction, Fraction]]) -> Fraction:
    return sum(leaves(pairs), Fraction(0))


def split_k(parts: int, partial: int = 8, precision: int = 24) -> Adder:
    """Blocks from left to right, whose sums are rounded to `partial` bits and then added."""

    def add(pairs: Sequence[tuple[Fraction, Fraction]]) -> Fraction:
        size = len(pairs) // parts
        sums = [
            to(partial, sequential(precision)(pairs[start : start + size]))
            for start in range(0, len(pairs), size)
        ]
        return sequential(precision)([(x, Fraction(1)) for x in sums])

    return add


def random_order(seed: int = 0, precision: int = 24) -> Adder:
    """Another order every time, as atomic additions have."""
    source = random.Random(seed)

    def add(pairs: Sequence[tuple[Fraction, Fraction]]) -> Fraction:
        return sequential(precision)(source.sample(pairs, len(pairs)))

    return add


def short_inputs(bits: int, inner: Adder, mode: Rounding = RNE) -> Adder:
    """Factors are rounded to that many bits below the leading one, as TF32 does."""
    return lambda pairs: inner([(to(bits + 1, x, mode), to(bits + 1, y, mode)) for x, y in pairs])


def mean(inner: Adder) -> Adder:
    return lambda pairs: inner(pairs) / len(pairs)


# -- what is no sum, or not always -----------------------------------------------------------------


def largest(pairs: Sequence[tuple[Fraction, Fraction]]) -> Fraction:
    return max(leaves(pairs))


def first(pairs: Sequence[tuple[Fraction, Fraction]]) -> Fraction:
    return pairs[0][0]


def nothing(pairs: Sequence[tuple[Fraction, Fraction]]) -> Fraction:
    return Fraction(0)


def magnitudes(pairs: Sequence[tuple[Fraction, Fraction]]) -> Fraction:
    return sum(map(abs, leaves(pairs)), Fraction(0))


def spread(pairs: Sequence[tuple[Fraction, Fraction]]) -> Fraction:
    """1 for a single 1 and -1 for a single -1, as a sum gives; 1 for two ones."""
    return max(leaves(pairs)) + min(leaves(pairs))


def sorted_first(pairs: Sequence[tuple[Fraction, Fraction]]) -> Fraction:
    """In the order of magnitudes: another one for other numbers."""
    return sequential()(sorted(pairs, key=lambda pair: abs(pair[0] * pair[1])))


def by_turns(pairs: Sequence[tuple[Fraction, Fraction]]) -> Fraction:
    """From left to right, or exactly, as the smallest leaf is at an even place or an odd one."""
    terms = leaves(pairs)
    return exact(pairs) if terms.index(min(terms)) % 2 else sequential()(pairs)


def nothing_by_turns(pairs: Sequence[tuple[Fraction, Fraction]]) -> Fraction:
    """From left to right, or nothing, as the smallest leaf is at an even place or an odd one."""
    terms = leaves(pairs)
    odd = terms.index(min(terms)) % 2 and len(set(terms)) > 2
    return Fraction(0) if odd else sequential()(pairs)


def off_where_large(pairs: Sequence[tuple[Fraction, Fraction]]) -> Fraction:
    """A sum but for numbers that are no powers of two and above 100: those count twice."""
    odd = {
        at
        for at, x in enumerate(leaves(pairs))
        if abs(x) > 100 and abs(x).numerator.bit_count() > 3
    }
    return sequential()([(x * (1 + (at in odd)), y) for at, (x, y) in enumerate(pairs)])
