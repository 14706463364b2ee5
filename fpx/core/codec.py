"""Exact numbers to codes and back: rounding, overflow, neighbours, ulps.

Rounding is integer arithmetic on magnitudes (see `fpx.core.spec`). Magnitudes past the largest
finite one stand for the values the format would have with more exponents, so "round first, then
see whether it overflowed" (IEEE 754-2019, 7.4) is one comparison.
"""

from enum import Enum
from typing import NamedTuple, TypeAlias

from fpx.core.dyadic import Dyadic
from fpx.core.numbers import Code, DecimalNumber, Infinity, Literal, Nan, as_number
from fpx.core.policy import (
    Direction,
    Overflow,
    Rounding,
    check_overflow,
    direction_of,
    special_codes,
    with_sign,
)
from fpx.core.spec import FormatSpec, NanEncoding
from fpx.errors import InputError
from fpx.words import quoted


class Classification(Enum):
    """What kind of datum a code is; the sign is told separately."""

    ZERO = "zero"
    SUBNORMAL = "subnormal"
    NORMAL = "normal"
    INFINITY = "infinity"
    QUIET_NAN = "quiet_nan"
    SIGNALING_NAN = "signaling_nan"
    NAN = "nan"
    """A NaN of a format that does not tell quiet from signaling."""


class Fields(NamedTuple):
    """The three fields of a code."""

    sign: int
    biased_exponent: int
    fraction: int


class Rounded(NamedTuple):
    """A code and what rounding to it did (the exceptions of IEEE 754-2019, clause 7).

    `ulp_exponent` is log2 of the ulp at the number before it was rounded, None where it was none.
    `invalid`: a number below all the format's values (negative without a sign, 0 without a zero).
    """

    code: int
    inexact: bool = False
    overflow: bool = False
    ulp_exponent: int | None = None
    invalid: bool = False


RoundedMagnitude: TypeAlias = tuple[int, bool, int]
"""A magnitude, past the largest finite one too; whether it is inexact; log2 of the spacing there.

A plain tuple, of which every number makes one.
"""


_EVEN = Direction.EVEN  # to ask an Enum for a member takes a while


# -- encode ----------------------------------------------------------------------------------------


def encode(
    literal: Literal,
    spec: FormatSpec,
    rounding: Rounding = Rounding.TIES_TO_EVEN,
    overflow: Overflow = Overflow.IEEE,
) -> Rounded:
    """The code of `literal` in `spec`, rounded once from its exact value (see `round_exact`).

    Raises:
        InputError: the format cannot hold it at all (a NaN without NaNs, a payload too large, a
            code wider than the format).
    """
    number = literal if type(literal) is DecimalNumber else as_number(literal, spec)
    if number is not None:
        numerator, denominator = number.ratio(spec.quantum_exponent, spec.emax + 1)
        negative = number.negative
        return round_exact(numerator, denominator, spec, rounding, overflow, negative=negative)
    if isinstance(literal, Code):
        code = literal.in_format(spec)
        value = decode(code, spec)
        return Rounded(code, ulp_exponent=None if value is None else ulp_exponent(value, spec))
    if isinstance(literal, Infinity):
        return round_infinity(spec, overflow, negative=literal.negative)
    assert isinstance(literal, Nan)
    return Rounded(_nan_code(literal, spec))


def round_exact(
    numerator: int,
    denominator: int,
    spec: FormatSpec,
    rounding: Rounding = Rounding.TIES_TO_EVEN,
    overflow: Overflow = Overflow.IEEE,
    *,
    negative: bool = False,
) -> Rounded:
    """The code of (-1)^negative * numerator / denominator in `spec`, rounded once.

    Of a `Fraction`, a `Decimal` or a float x: `round_exact(*x.as_integer_ratio(), spec)`.

    Args:
        numerator, denominator: of either sign; they may have common factors.
        spec: the target format.
        rounding, overflow: how to round; a number below all values of the format (see
            `Rounded.invalid`) becomes what `policy.special_codes` says.
        negative: turns the sign, and is the sign of a zero.

    Raises:
        InputError: overflow to NaN in a format without one.
        ZeroDivisionError: the denominator is 0.
    """
    if denominator <= 0:
        if not denominator:
            raise ZeroDivisionError("the denominator of an exact number is 0")
        numerator, denominator = -numerator, -denominator
    if numerator <= 0:
        if not numerator:
            return _zero(spec, overflow, negative)
        numerator, negative = -numerator, not negative
    direction = direction_of(rounding, negative)
    found = round_magnitude(numerator, denominator, spec, direction)
    magnitude, inexact, quantum = found
    if magnitude <= spec.max_finite_magnitude and (spec.signed or not negative):
        return Rounded(with_sign(magnitude, negative, spec), inexact, False, quantum)
    return finished(found, spec, overflow, direction, negative)


def round_infinity(
    spec: FormatSpec, overflow: Overflow = Overflow.IEEE, *, negative: bool = False
) -> Rounded:
    """The code of an infinity in `spec`.

    Raises:
        InputError: overflow to NaN in a format with neither infinity nor NaN.
    """
    if negative and not spec.signed:
        return _invalid(spec, overflow, None)
    code = special_codes(spec, overflow).infinity
    if code is None:
        check_overflow(spec, overflow)
    assert code is not None
    return Rounded(with_sign(code, negative, spec), inexact=code != spec.infinity_magnitude)


def finished(
    found: RoundedMagnitude,
    spec: FormatSpec,
    overflow: Overflow,
    direction: Direction,
    negative: bool,
) -> Rounded:
    """The code of a magnitude that was rounded in that direction, and its flags.

    Raises:
        InputError: overflow to NaN in a format without one.
    """
    magnitude, inexact, quantum = found
    quantum = min(quantum, spec.emax - spec.fraction_bits)
    if negative and not spec.signed and (magnitude or not spec.zero):
        return _invalid(spec, overflow, quantum)
    if magnitude > spec.max_finite_magnitude:
        check_overflow(spec, overflow)
        beyond = special_codes(spec, overflow, direction).beyond
        assert beyond is not None
        return Rounded(with_sign(beyond, negative, spec), True, True, quantum)
    return Rounded(with_sign(magnitude, negative, spec), inexact, False, quantum)


def _zero(spec: FormatSpec, overflow: Overflow, negative: bool) -> Rounded:
    if not spec.zero:
        return _invalid(spec, overflow, spec.quantum_exponent)
    return Rounded(with_sign(0, negative, spec), ulp_exponent=spec.quantum_exponent)


def _invalid(spec: FormatSpec, overflow: Overflow, quantum: int | None) -> Rounded:
    """What a number below all values of the format becomes."""
    code = special_codes(spec, overflow).invalid
    return Rounded(code, inexact=True, ulp_exponent=quantum, invalid=True)


def round_magnitude(
    numerator: int, denominator: int, spec: FormatSpec, direction: Direction
) -> RoundedMagnitude:
    """A positive fraction, rounded as if exponents had no end: see `finished`."""
    lowest = spec.quantum_exponent
    quantum = _log2_floor(numerator, denominator) - spec.fraction_bits
    if quantum < lowest:
        quantum = lowest
    if quantum >= 0:
        denominator <<= quantum
    else:
        numerator <<= -quantum
    significand, remainder = divmod(numerator, denominator)
    magnitude = ((quantum - lowest) << spec.fraction_bits) + significand
    if not spec.zero:
        # E8M0-like: magnitude 0 is 2^emin, and nothing lies between it and zero
        if magnitude < 1 << spec.fraction_bits:
            return 0, True, lowest
        magnitude -= 1 << spec.fraction_bits
    if remainder == 0:
        return magnitude, False, quantum
    # A carry out of the fraction runs into the exponent, which is just the next binade. "Even" is
    # the parity of the code: where the fraction has no bits, the exponent's last bit decides.
    twice = 2 * remainder
    if direction is _EVEN:
        up = twice > denominator or (twice == denominator and magnitude & 1)
    elif direction is Direction.AWAY_ON_TIE:
        up = twice >= denominator
    elif direction is Direction.ODD:
        up = not magnitude & 1
    else:
        up = direction is Direction.UP
    return magnitude + bool(up), True, quantum


def _log2_floor(numerator: int, denominator: int) -> int:
    """floor(log2(numerator / denominator)) of a positive fraction."""
    exponent = numerator.bit_length() - denominator.bit_length()
    if exponent >= 0:
        return exponent - (numerator < denominator << exponent)
    return exponent - (numerator << -exponent < denominator)


def _nan_code(nan: Nan, spec: FormatSpec) -> int:
    if spec.nan_code is None:
        raise InputError(f"{spec.name} has no NaN: every code is a number")
    if not spec.has_nan_payload:
        if nan.signaling or nan.payload is not None:
            lacks = "signaling NaN" if nan.signaling else "payload in its NaN"
            raise InputError(f"{quoted(nan.text)}: {spec.name} has no {lacks}; write nan")
        return with_sign(spec.nan_code, nan.negative, spec)
    largest = spec.quiet_bit - 1
    # an all-zero fraction would be infinity, so a signaling NaN needs a payload
    payload = int(nan.signaling) if nan.payload is None else nan.payload
    if payload > largest or (nan.signaling and payload == 0):
        least = int(nan.signaling)
        if largest < least:
            raise InputError(f"{quoted(nan.text)}: {spec.name} has no signaling NaN; write nan")
        raise InputError(
            f"{quoted(nan.text)}: {spec.name} has payloads from {least:#x} to {largest:#x}"
        )
    code = (spec.max_finite_magnitude + 1) | payload | (0 if nan.signaling else spec.quiet_bit)
    return code | spec.sign_mask if nan.negative else code


# -- decode ----------------------------------------------------------------------------------------


def fields(code: int, spec: FormatSpec) -> Fields:
    """The stored fields of a code; `sign` is 0 in an unsigned format."""
    magnitude = code & spec.magnitude_mask
    return Fields(
        int(code & spec.sign_mask != 0),
        magnitude >> spec.fraction_bits,
        magnitude & ((1 << spec.fraction_bits) - 1),
    )


def classify(code: int, spec: FormatSpec) -> Classification:
    """What the code stands for."""
    magnitude = code & spec.magnitude_mask
    if magnitude > spec.max_finite_magnitude:
        if magnitude == spec.infinity_magnitude:
            return Classification.INFINITY
        if not spec.has_nan_payload:
            return Classification.NAN
        quiet = magnitude & spec.quiet_bit
        return Classification.QUIET_NAN if quiet else Classification.SIGNALING_NAN
    if spec.nan is NanEncoding.NEGATIVE_ZERO and code == spec.nan_code:
        return Classification.NAN
    if not spec.zero or magnitude >> spec.fraction_bits:
        return Classification.NORMAL
    return Classification.SUBNORMAL if magnitude else Classification.ZERO


def is_nan(code: int, spec: FormatSpec) -> bool:
    """Whether the code is a NaN of any kind."""
    magnitude = code & spec.magnitude_mask
    if spec.nan is NanEncoding.NEGATIVE_ZERO:
        return code == spec.nan_code
    return magnitude > spec.max_finite_magnitude and magnitude != spec.infinity_magnitude


def decode(code: int, spec: FormatSpec) -> Dyadic | None:
    """The exact value of a finite code (0 for both zeros); None for infinities and NaNs."""
    magnitude = code & spec.magnitude_mask
    if magnitude > spec.max_finite_magnitude:
        return None
    if spec.nan is NanEncoding.NEGATIVE_ZERO and code == spec.nan_code:
        return None
    significand, exponent = spec.finite(magnitude)
    return Dyadic(-significand if code & spec.sign_mask else significand, exponent)


def ulp_exponent(value: Dyadic, spec: FormatSpec) -> int:
    """log2 of the ulp of `spec` at an exact value: the spacing of the binade that holds it.

    Below the smallest normal it is the subnormal spacing, beyond the largest finite value that of
    the top binade. `Rounded.ulp_exponent` has it for numbers that are not dyadic.
    """
    if value.significand == 0:
        return spec.quantum_exponent
    return min(max(value.log2_floor, spec.emin), spec.emax) - spec.fraction_bits


def neighbours(code: int, spec: FormatSpec) -> tuple[int | None, int | None]:
    """Codes of the next lower and next upper value, infinities included; None past the ends.

    IEEE 754-2019, 5.3.1 (nextDown, nextUp): the zeros count as one value, and -0 is what lies
    above the negative value nearest to zero.
    """
    if is_nan(code, spec):
        return None, None
    magnitude = code & spec.magnitude_mask
    top = spec.max_finite_magnitude + spec.infinity
    away = magnitude + 1 if magnitude < top else None
    if code & spec.sign_mask:
        if magnitude == 0:
            return spec.sign_mask | 1, 1
        lower = None if away is None else spec.sign_mask | away
        return lower, with_sign(magnitude - 1, True, spec)
    if magnitude:
        return magnitude - 1, away
    return (spec.sign_mask | 1 if spec.signed and spec.zero else None), away


def ordinal(code: int, spec: FormatSpec) -> int:
    """The place of a code's value on the line of values: neighbours differ by 1, zero is at 0.

    A format without zero starts at 0 with its smallest value.

    Raises:
        InputError: a NaN has no place there.
    """
    if is_nan(code, spec):
        text = f"0x{code:0{spec.code_digits}x}"
        raise InputError(f"{text} is a NaN of {spec.name}: it has no place among the values")
    magnitude = code & spec.magnitude_mask
    return -magnitude if code & spec.sign_mask else magnitude


def code_at(place: int, spec: FormatSpec) -> int | None:
    """The code whose `ordinal` is `place` (+0 for zero); None past the ends."""
    if abs(place) > spec.max_finite_magnitude + spec.infinity or (place < 0 and not spec.signed):
        return None
    return place if place >= 0 else spec.sign_mask | -place
