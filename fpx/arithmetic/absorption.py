"""Operands that change nothing, and the nearest ones that would.

What a result may be before it is rounded, for the code to stay, is an interval
(`fpx.core.interval`); the operation, solved for the operand, makes of its end the number where
changes begin.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

from fpx.arithmetic.results import Coded, Target
from fpx.core import codec
from fpx.core.interval import rounding_interval
from fpx.core.numbers import fraction_text
from fpx.core.policy import Rounding
from fpx.core.spec import FormatSpec
from fpx.report.calc import INEXACT, Absorbed


class _Threshold(NamedTuple):
    """Where changes begin, as the magnitude of an operand.

    Attributes:
        at: the magnitude.
        counts: whether an operand of exactly that is a change.
        upward: whether larger magnitudes are, or smaller ones.
    """

    at: Fraction
    counts: bool
    upward: bool


class _Ends(NamedTuple):
    """The magnitudes that round to a code; None is no end."""

    low: Fraction | None
    high: Fraction | None
    low_closed: bool
    high_closed: bool


def absorbed(
    operation: str, operands: Sequence[int], result: Coded, target: Target, text: str, column: int
) -> Absorbed | None:
    """What of an operation's operands did not change the other one; None if none is such.

    Only an inexact operation is asked: 2 + 0 is 2 and no surprise.

    Args:
        operation: as in `OPERATIONS`; of `+`, `-`, `*`, `/` and `fma` there is something to tell.
            Where the product of an `fma` changed nothing, its first factor is the operand.
        operands: codes.
        result: what it gave.
        target: how it was rounded.
        text, column: of the operation.
    """
    if operation not in ("+", "-", "*", "/", "fma") or INEXACT not in result.flags:
        return None
    spec = target.spec
    decoded = [codec.decode(code, spec) for code in (*operands, result.code)]
    numbers = [item.fraction for item in decoded if item is not None and item.significand]
    if len(numbers) < len(decoded):  # a zero, or no number
        return None
    *values, kept = numbers
    factor = Fraction(1)  # of the first operand
    if operation == "fma":
        first, factor, last = values
        operation, values, operands = "+", [first * factor, last], (operands[0], operands[2])
    a, b = values
    if operation == "-":
        operation, b = "+", -b
    if kept == a:
        changer, other, factor = operands[1], b, Fraction(1)
    elif kept == b and operation != "/":
        changer, other = operands[0], a
    else:
        return None
    ends = _ends(result.code, kept < 0, target)
    if operation == "+":
        threshold = _for_sum(abs(kept), other * kept > 0, ends, abs(factor))
    elif other < 0:
        return None
    else:
        threshold = _for_scaling(operation, abs(kept), other, ends, spec)
    smallest = None if threshold is None else _nearest(threshold, spec)
    negative = bool(changer & spec.sign_mask)
    return Absorbed(
        operation=text,
        column=column,
        kept=result.code,
        operand=changer,
        smallest=None if smallest is None else smallest | (spec.sign_mask if negative else 0),
        threshold=None
        if threshold is None
        else fraction_text(-threshold.at if negative else threshold.at),
        threshold_counts=threshold is not None and threshold.counts,
    )


def _ends(code: int, negative: bool, target: Target) -> _Ends:
    interval = rounding_interval(code, *target)
    assert interval is not None  # something has been rounded to it
    low, high, low_closed, high_closed = interval
    if negative:
        low, high = (None if end is None else end.negated for end in (high, low))
        low_closed, high_closed = high_closed, low_closed
    return _Ends(
        None if low is None else low.fraction,
        None if high is None else high.fraction,
        low_closed,
        high_closed,
    )


def _for_sum(kept: Fraction, outward: bool, ends: _Ends, factor: Fraction) -> _Threshold | None:
    """What has to be added, away from zero or toward it, after it is multiplied by a factor."""
    end, closed = (ends.high, ends.high_closed) if outward else (ends.low, ends.low_closed)
    return None if end is None else _Threshold(abs(end - kept) / factor, not closed, upward=True)


def _for_scaling(
    operation: str, kept: Fraction, by: Fraction, ends: _Ends, spec: FormatSpec
) -> _Threshold | None:
    """By what it has to be multiplied or divided."""
    grows = (by > 1) == (operation == "*")
    end, closed = (ends.high, ends.high_closed) if grows else (ends.low, ends.low_closed)
    if end is None and operation == "/" and spec.zero and not closed:
        return _Threshold(Fraction(0), counts=True, upward=False)  # the infinity of x / 0
    if end is None or (end == 0 and (operation == "/" or not spec.zero)):
        return None
    at = end / kept if operation == "*" else kept / end
    return _Threshold(at, not closed, upward=by > 1)


def _nearest(threshold: _Threshold, spec: FormatSpec) -> int | None:
    """The magnitude of a finite code that is a change, and the nearest to the threshold."""
    at, counts, upward = threshold
    rounding = Rounding.TOWARD_POSITIVE if upward else Rounding.TOWARD_ZERO
    found = codec.round_exact(at.numerator, at.denominator, spec, rounding)
    code = found.code
    if found.overflow:
        return None if upward else code
    value = codec.decode(code, spec)
    if value is None or (value.fraction == at and not counts):
        code += 1 if upward else -1
    elif (value.fraction < at) == upward and value.fraction != at:
        return None  # below all values of a format without a zero
    return code if 0 <= code <= spec.max_finite_magnitude else None
