"""Whether a function rounds stochastically as it should: all random words, or many draws."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import torch

from fpx.casts.device import find_device
from fpx.casts.environment import environment
from fpx.conformance.functions import RoundingFunction
from fpx.conformance.stochastic_causes import (
    NO_VALUE,
    Cause,
    Judge,
    Seen,
    causes_of,
    is_right,
)
from fpx.conformance.stochastic_choice import chosen
from fpx.conformance.stochastic_inputs import number_of, stochastic_inputs
from fpx.conformance.stochastic_trials import all_words, codes_of, some_words
from fpx.conformance.stochastic_trials import draws as tried
from fpx.core.codec import is_nan, round_exact, round_infinity
from fpx.core.numbers import fraction_text
from fpx.core.policy import Overflow, Stochastic, check_overflow
from fpx.core.shortest import shortest_decimal, value_text
from fpx.core.spec import FormatSpec
from fpx.core.stochastic import Distribution, Outcome, distribute
from fpx.errors import InputError
from fpx.report.stochastic_verify import (
    DRAWN,
    ENUMERATED,
    RoundingCause,
    RoundingExample,
    RoundingReport,
    RoundingRow,
)
from fpx.tensors.progress import Progress, Silent
from fpx.words import quoted

MOST_ENUMERATED = 24
"""Random bits of which all words are tried; of more, some are drawn."""


MOST_BITS = 31
"""Random bits that a word may have: what an int32 holds without a sign."""


_MOST_TRIALS = 1 << 28  # words of all inputs together; where they are more, inputs are left out
_USUAL_BITS = 16  # that may have decided where nobody says
_AT_ONCE = 1 << 12  # equal elements whose draws are compared
_CALLS = 32  # with those
_SHORT = 12  # characters of a value that is shown in full
_LARGE = 1 << 24  # a denominator that is not


def verify_stochastic(
    function: RoundingFunction,
    rounding: Stochastic,
    *,
    overflow: Overflow = Overflow.IEEE,
    random_bits: int | None = None,
    draws: int = 1 << 16,
    seed: int = 0,
    examples: int = 3,
    progress: Progress | None = None,
) -> RoundingReport:
    """Tries a function with numbers that tell, and all random words or many draws.

    Args:
        function: where it takes random words, as an int32 tensor with one for each element, each
            is tried, or of words of more than MOST_ENUMERATED bits as many as `draws`; where it
            takes none, it is called again and again.
        rounding: what it should do; without a number of bits, exactly what the distances say.
        overflow: what it should make of what is too large.
        random_bits: of the words, up to MOST_BITS.
        draws: for each number, where not all words are tried.
        seed: of torch's generator, which draws words, and which it may draw from.
        examples: how many to keep for each cause.
        progress: hears how far the work is.

    Raises:
        InputError: the function fails, or the number of bits is missing, too large or of no use.
    """
    if draws < 1 or examples < 1:
        raise InputError("`size` and `examples` must be at least 1")
    origin, target = function.origin, function.target
    check_overflow(target, overflow)
    bits = _checked(random_bits, function)
    enumerated = bits is not None and bits <= MOST_ENUMERATED
    trials = 1 << bits if bits is not None and enumerated else draws
    if not enumerated:
        torch.manual_seed(seed)
    every = [
        _seen(code, origin, target, rounding, overflow)
        for code in stochastic_inputs(origin, target)
    ]
    wanted = chosen(every, _MOST_TRIALS // trials) if enumerated else every
    codes = [item.code for item in wanted]
    progress = progress or Silent()
    progress.start(len(codes) * trials)
    if bits is None:
        counts = tried(function, codes, trials)
    elif enumerated:
        counts = all_words(function, codes, bits)
    else:
        counts = some_words(function, codes, bits, trials)
    seen = []
    for item, found in zip(wanted, counts, strict=True):
        seen.append(item._replace(counts=found))
        progress.advance(trials)
    chance = [item for item in seen if item.is_left_to_chance]
    judge = Judge(not enumerated, len(chance))
    causes = [
        _told(cause, origin, target, judge, examples)
        for cause in causes_of(seen, target, rounding, judge, bits or _USUAL_BITS)
    ]
    random = _of_randomness(function, chance)
    if random is not None:
        causes = [random, *causes]
    left_out = len(every) - len(seen)
    row = _row(function, rounding, overflow, bits, trials, left_out, seen, judge, causes)
    return RoundingReport(row, environment([find_device("cpu")], seed))


def _checked(random_bits: int | None, function: RoundingFunction) -> int | None:
    """The number of bits of the words that a function takes; None where it takes none."""
    if not function.takes_words:
        if random_bits is None:
            return None
        raise InputError(
            f"{quoted(function.name)} takes no random words, so that `random_bits` has no "
            "meaning: leave it out, or let it take them as a second argument"
        )
    if random_bits is None:
        raise InputError(
            f"{quoted(function.name)} takes random words: say of how many bits, with `random_bits`"
        )
    if not 1 <= random_bits <= MOST_BITS:
        raise InputError(f"`random_bits` is 1 to {MOST_BITS}, not {random_bits}")
    return random_bits


def _seen(
    code: int, origin: FormatSpec, target: FormatSpec, rounding: Stochastic, overflow: Overflow
) -> Seen:
    """An input before it is tried."""
    negative = bool(code & origin.sign_mask)
    nan = is_nan(code, origin)
    number = number_of(code, origin)
    if number is not None:
        expected = distribute(number, target, rounding, overflow, negative=negative)
    else:
        # of a NaN nothing is compared: any NaN will do
        rounded = (
            round_exact(0, 1, target)
            if nan
            else round_infinity(target, overflow, negative=negative)
        )
        certain = Outcome(rounded, Fraction(1), True)
        expected = Distribution(target, None, Fraction(0), (certain,))
    return Seen(code, negative, nan, number is None and not nan, expected, {})


def _of_randomness(function: RoundingFunction, chance: Sequence[Seen]) -> RoundingCause | None:
    """What is wrong with the randomness itself: tried on many copies of a number midway."""
    middle = min(
        chance, key=lambda item: abs(item.expected.distance - Fraction(1, 2)), default=None
    )
    if middle is None:
        return None
    x = codes_of([middle.code], function.origin).expand(_AT_ONCE).contiguous()
    if function.takes_words:
        words = torch.arange(_AT_ONCE, dtype=torch.int32) % 2
        first, second = (function.codes(x, words)[0] for _ in range(2))
        if torch.equal(first, second):
            return None
        return RoundingCause("own_randomness", "gives other results for the same words", 1, ())
    calls = [function.codes(x)[0] for _ in range(_CALLS)]
    alike = [bool((results == results[0]).all()) for results in calls]
    if all(alike) and any(results[0] != calls[0][0] for results in calls):
        return RoundingCause("one_draw_for_all", "draws once for all elements of a call", 1, ())
    if not alike[0] and all(torch.equal(results, calls[0]) for results in calls):
        return RoundingCause("seed_constant", "draws the same in every call", 1, ())
    return None


def _row(
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
    target = function.target
    fraction = (1 << target.fraction_bits) - 1
    chance = [item for item in seen if item.is_left_to_chance]
    upper = [item.codes[1] & target.magnitude_mask for item in chance]
    over = [item for item in seen if any(out.rounded.overflow for out in item.expected.outcomes)]
    biases = [_bias(item) for item in chance if item not in over and not item.strays]
    numbers = [item for item in seen if not (item.nan or item.infinite)]
    tested = [
        judge.p_value(item, item.expected.outcomes[-1].probability)
        for item in chance
        if judge.drawn and not item.strays
    ]
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


def _told(
    cause: Cause, origin: FormatSpec, target: FormatSpec, judge: Judge, examples: int
) -> RoundingCause:
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
        judge.p_value(seen, expected.outcomes[-1].probability) if tested else None,
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
