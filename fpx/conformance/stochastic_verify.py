"""Whether a function rounds stochastically as it should: all random words, or many draws."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import torch

from fpx.casts.device import find_device
from fpx.casts.environment import environment
from fpx.conformance.functions import RoundingFunction
from fpx.conformance.stochastic_causes import causes_of
from fpx.conformance.stochastic_choice import chosen
from fpx.conformance.stochastic_inputs import number_of, stochastic_inputs
from fpx.conformance.stochastic_seen import Judge, Seen
from fpx.conformance.stochastic_told import row_of, told
from fpx.conformance.stochastic_trials import all_words, codes_of, some_words
from fpx.conformance.stochastic_trials import draws as tried
from fpx.core.codec import is_nan, round_exact, round_infinity
from fpx.core.policy import Overflow, Stochastic, check_overflow
from fpx.core.spec import FormatSpec
from fpx.core.stochastic import Distribution, Outcome, distribute
from fpx.errors import InputError
from fpx.report.stochastic_verify import RoundingCause, RoundingReport
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
        told(cause, origin, target, judge, examples)
        for cause in causes_of(seen, target, rounding, judge, bits or _USUAL_BITS)
    ]
    random = _of_randomness(function, chance)
    if random is not None:
        causes = [random, *causes]
    left_out = len(every) - len(seen)
    row = row_of(function, rounding, overflow, bits, trials, left_out, seen, judge, causes)
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
