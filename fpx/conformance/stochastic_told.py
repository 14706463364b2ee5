"""What a stochastic rounding did, as its report has it: a row, causes, the simplest examples."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from fpx.conformance.functions import RoundingFunction
from fpx.conformance.stochastic_causes import is_right
from fpx.conformance.stochastic_seen import NO_VALUE, Cause, Judge, Seen
from fpx.core.numbers import fraction_text
from fpx.core.policy import Overflow, Stochastic
from fpx.core.shortest import shortest_decimal, value_text
from fpx.core.spec import FormatSpec
from fpx.report.stochastic_verify import (
    DRAWN,
    ENUMERATED,
    RoundingCause,
    RoundingExample,
    RoundingRow,
)

_SHORT = 12  # characters of a value that is shown in full
_LARGE = 1 << 24  # a denominator that is not


def row_of(
    function: RoundingFunction,
    rounding: Stochastic,
    overflow: Overflow,
    random_bits: int | None,
    trials: int,
    left_out: int,
    seen: Sequence[Seen],
    judge: Judge,
    causes: Sequence[RoundingCause],
) -> RoundingRow:
    """The row of a report.

    Args:
        function: what was tried.
        rounding, overflow: what it was held to.
        random_bits: of the words that it took, if it did.
        trials: for each input.
        left_out: inputs that were not tried.
        seen: those that were.
        judge: of shares.
        causes: what is wrong.
    """
    target = function.target
    fraction = (1 << target.fraction_bits) - 1
    chance = [item for item in seen if item.is_left_to_chance]
    upper = [item.codes[1] & target.magnitude_mask for item in chance]
    over = [item for item in seen if item.may_overflow]
    biases = [_bias(item) for item in chance if item not in over and not item.strays]
    numbers = [item for item in seen if not (item.nan or item.infinite)]
    tested = [judge.p_value(item, item.asked) for item in chance if judge.drawn and not item.strays]
    return RoundingRow(
        from_=function.origin.name,
        to=target.name,
        implementation=function.name,
        rounding=rounding.value,
        overflow=overflow.value,
        how=DRAWN if judge.drawn else ENUMERATED,
        random_bits=random_bits,
        trials_per_input=trials,
        input_count=len(seen),
        left_out_count=left_out,
        exact_count=sum(is_right(item, target, judge) for item in seen),
        representable_count=sum(not item.expected.outcomes[0].rounded.inexact for item in numbers),
        chance_count=len(chance),
        subnormal_count=sum(magnitude <= fraction for magnitude in upper) if target.zero else 0,
        carry_count=sum(magnitude & fraction == 0 for magnitude in upper),
        overflow_count=len(over),
        nan_count=sum(item.nan for item in seen),
        infinity_count=sum(item.infinite for item in seen),
        max_bias_ulp=fraction_text(max(biases, key=abs)) if biases else None,
        mean_bias_ulp=fraction_text(sum(biases, Fraction(0)) / len(biases)) if biases else None,
        p_value_min=min(tested, default=None),
        significance=judge.significance if judge.drawn else None,
        causes=tuple(causes),
    )


def _bias(seen: Seen) -> Fraction:
    """E[|q|] - |x| in ulps."""
    return Fraction(seen.away, seen.total) - seen.expected.distance


def told(
    cause: Cause, origin: FormatSpec, target: FormatSpec, judge: Judge, examples: int
) -> RoundingCause:
    """A cause with the simplest of its inputs, at most so many."""
    one = origin.bias << origin.fraction_bits

    def simplicity(seen: Seen) -> tuple[int, int, int]:
        """A sort key: simple distances first, then numbers near 1."""
        magnitude = seen.code & origin.magnitude_mask
        return seen.expected.distance.denominator, abs(magnitude - one), seen.code

    inputs = sorted(cause.inputs, key=simplicity)
    shown = tuple(_example(seen, origin, target, judge) for seen in inputs[:examples])
    return RoundingCause(cause.name, cause.reason, len(cause.inputs), shown)


def _example(seen: Seen, origin: FormatSpec, target: FormatSpec, judge: Judge) -> RoundingExample:
    expected = seen.expected
    due = (
        "NaN"
        if seen.nan
        else ", ".join(
            _outcome(item.rounded.code, item.probability, target) for item in expected.outcomes
        )
    )
    got = ", ".join(
        _outcome(code, Fraction(count, seen.total), target)
        for code, count in sorted(seen.counts.items(), key=lambda item: -item[1])[:3]
    )
    more = len(seen.counts) - 3
    tested = judge.drawn and seen.is_left_to_chance and not seen.strays
    return RoundingExample(
        f"0x{seen.code:0{origin.code_digits}x}",
        value_text(seen.code, origin),
        due,
        f"{got} and {more} more" if more > 0 else got,
        fraction_text(expected.distance) if seen.is_left_to_chance else None,
        judge.p_value(seen, seen.asked) if tested else None,
    )


def _outcome(code: int, share: Fraction, target: FormatSpec) -> str:
    """`0x3f80 (1) 3/4`."""
    if code == NO_VALUE:
        name = f"no value of {target.name}"
    else:
        value = value_text(code, target)
        shown = value if len(value) <= _SHORT else shortest_decimal(code, target)
        name = f"{target.code_pattern % code} ({shown})"
    if share == 1:
        return name
    over, under = share.numerator, share.denominator
    return f"{name} {over}/{under}" if under < _LARGE else f"{name} ≈{float(share):.6g}"
