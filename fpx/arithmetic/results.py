"""Codes as what operations work on, and what operations give as codes, rounded once."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple

from fpx.arithmetic.operations import Result, Value
from fpx.arithmetic.surds import Real, floor_at, log2_floor, negated
from fpx.core import codec
from fpx.core.codec import Classification, Rounded
from fpx.core.numbers import Infinity, Literal, as_number
from fpx.core.policy import Overflow, Rounding, special_codes
from fpx.core.spec import FormatSpec
from fpx.report.calc import DIVIDE_BY_ZERO, INEXACT, INVALID, OVERFLOW, UNDERFLOW

_BEYOND = 3  # places below a spacing at which an irrational number is cut


class Target(NamedTuple):
    """Where every operation rounds to, and how."""

    spec: FormatSpec
    rounding: Rounding = Rounding.TIES_TO_EVEN
    overflow: Overflow = Overflow.IEEE


class Coded(NamedTuple):
    """The code that something became, and the exceptions that it raised."""

    code: int
    flags: tuple[str, ...]


@lru_cache(maxsize=1 << 16)
def value_of(code: int, spec: FormatSpec) -> Value:
    """What a code stands for."""
    negative = bool(code & spec.sign_mask)
    found = codec.decode(code, spec)
    if found is not None:
        return Value(found.fraction, negative)
    kind = codec.classify(code, spec)
    if kind is Classification.INFINITY:
        return Value(None, negative)
    return Value(None, nan=True, signaling=kind is Classification.SIGNALING_NAN)


def coded(result: Result, target: Target) -> Coded:
    """The code of what an operation gives.

    A NaN is the format's canonical one; where the format has none, `policy.special_codes` says what
    takes its place. Underflow is a result that is tiny and inexact (IEEE 754-2019, 7.5), tininess
    being detected after rounding.

    Raises:
        InputError: overflow to NaN in a format without one.
    """
    spec, overflow = target.spec, target.overflow
    value, invalid, divide_by_zero = result
    if value.nan:
        code = spec.nan_code
        if code is None:
            code, invalid = special_codes(spec, overflow).invalid, True
        return Coded(code, (INVALID,) if invalid else ())
    tiny = False
    if value.number is None:
        rounded = codec.round_infinity(spec, overflow, negative=value.negative)
    else:
        rounded = _rounded(value.number, value.negative, target)
        tiny = (
            rounded.inexact
            and not rounded.invalid
            and _is_tiny(value.number, value.negative, target)
        )
    flags = (
        (INEXACT, rounded.inexact),
        (INVALID, invalid or rounded.invalid),
        (DIVIDE_BY_ZERO, divide_by_zero),
        (OVERFLOW, rounded.overflow),
        (UNDERFLOW, tiny),
    )
    return Coded(rounded.code, tuple(name for name, raised in flags if raised))


def literal_coded(literal: Literal, target: Target) -> Coded:
    """The code of a number as it was written.

    Raises:
        InputError: the format cannot hold it at all.
    """
    spec = target.spec
    number = as_number(literal, spec)
    if number is not None:
        # what rounds as the number does, in a format that reaches lower too
        lower = _reaching_lower(spec)
        stand_in = Fraction(*number.ratio(lower.quantum_exponent, lower.emax + 1))
        signed = -stand_in if number.negative else stand_in
        return coded(Result(Value(signed, number.negative)), target)
    if isinstance(literal, Infinity):
        return coded(Result(Value(None, literal.negative)), target)
    return Coded(codec.encode(literal, *target).code, ())


def _rounded(number: Real, negative: bool, target: Target) -> Rounded:
    if isinstance(number, Fraction):
        over, under = abs(number.numerator), number.denominator
    else:
        over, under = stand_in(negated(number) if negative else number, target.spec)
    return codec.round_exact(over, under, *target, negative=negative)


def stand_in(number: Real, spec: FormatSpec, finer: int = 0) -> tuple[int, int]:
    """A fraction that rounds as a positive irrational number does.

    It lies between the same two neighbours of a grid that is finer than the format's values and
    the points halfway between those, and on neither; with `finer`, than so many more bits.
    """
    spacing = max(log2_floor(number) - spec.fraction_bits, spec.quantum_exponent)
    places = _BEYOND + finer - spacing
    over = 2 * floor_at(number, places) + 1
    return over << max(-places - 1, 0), 1 << max(places + 1, 0)


def _is_tiny(number: Real, negative: bool, target: Target) -> bool:
    """Whether it is below the smallest normal number after rounding without a lowest exponent."""
    spec = target.spec
    if log2_floor(negated(number) if negative else number) >= spec.emin:
        return False
    lower = _reaching_lower(spec)
    found = codec.decode(_rounded(number, negative, target._replace(spec=lower)).code, lower)
    return found is not None and abs(found.fraction) < spec.smallest_normal.fraction


@lru_cache(maxsize=64)
def _reaching_lower(spec: FormatSpec) -> FormatSpec:
    """A format of the same precision and largest binade, with many more binades below."""
    more = 1 << spec.exponent_bits
    return replace(
        spec, exponent_bits=spec.exponent_bits + 1, bias=spec.bias + more, signed=True, zero=True
    )
