"""The exact two-sided binomial test."""

from __future__ import annotations

import math
from fractions import Fraction

_IMPOSSIBLE = Fraction(1, 10**300)  # less is 0, in float64 and in practice
_NEGLIGIBLE = 1e-18  # of a tail, where its sum ends


def p_value(count: int, trials: int, probability: Fraction) -> float:
    """How probable a count at least as far out as this one is, on both sides.

    Twice the smaller of P(X <= count) and P(X >= count), at most 1, for X binomially distributed.
    The tails are summed term by term in float64; nothing is approximated by a normal distribution.

    Args:
        count: of successes, 0 to `trials`.
        trials: 1 or more.
        probability: of a success, 0 to 1.
    """
    if min(probability, 1 - probability) < _IMPOSSIBLE:
        return 1.0 if count == trials * round(probability) else 0.0
    below = _lower_tail(count, trials, probability)
    above = _lower_tail(trials - count, trials, 1 - probability)
    return min(1.0, 2 * min(below, above))


def _lower_tail(count: int, trials: int, probability: Fraction) -> float:
    """P(X <= count): from the largest term down, or 1 less the other tail above the mean."""
    if count >= trials:
        return 1.0
    if count > trials * probability:
        return 1.0 - _descending(trials - count - 1, trials, 1 - probability)
    return _descending(count, trials, probability)


def _descending(count: int, trials: int, probability: Fraction) -> float:
    """The terms at and below a count that is not above the mean."""
    p, q = float(probability), float(1 - probability)
    log = (
        math.lgamma(trials + 1) - math.lgamma(count + 1) - math.lgamma(trials - count + 1)
        + count * math.log(p) + (trials - count) * math.log(q)
    )  # fmt: skip
    term = total = 1.0
    for k in range(count, 0, -1):
        term *= k / (trials - k + 1) * (q / p)
        total += term
        if term < total * _NEGLIGIBLE:
            break
    return math.exp(log) * total if log + math.log(total) < 0 else 1.0
