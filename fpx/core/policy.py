"""Rounding and overflow, the choices of a cast, and what they make of a number without a value.

Which code stands for overflow, infinity and invalid numbers is decided here once: the scalar
rounding (`fpx.core.codec`), the tensor rounding (`fpx.casts.rounding`) and the intervals
(`fpx.core.interval`) take it from `special_codes`.
"""

import math
import re
from collections.abc import Sequence
from enum import Enum
from fractions import Fraction
from typing import NamedTuple, TypeAlias

from fpx.core.spec import FormatSpec
from fpx.errors import InputError
from fpx.words import did_you_mean, listed, quoted


class Rounding(Enum):
    """Which neighbour an inexact number becomes.

    IEEE 754-2019, 4.3; `to_odd`: Boldo and Melquiond, "Emulation of FMA and correctly rounded sums
    using rounding to odd", IEEE Transactions on Computers 57(4), 2008.
    """

    TIES_TO_EVEN = "ties_to_even"
    TIES_TO_AWAY = "ties_to_away"
    TOWARD_ZERO = "toward_zero"
    TOWARD_POSITIVE = "toward_positive"
    TOWARD_NEGATIVE = "toward_negative"
    TO_ODD = "to_odd"

    __hash__ = object.__hash__  # tables are asked with it for every number of a stream


class Scheme(Enum):
    """How r random bits, a word R below 2^r, take a number away from zero.

    d is its distance from the neighbour that is nearer to zero, in units in the last place. They
    are StochasticA, StochasticB and StochasticC of the IEEE P3109 interim report; of a, which adds
    the word below the last place and cuts, are most recipes and instructions.
    """

    A = "a"
    """floor(d 2^r) + R >= 2^r: what is below 2^-r is cut, so the mean is too near to zero."""
    B = "b"
    """d 2^r + R + 1/2 >= 2^r: as if the word ended with a half."""
    C = "c"
    """d 2^r, rounded to an integer (ties to even), + R >= 2^r."""


_STOCHASTIC = "stochastic"
_SYNTAX = rf"{_STOCHASTIC}(?::(\d{{1,9}})(?::([a-z]+))?)?"
_MOST_RANDOM_BITS = 32  # as many as instructions and libraries take


class Change(NamedTuple):
    """A change of a value that rounding may keep.

    Attributes:
        ulps: how large it is, in units in the last place.
        counts: whether a change of just that size is kept with some probability; if not, only
            larger ones are.
    """

    ulps: Fraction
    counts: bool


class Stochastic(NamedTuple):
    """Rounding to either neighbour at random, so that the mean is the number or close to it.

    Attributes:
        bits: how many random bits decide, 1 to 32; None is the ideal, without bias.
        scheme: how they do; of no importance to the ideal.
    """

    bits: int | None = None
    scheme: Scheme = Scheme.A

    @property
    def value(self) -> str:
        """How it is written: `stochastic`, `stochastic:16:a`."""
        if self.bits is None:
            return _STOCHASTIC
        return f"{_STOCHASTIC}:{self.bits}:{self.scheme.value}"

    def away(self, distance: Fraction) -> Fraction:
        """The probability that a number is rounded away from zero.

        Args:
            distance: from the neighbour that is nearer to zero, in ulps: from 0 up, below 1.
        """
        if self.bits is None:
            return distance
        words = distance * (1 << self.bits)
        if self.scheme is Scheme.A:
            count = math.floor(words)
        elif self.scheme is Scheme.B:
            count = math.floor(words + Fraction(1, 2))
        else:
            count = round(words)
        return Fraction(count, 1 << self.bits)

    @property
    def growth(self) -> Change:
        """The smallest change of a value away from zero that may be kept."""
        if self.bits is None:
            return Change(Fraction(0), False)
        if self.scheme is Scheme.A:
            return Change(Fraction(1, 1 << self.bits), True)
        return Change(Fraction(1, 2 << self.bits), self.scheme is Scheme.B)

    @property
    def shrinking(self) -> Change:
        """As `growth`, toward zero, in the ulps below the value."""
        if self.bits is None or self.scheme is Scheme.A:
            return Change(Fraction(0), False)
        return Change(Fraction(1, 2 << self.bits), False)


AnyRounding: TypeAlias = Rounding | Stochastic


ROUNDINGS = (*(mode.value for mode in Rounding), _STOCHASTIC)
"""What roundings are called; the last takes `:BITS` and `:a`, `:b` or `:c` after it."""


def find_rounding(name: str, others: Sequence[str] = ()) -> AnyRounding:
    """The rounding of a name: of a mode, or `stochastic[:bits[:a|b|c]]`.

    Args:
        name: in any case.
        others: what else the caller takes, for the message.

    Raises:
        InputError: there is none.
    """
    text = name.strip().lower()
    if text.partition(":")[0] != _STOCHASTIC:
        try:
            return Rounding(text)
        except ValueError:
            names = (*ROUNDINGS, *others)
            raise InputError(
                f"unknown rounding {quoted(name)}: use {listed(names)}{did_you_mean(text, names)}"
            ) from None
    match = re.fullmatch(_SYNTAX, text)
    schemes = [scheme.value for scheme in Scheme]
    bits, scheme = (None, None) if match is None else match.groups()
    if match is None or (scheme is not None and scheme not in schemes):
        raise InputError(
            f"unknown rounding {quoted(name)}: write stochastic, stochastic:BITS or "
            f"stochastic:BITS:{'|'.join(schemes)}"
        )
    if bits is None:
        return Stochastic()
    if not 1 <= int(bits) <= _MOST_RANDOM_BITS:
        raise InputError(f"{quoted(name)}: the number of random bits is 1 to {_MOST_RANDOM_BITS}")
    return Stochastic(int(bits), Scheme(scheme or Scheme.A.value))


class Overflow(Enum):
    """What becomes of a magnitude beyond the largest finite value."""

    IEEE = "ieee"
    """IEEE 754-2019, 7.4: infinity, or the largest finite value if the rounding points that way. A
    format without infinity gives NaN, and one without NaN its largest value."""
    SATURATE = "saturate"
    """The largest finite value, for an infinite input too (SAT in OCP OFP8 v1.0, 5.2)."""
    NAN = "nan"
    """NaN, whichever way the rounding points; an infinite input keeps the format's infinity."""

    __hash__ = object.__hash__  # as of `Rounding`


class Direction(Enum):
    """A rounding mode seen from zero, where the sign no longer matters."""

    EVEN = "even"
    AWAY_ON_TIE = "away_on_tie"
    DOWN = "down"
    UP = "up"
    ODD = "odd"


_TIES_TO_EVEN, _EVEN = Rounding.TIES_TO_EVEN, Direction.EVEN  # nearly every call is about these


def direction_of(rounding: Rounding, negative: bool) -> Direction:
    """Where a rounding mode takes the magnitude of a number of that sign."""
    if rounding is _TIES_TO_EVEN:
        return _EVEN
    if rounding is Rounding.TIES_TO_AWAY:
        return Direction.AWAY_ON_TIE
    if rounding is Rounding.TO_ODD:
        return Direction.ODD
    upward = rounding is (Rounding.TOWARD_NEGATIVE if negative else Rounding.TOWARD_POSITIVE)
    return Direction.UP if upward else Direction.DOWN


class SpecialCodes(NamedTuple):
    """What a format gives, under a policy, for what none of its values is near.

    All are codes without a sign: `with_sign` gives them that of the number. Only `invalid` is taken
    as it is. None stands for a NaN that the policy asks for and the format lacks.

    Attributes:
        beyond: for a finite number that rounds beyond the largest finite value.
        infinity: for an infinite number.
        invalid: for a number below all values (negative without a sign, zero without a zero): NaN,
            as for any invalid operation of IEEE 754-2019, 7.2; where it saturates, or there is no
            NaN, the smallest value.
    """

    beyond: int | None
    infinity: int | None
    invalid: int


def special_codes(
    spec: FormatSpec, overflow: Overflow = Overflow.IEEE, direction: Direction = Direction.EVEN
) -> SpecialCodes:
    """The special codes of a format under an overflow policy and a rounding."""
    largest, infinity, nan = spec.max_finite_magnitude, spec.infinity_magnitude, spec.nan_code
    smallest = 0
    if overflow is Overflow.SATURATE:
        return SpecialCodes(largest, largest, smallest)
    invalid = smallest if nan is None else nan
    if overflow is Overflow.NAN:
        return SpecialCodes(nan, nan if infinity is None else infinity, invalid)
    if infinity is None:
        infinity = largest if nan is None else nan
    toward_finite = direction in (Direction.DOWN, Direction.ODD)
    return SpecialCodes(largest if toward_finite else infinity, infinity, invalid)


def with_sign(code: int, negative: bool, spec: FormatSpec) -> int:
    """A code without a sign, as that of a negative number if it is one.

    A format without a sign, and the only zero or NaN of a format, have none.
    """
    if not negative or (code == 0 and not spec.has_negative_zero):
        return code
    return code | spec.sign_mask


def overflow_result(spec: FormatSpec) -> str:
    """What a positive number beyond the range becomes by the format's own specification.

    `infinity`, `nan`, or `max_finite`: see `Overflow.IEEE`.
    """
    beyond = special_codes(spec).beyond
    if beyond == spec.max_finite_magnitude:
        return "max_finite"
    return "infinity" if beyond == spec.infinity_magnitude else "nan"


def check_overflow(spec: FormatSpec, overflow: Overflow) -> None:
    """Refuses a policy that a format has no code for.

    Raises:
        InputError: overflow to NaN, and the format has none.
    """
    if overflow is Overflow.NAN and spec.nan_code is None:
        raise InputError(f'{spec.name} has no NaN to overflow to: choose `overflow="saturate"`')
