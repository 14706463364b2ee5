"""What stochastic rounding makes of a number: every outcome, with its exact probability.

Rounding is of magnitudes, as if exponents had no end; whether the outcome overflowed is seen after
that, as for every rounding (see `fpx.core.codec`). So a number between the largest finite value and
what would be the next one overflows with the probability of being rounded away from zero, and
whatever is larger always does.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import NamedTuple

from fpx.core.codec import Rounded, decode, encode, finished, round_exact, round_magnitude
from fpx.core.dyadic import Dyadic
from fpx.core.numbers import Literal, as_fraction, as_number
from fpx.core.policy import Direction, Overflow, Stochastic
from fpx.core.spec import FormatSpec
from fpx.errors import InputError
from fpx.words import quoted


class Outcome(NamedTuple):
    """What a number may become.

    Attributes:
        rounded: the code and its flags.
        probability: 0 to 1. It is 0 of a neighbour that too few random bits never reach.
        toward_zero: whether it was rounded toward zero (or not at all).
    """

    rounded: Rounded
    probability: Fraction
    toward_zero: bool


class Distribution(NamedTuple):
    """All that a number may become.

    Attributes:
        spec: the format.
        number: before it was rounded; None of infinities and NaNs.
        distance: of its magnitude from the neighbour that is nearer to zero, in ulps, below 1; 0
            where nothing is left to chance.
        outcomes: that neighbour first, then the other; one alone where nothing is left to chance.
    """

    spec: FormatSpec
    number: Fraction | None
    distance: Fraction
    outcomes: tuple[Outcome, ...]

    @property
    def codes(self) -> dict[int, Fraction]:
        """Code -> probability, of those that are possible."""
        found: dict[int, Fraction] = {}
        for outcome in self.outcomes:
            if outcome.probability:
                code = outcome.rounded.code
                found[code] = found.get(code, Fraction(0)) + outcome.probability
        return found

    @property
    def overflow_probability(self) -> Fraction:
        """How probable it is that the result is beyond the range."""
        return sum(
            (item.probability for item in self.outcomes if item.rounded.overflow), Fraction(0)
        )

    @property
    def expectation(self) -> Fraction | None:
        """The mean of the results; None where one of them may be infinite or NaN."""
        return moment(self.codes, self.spec, 1)

    @property
    def variance(self) -> Fraction | None:
        """The mean of their squares less the square of the mean; None where that is none."""
        return variance(self.codes, self.spec)

    @property
    def bias(self) -> Fraction | None:
        """`expectation` - `number`; None where there is none."""
        mean = self.expectation
        return None if mean is None or self.number is None else mean - self.number

    @property
    def ulp(self) -> Fraction | None:
        """The spacing of the format at the number; None of infinities and NaNs."""
        exponent = self.outcomes[0].rounded.ulp_exponent
        return None if exponent is None else Dyadic(1, exponent).fraction

    @property
    def bias_ulp(self) -> Fraction | None:
        """`bias` in ulps of the format at the number."""
        bias, ulp = self.bias, self.ulp
        return None if bias is None or ulp is None else bias / ulp


def moment(codes: Mapping[int, Fraction], spec: FormatSpec, power: int) -> Fraction | None:
    """The mean of values to some power, by codes and their probabilities; None if one is none."""
    total = Fraction(0)
    for code, probability in codes.items():
        value = decode(code, spec)
        if value is None:
            return None
        total += probability * value.fraction**power
    return total


def variance(codes: Mapping[int, Fraction], spec: FormatSpec) -> Fraction | None:
    """The mean of squares less the square of the mean, as `moment`; None where that is none."""
    mean, squares = moment(codes, spec, 1), moment(codes, spec, 2)
    return None if mean is None or squares is None else squares - mean * mean


def distribute(
    number: Fraction,
    spec: FormatSpec,
    rounding: Stochastic,
    overflow: Overflow = Overflow.IEEE,
    *,
    negative: bool = False,
) -> Distribution:
    """What an exact number becomes in a format, and how probably.

    Args:
        number: of either sign.
        spec: the format.
        rounding: how probabilities follow from the distance to the neighbours.
        overflow: what becomes of a result beyond the range.
        negative: the sign of a zero.

    Raises:
        InputError: overflow to NaN in a format without one.
    """
    if not number:
        zero = round_exact(0, 1, spec, overflow=overflow, negative=negative)
        return Distribution(spec, number, Fraction(0), (_certain(zero),))
    negative, magnitude = number < 0, abs(number)
    lower = round_magnitude(*magnitude.as_integer_ratio(), spec, Direction.DOWN)
    nearer, _, quantum = lower
    below = spec.finite(nearer).fraction
    # a format without zero has no neighbour below its smallest value
    distance = max((magnitude - below) / Dyadic(1, quantum).fraction, Fraction(0))
    choices = [lower]
    if distance:
        choices.append((nearer + 1, True, quantum))
    # overflow is as of rounding to nearest: no direction points at the largest finite value
    toward, *away = (
        finished(choice, spec, overflow, Direction.EVEN, negative) for choice in choices
    )
    if not away or away[0] == toward:
        return Distribution(spec, number, Fraction(0), (_certain(toward),))
    probability = rounding.away(distance)
    return Distribution(
        spec,
        number,
        distance,
        (Outcome(toward, 1 - probability, True), Outcome(away[0], probability, False)),
    )


def distribution(
    literal: Literal,
    spec: FormatSpec,
    rounding: Stochastic,
    overflow: Overflow = Overflow.IEEE,
) -> Distribution:
    """As `distribute`, of a literal; codes, infinities and NaNs become what they always do.

    Raises:
        InputError: as `fpx.core.codec.encode`; or the number takes too many digits for
            probabilities.
    """
    number = as_number(literal, spec)
    if number is None:
        rounded = encode(literal, spec, overflow=overflow)
        value = decode(rounded.code, spec)
        exact = None if value is None or rounded.inexact else value.fraction
        return Distribution(spec, exact, Fraction(0), (_certain(rounded),))
    fraction = as_fraction(number)
    if fraction is None:
        raise InputError(
            f"{quoted(number.text)} is too large or small for exact probabilities: choose another "
            "`rounding`"
        )
    return distribute(fraction, spec, rounding, overflow, negative=number.negative)


def _certain(rounded: Rounded) -> Outcome:
    return Outcome(rounded, Fraction(1), True)
