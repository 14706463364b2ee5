"""Where the magnitudes of a format are cut, so that counts between cuts tell what casts would do.

Magnitudes grow with their codes, so a condition such as "overflows in float16" holds from one
magnitude of the tensor's own format on. One pass that counts magnitudes between all such edges
answers for every target at once, and for every loss scale that is a power of two.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import accumulate

from fpx.core.codec import round_exact
from fpx.core.dyadic import Dyadic
from fpx.core.interval import midpoint_above
from fpx.core.policy import Rounding
from fpx.core.spec import FormatSpec


@lru_cache(maxsize=1 << 14)
def first_beyond(bound: Dyadic, spec: FormatSpec, *, itself: bool = False) -> int:
    """The least finite magnitude of a format whose value is above a bound.

    Args:
        bound: not negative.
        spec: a format with a sign and a zero.
        itself: whether the bound is beyond itself too.

    Returns:
        The magnitude; the one after the largest finite one where none is above.
    """
    if bound.fraction > spec.max_finite.fraction:
        return spec.max_finite_magnitude + 1
    over, under = bound.fraction.as_integer_ratio()
    below = round_exact(over, under, spec, Rounding.TOWARD_ZERO).code if over else 0
    return below + (not itself or spec.finite(below).fraction < bound.fraction)


@lru_cache(maxsize=1 << 12)
def rounds_above(magnitude: int, target: FormatSpec, source: FormatSpec) -> int:
    """The least magnitude of the source that rounds to more than a finite magnitude of the target.

    To nearest, ties to even: halfway above an odd magnitude goes up, above an even one down.
    """
    return first_beyond(midpoint_above(magnitude, target), source, itself=magnitude % 2 == 1)


def flushed_below(target: FormatSpec) -> int:
    """log2 of the largest magnitude that a format rounds to zero (a tie, and zero is even)."""
    significand, exponent = midpoint_above(0, target)
    assert significand == 1, "half of the smallest value is a power of two"
    return exponent


@dataclass(frozen=True, eq=False)  # `of` makes one of a kind
class Edges:
    """The magnitudes of a format where counting starts anew.

    Attributes:
        source: the format; it has a sign and a zero.
        targets: the formats about which the counts tell.
        codes: ascending magnitudes. Bucket 0 counts what is below the first, bucket k what is from
            `codes[k - 1]` on and below the next.
    """

    source: FormatSpec
    targets: tuple[FormatSpec, ...]
    codes: tuple[int, ...]

    @classmethod
    @lru_cache(maxsize=64)
    def of(cls, source: FormatSpec, targets: tuple[FormatSpec, ...]) -> Edges:
        """The edges that tell zero, overflow, underflow, subnormal results, and powers of two."""
        found = {1, source.max_finite_magnitude + 1, cls._first_nan(source)}
        for exponent in range(source.quantum_exponent, source.emax + 1):
            found.add(first_beyond(Dyadic(1, exponent), source))
        for target in targets:
            for magnitude in (0, last_subnormal(target), target.max_finite_magnitude):
                found.add(rounds_above(magnitude, target, source))
        return cls(source, targets, tuple(sorted(found)))

    @staticmethod
    def _first_nan(source: FormatSpec) -> int:
        return source.max_finite_magnitude + 1 + source.infinity

    @property
    def size(self) -> int:
        """The number of buckets."""
        return len(self.codes) + 1

    @cached_property
    def infinite(self) -> int:
        """The first bucket of what is no finite number."""
        return self.bucket(self.source.max_finite_magnitude + 1)

    @cached_property
    def nan(self) -> int:
        """The bucket of NaNs."""
        return self.bucket(self._first_nan(self.source))

    def bucket(self, code: int) -> int:
        """The bucket that begins with an edge."""
        return bisect_left(self.codes, code) + 1


class Counted:
    """What buckets of a tensor's magnitudes tell.

    Args:
        edges: of the buckets.
        counts: one number for each bucket.
    """

    def __init__(self, edges: Edges, counts: Sequence[int]) -> None:
        self._edges = edges
        finite = counts[: edges.infinite]
        # how many finite magnitudes there are from each bucket on
        self._from = [0, *accumulate(reversed(finite))][::-1]
        self.finite_count = self._from[0]
        self.zero_count = counts[0]
        self.inf_count = sum(counts[edges.infinite : edges.nan])
        self.nan_count = sum(counts[edges.nan :])

    def _from_on(self, code: int) -> int:
        return self._from[self._edges.bucket(code)]

    def overflows(self, target: FormatSpec) -> int:
        """Finite numbers that are beyond a target's largest finite value, once rounded."""
        return self._from_on(rounds_above(target.max_finite_magnitude, target, self._edges.source))

    def subnormals(self, target: FormatSpec) -> int:
        """Numbers that become a subnormal of a target."""
        source = self._edges.source
        normal = rounds_above(last_subnormal(target), target, source)
        return self._from_on(rounds_above(0, target, source)) - self._from_on(normal)

    def underflows(self, target: FormatSpec, scale_exponent: int = 0) -> int:
        """Numbers but 0 that become zero in a target, times 2^scale_exponent before that."""
        source = self._edges.source
        exponent = flushed_below(target) - scale_exponent
        if exponent < source.quantum_exponent:
            return 0
        return self._from_on(1) - self._from_on(first_beyond(Dyadic(1, exponent), source))


def last_subnormal(spec: FormatSpec) -> int:
    """The magnitude below the smallest normal one: 0 where a format has no subnormals."""
    return (1 << spec.fraction_bits) - 1


def largest_scale(magnitude: Dyadic, target: FormatSpec) -> int:
    """log2 of the largest power of two times which a positive number overflows not in a target."""
    top = target.max_finite_magnitude
    limit = midpoint_above(top, target).fraction
    exponent = target.emax + 1 - magnitude.log2_floor  # too much, by one or two
    while True:
        scaled = Dyadic(magnitude.significand, magnitude.exponent + exponent).fraction
        if scaled < limit or (scaled == limit and top % 2 == 0):
            return exponent
        exponent -= 1
