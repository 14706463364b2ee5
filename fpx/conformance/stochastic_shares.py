"""Why a stochastic rounding goes either way more often than it should, by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from typing import NamedTuple

from fpx.conformance.stochastic_seen import Cause, Judge, Seen
from fpx.core.policy import Scheme, Stochastic


class _Hypothesis(NamedTuple):
    """What a function may do instead: a name, words, and the probability of going away from zero.

    Attributes:
        probability: of an input, by its distance from the neighbour nearer to zero.
    """

    name: str
    reason: str
    probability: Callable[[Seen], Fraction]


def share_causes(
    wrong: Sequence[Seen],
    within: Sequence[Seen],
    rounding: Stochastic,
    judge: Judge,
    bits: int,
) -> Iterator[Cause]:
    """Why shares are not what they should be.

    Args:
        wrong: the inputs whose are not.
        within: all inputs with two neighbours, both in range.
    """
    if not wrong:
        return
    subnormal = [seen for seen in wrong if _is_subnormal(seen)]
    negative = [seen for seen in wrong if seen.negative]
    groups = [(within, ""), (wrong, "")]
    if len(subnormal) == len(wrong):
        groups = [(subnormal, ", of subnormal results")]
    elif len(negative) == len(wrong) and len(negative) < len(within):
        groups = [(negative, ", of negative numbers alone")]
    for hypothesis in _hypotheses(rounding, bits):
        for group, where in groups:
            if group and all(judge.accepts(seen, hypothesis.probability(seen)) for seen in group):
                yield Cause(hypothesis.name, f"{hypothesis.reason}{where}", tuple(wrong))
                return
    where = groups[0][1]
    shares = [Fraction(seen.away, seen.total) - seen.asked for seen in wrong]
    if where.endswith("alone"):
        yield Cause("sign_asymmetry", "rounds negative numbers in another way", tuple(wrong))
    elif all(share < 0 for share in shares):
        most = float(-min(shares))
        yield Cause(
            "biased_toward_zero", f"is biased toward zero, by up to {most:.3g} ulp{where}",
            tuple(wrong),
        )  # fmt: skip
    elif all(share > 0 for share in shares):
        most = float(max(shares))
        yield Cause(
            "biased_away", f"is biased away from zero, by up to {most:.3g} ulp{where}",
            tuple(wrong),
        )  # fmt: skip
    else:
        yield Cause("wrong_probability", f"has other probabilities{where}", tuple(wrong))


def _is_subnormal(seen: Seen) -> bool:
    spec = seen.expected.spec
    return seen.codes[0] & spec.magnitude_mask < 1 << spec.fraction_bits and spec.zero


def _hypotheses(rounding: Stochastic, bits: int) -> Iterator[_Hypothesis]:
    """What functions are known to do instead, those that tell most first."""
    zero, one = Fraction(0), Fraction(1)
    half = Fraction(1, 2)

    def distance(seen: Seen) -> Fraction:
        return seen.expected.distance

    yield _Hypothesis("never_away", "never rounds away from zero", lambda seen: zero)
    yield _Hypothesis("always_away", "always rounds away from zero", lambda seen: one)
    yield _Hypothesis("always_up", "always rounds up", lambda seen: zero if seen.negative else one)
    yield _Hypothesis(
        "always_down", "always rounds down", lambda seen: one if seen.negative else zero
    )
    yield _Hypothesis(
        "rounds_to_nearest",
        "rounds to nearest",
        lambda seen: Fraction(distance(seen) > half) if distance(seen) != half else _observed(seen),
    )
    yield _Hypothesis(
        "constant_probability",
        "rounds either way as often, whatever the distance",
        lambda seen: half,
    )
    yield _Hypothesis(
        "reversed",
        "takes the further neighbour for the nearer one",
        lambda seen: 1 - distance(seen),
    )
    for count in range(bits, 0, -1):
        for scheme in Scheme:
            other = Stochastic(count, scheme)
            if other != rounding:
                yield _Hypothesis(*_fewer_bits(other), _probability_of(other))


def _probability_of(other: Stochastic) -> Callable[[Seen], Fraction]:
    return lambda seen: other.away(seen.expected.distance)


def _observed(seen: Seen) -> Fraction:
    """Of a tie, which nearest may break in either way."""
    share = Fraction(seen.away, seen.total)
    return share if share in (0, 1) else Fraction(1, 2)


def _fewer_bits(other: Stochastic) -> tuple[str, str]:
    if other.scheme is Scheme.A:
        return (
            "biased_toward_zero",
            f"is biased toward zero, by up to 2^-{other.bits} ulp, as {other.value} is",
        )
    assert other.bits is not None
    return "biased", f"is biased by up to 2^-{other.bits + 1} ulp, as {other.value} is"
