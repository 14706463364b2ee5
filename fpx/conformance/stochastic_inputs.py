"""The numbers that a stochastic rounding is tried with: few, since each is tried many times."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

from fpx.core.codec import decode, is_nan, round_exact
from fpx.core.dyadic import Dyadic
from fpx.core.policy import Overflow, Rounding
from fpx.core.spec import FormatSpec

_BINADES = 4  # of the target's normal numbers, spread over its range
_LEAST = 3  # bits below the last place, of the distances that are tried at either end


def stochastic_inputs(origin: FormatSpec, target: FormatSpec) -> list[int]:
    """Codes of an origin that show how a target's neighbours are chosen, in ascending order.

    Of binades over all the target's range, and of its subnormal numbers: the first, the last and
    one between, each itself and with distances to the next from the least that the origin has up
    to the largest, of both signs. Beside them zeros, the ends of both ranges, what is between the
    largest value and what would come after it, infinities, and NaNs of several kinds: among them
    0x7fffffff of float32, whose bits are all ones, and one whose payload is its lowest bit alone.
    """
    found = set(_specials(origin))
    for number in _numbers(origin, target):
        rounded = round_exact(
            *number.as_integer_ratio(), origin, Rounding.TOWARD_ZERO, Overflow.SATURATE
        )
        found.add(rounded.code)
        if origin.signed:
            found.add(rounded.code | origin.sign_mask)
    return sorted(found)


def _specials(origin: FormatSpec) -> Iterator[int]:
    magnitudes = {0, 1, origin.max_finite_magnitude}
    if origin.infinity_magnitude is not None:
        magnitudes.add(origin.infinity_magnitude)
    if origin.has_nan_payload:
        nan = origin.max_finite_magnitude + 1
        magnitudes |= {nan | 1, nan | origin.quiet_bit, origin.magnitude_mask}
    elif origin.nan_code is not None:
        yield origin.nan_code
    for magnitude in magnitudes:
        yield magnitude
        if origin.signed:
            yield magnitude | origin.sign_mask


def _numbers(origin: FormatSpec, target: FormatSpec) -> Iterator[Fraction]:
    last = (1 << target.fraction_bits) - 1
    for magnitude in sorted(_magnitudes(origin, target)):
        significand, exponent = target.finite(magnitude)
        value, ulp = Dyadic(significand, exponent).fraction, Dyadic(1, exponent).fraction
        least = _least(value, origin) / ulp
        yield value
        if least < 1:
            distances = {Fraction(1, 2), Fraction(11, 16)}
            if magnitude & last in (0, last):  # where binades meet
                near = {least, least * (1 << _LEAST), Fraction(1, 1 << 9), Fraction(3, 8)}
                distances |= near | {1 - distance for distance in near}
            yield from (value + ulp * distance for distance in distances if 0 < distance < 1)
    top = target.max_finite.fraction
    beyond = Dyadic(1, target.max_finite.exponent).fraction
    yield from (top + beyond * Fraction(n, 4) for n in range(5))
    if target.zero:  # far below the smallest value
        yield target.smallest_positive.fraction / (1 << 40)


def _magnitudes(origin: FormatSpec, target: FormatSpec) -> set[int]:
    """Magnitudes of the target, none beyond the origin's range."""
    fraction_bits, top = target.fraction_bits, target.max_finite_magnitude
    first = int(target.zero) << fraction_bits
    highest = min(target.emax, origin.emax)
    lowest = max(target.emin, origin.quantum_exponent + target.fraction_bits + 1)
    exponents = {lowest, lowest + 1, highest - 1, highest, min(max(0, lowest), highest)}
    step = max((highest - lowest) // _BINADES, 1)
    exponents |= set(range(lowest, highest + 1, step))
    size = 1 << fraction_bits
    inside = {0, size // 3, size - 1}
    found = {
        first + ((exponent - target.emin) << fraction_bits) + fraction
        for exponent in exponents
        if target.emin <= exponent <= target.emax
        for fraction in inside
    }
    if target.zero:
        found |= inside | {1}  # zero and the subnormal numbers
    return {magnitude for magnitude in found if magnitude < top}


def _least(value: Fraction, origin: FormatSpec) -> Fraction:
    """The spacing of the origin above a number."""
    rounded = round_exact(*value.as_integer_ratio(), origin)
    exponent = rounded.ulp_exponent
    assert exponent is not None
    return Dyadic(1, exponent).fraction


def number_of(code: int, origin: FormatSpec) -> Fraction | None:
    """The number that a code stands for; None of infinities and NaNs."""
    if is_nan(code, origin):
        return None
    value = decode(code, origin)
    return None if value is None else value.fraction
