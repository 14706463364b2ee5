"""Why a stochastic rounding is not what it should be: inputs judged, and causes by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

from fpx.conformance.binomial import p_value
from fpx.core.codec import is_nan
from fpx.core.policy import Scheme, Stochastic
from fpx.core.spec import FormatSpec
from fpx.core.stochastic import Distribution

NO_VALUE = -1
"""In place of a code: results that the target has not."""


_SIGNIFICANCE = 1e-6  # over all tests


class Seen(NamedTuple):
    """One input, what should become of it, and what did.

    Attributes:
        code: of the origin.
        negative: its sign.
        nan, infinite: what it is, if it is no number.
        expected: what should become of it, and how probably; of a NaN nothing.
        counts: code of the target (or NO_VALUE) -> how often it came.
    """

    code: int
    negative: bool
    nan: bool
    infinite: bool
    expected: Distribution
    counts: Mapping[int, int]

    @property
    def total(self) -> int:
        """How often it was tried."""
        return sum(self.counts.values())

    @property
    def codes(self) -> tuple[int, ...]:
        """What should become of it: the neighbour nearer to zero first."""
        return tuple(dict.fromkeys(item.rounded.code for item in self.expected.outcomes))

    @property
    def is_left_to_chance(self) -> bool:
        """Whether it may become either of two codes."""
        return len(self.codes) == 2

    @property
    def strays(self) -> list[int]:
        """Results that are none of those."""
        return [code for code in self.counts if code not in self.codes]

    @property
    def away(self) -> int:
        """How often it became the neighbour further from zero."""
        return self.counts.get(self.codes[-1], 0)


class Cause(NamedTuple):
    """A way of going wrong: a name, the same in words, and its inputs."""

    name: str
    reason: str
    inputs: tuple[Seen, ...]


@dataclass(frozen=True)
class Judge:
    """Whether shares are what probabilities say.

    Attributes:
        drawn: whether they come from draws, or of all words.
        tests: how many inputs are tested: what the significance is divided by.
    """

    drawn: bool
    tests: int

    @property
    def significance(self) -> float:
        """What a p-value must not be below, of any one test (Bonferroni's correction)."""
        return _SIGNIFICANCE / max(self.tests, 1)

    def p_value(self, seen: Seen, probability: Fraction) -> float:
        """Of the share that was rounded away from zero."""
        return p_value(seen.away, seen.total, probability)

    def accepts(self, seen: Seen, probability: Fraction) -> bool:
        """Whether the share is that probability, or may come of it."""
        if not self.drawn:
            return Fraction(seen.away, seen.total) == probability
        return self.p_value(seen, probability) >= self.significance


def causes_of(
    inputs: Sequence[Seen], target: FormatSpec, rounding: Stochastic, judge: Judge, bits: int
) -> list[Cause]:
    """What is wrong, by cause, that of most inputs first.

    Args:
        inputs: what was tried.
        target: the format.
        rounding: what was asked for.
        judge: of shares.
        bits: the most random bits that may have decided.
    """
    found: dict[tuple[str, str], list[Seen]] = {}
    clean = []
    for seen in inputs:
        named = _result_cause(seen, target)
        if named is not None:
            found.setdefault(named, []).append(seen)
        elif seen.is_left_to_chance:
            clean.append(seen)
    wrong = [seen for seen in clean if not judge.accepts(seen, _asked(seen))]
    over = [seen for seen in wrong if _may_overflow(seen) and seen.away == 0]
    if over:
        found["saturates", "gives the largest value where it should overflow"] = over
        wrong = [seen for seen in wrong if seen not in over]
    within = [seen for seen in clean if not _may_overflow(seen)]
    for name, reason, its in _share_causes(wrong, within, rounding, judge, bits):
        found.setdefault((name, reason), []).extend(its)
    causes = [Cause(name, reason, tuple(seen)) for (name, reason), seen in found.items()]
    return sorted(causes, key=lambda cause: -len(cause.inputs))


def is_right(seen: Seen, target: FormatSpec, judge: Judge) -> bool:
    """Whether an input became what it should, as often as it should."""
    if _result_cause(seen, target) is not None:
        return False
    return not seen.is_left_to_chance or judge.accepts(seen, _asked(seen))


def _asked(seen: Seen) -> Fraction:
    return seen.expected.outcomes[-1].probability


def _may_overflow(seen: Seen) -> bool:
    return any(item.rounded.overflow for item in seen.expected.outcomes)


# -- results that are none of those that may come --------------------------------------------------


def _result_cause(seen: Seen, target: FormatSpec) -> tuple[str, str] | None:
    """Why results of an input are none that it should have; None if all are."""
    if seen.nan:
        lost = target.nan_code is not None and any(
            code == NO_VALUE or not is_nan(code, target) for code in seen.counts
        )
        return ("nan_lost", "makes a number of a NaN") if lost else None
    strays = seen.strays
    if not strays or _all_nan(seen, target):
        return None
    if NO_VALUE in strays:
        return "no_value", f"gives numbers that {target.name} has not"
    if seen.infinite:
        return "infinity_lost", "makes something else of an infinity"
    kinds = {_stray(code, seen, target) for code in strays}
    return next(named for named in _STRAYS if named[0] in kinds)


def _all_nan(seen: Seen, target: FormatSpec) -> bool:
    """Whether NaNs came, of other bits, where a NaN was due."""
    due = [code for code in seen.codes if is_nan(code, target)]
    return bool(due) and all(is_nan(code, target) for code in seen.strays)


_STRAYS = (
    ("carry_lost", "loses the carry into the exponent"),
    ("sign_lost", "gives the other sign"),
    ("flushes_subnormals", "flushes subnormal results to zero"),
    ("saturates", "gives the largest value where it should overflow"),
    ("overflows_to_infinity", "gives infinity where it should not"),
    ("gives_nan", "gives NaN where it should not"),
    ("moves_representable", "moves numbers that the format has"),
    ("not_a_neighbour", "gives numbers that are no neighbours"),
)
"""Kinds of results that are none of the neighbours, those that tell most first."""


def _stray(code: int, seen: Seen, target: FormatSpec) -> str:
    """What kind of result it is."""
    magnitude = code & target.magnitude_mask
    due = [item & target.magnitude_mask for item in seen.codes]
    fraction = (1 << target.fraction_bits) - 1
    if is_nan(code, target):
        return "gives_nan"
    if magnitude == target.infinity_magnitude:
        return "overflows_to_infinity"
    if magnitude in due:
        return "sign_lost"
    carries = len(due) == 2 and fraction and not due[1] & fraction and due[0] & fraction
    if carries and magnitude == due[0] & ~fraction:
        return "carry_lost"
    if _may_overflow(seen) and magnitude == target.max_finite_magnitude:
        return "saturates"
    if magnitude == 0 and max(due) <= fraction + 1 and target.zero:
        return "flushes_subnormals"
    return "not_a_neighbour" if seen.is_left_to_chance else "moves_representable"


# -- shares that are not the probabilities ---------------------------------------------------------


class _Hypothesis(NamedTuple):
    """What a function may do instead: a name, words, and the probability of going away from zero.

    Attributes:
        probability: of an input, by its distance from the neighbour nearer to zero.
    """

    name: str
    reason: str
    probability: Callable[[Seen], Fraction]


def _share_causes(
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
    shares = [Fraction(seen.away, seen.total) - _asked(seen) for seen in wrong]
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
