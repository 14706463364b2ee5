"""Whether a function rounds stochastically as it should: all random words, or many draws."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from fractions import Fraction

import torch
from torch import Tensor

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
from fpx.conformance.stochastic_inputs import number_of, stochastic_inputs
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
from fpx.tensors.dtypes import container, wrapped
from fpx.tensors.progress import Progress, Silent
from fpx.words import quoted

MOST_ENUMERATED = 16
"""Random bits of which all words are tried."""


_BLOCK = 1 << 20  # elements of a call
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
            is tried; where it takes none, it is called again and again.
        rounding: what it should do; without a number of bits, exactly what the distances say.
        overflow: what it should make of what is too large.
        random_bits: of the words, up to MOST_ENUMERATED.
        draws: for each number, where it draws for itself.
        seed: of torch's generator, which it may draw from.
        examples: how many to keep for each cause.
        progress: hears how far the work is.

    Raises:
        InputError: the function fails, or the number of bits is missing, too large or of no use.
    """
    if draws < 1 or examples < 1:
        raise InputError("`size` and `examples` must be at least 1")
    origin, target = function.origin, function.target
    check_overflow(target, overflow)
    enumerated = function.takes_words
    if enumerated:
        random_bits = _checked(random_bits, function)
        trials = 1 << random_bits
    else:
        if random_bits is not None:
            raise InputError(
                f"{quoted(function.name)} takes no random words, so that `random_bits` has no "
                "meaning: leave it out, or let it take them as a second argument"
            )
        trials = draws
        torch.manual_seed(seed)
    codes = stochastic_inputs(origin, target)
    progress = progress or Silent()
    progress.start(len(codes) * trials)
    counts = _words(function, codes, trials) if enumerated else _draws(function, codes, trials)
    seen = []
    for code, found in zip(codes, counts, strict=True):
        seen.append(_seen(code, found, origin, target, rounding, overflow))
        progress.advance(trials)
    chance = [item for item in seen if item.is_left_to_chance]
    judge = Judge(not enumerated, len(chance))
    bits = random_bits if random_bits is not None else MOST_ENUMERATED
    causes = [
        _told(cause, origin, target, judge, examples)
        for cause in causes_of(seen, target, rounding, judge, bits)
    ]
    random = _of_randomness(function, chance, enumerated)
    if random is not None:
        causes = [random, *causes]
    row = _row(function, rounding, overflow, random_bits, trials, seen, judge, causes)
    return RoundingReport(row, environment([find_device("cpu")], seed))


def _checked(random_bits: int | None, function: RoundingFunction) -> int:
    if random_bits is None:
        raise InputError(
            f"{quoted(function.name)} takes random words: say of how many bits, with `random_bits`"
        )
    if not 1 <= random_bits <= MOST_ENUMERATED:
        raise InputError(
            f"`random_bits` is 1 to {MOST_ENUMERATED}, of which all words are tried, not "
            f"{random_bits}"
        )
    return random_bits


def _words(function: RoundingFunction, codes: Sequence[int], count: int) -> Iterator[Counter[int]]:
    """What each code becomes over all words."""
    words = torch.arange(count, dtype=torch.int32)
    for block in _blocks(codes, max(_BLOCK // count, 1)):
        x = _tensor(block, function.origin).repeat_interleave(count)
        yield from _counted(function, x, words.repeat(len(block)), count)


def _draws(function: RoundingFunction, codes: Sequence[int], count: int) -> Iterator[Counter[int]]:
    """What each code becomes in that many draws."""
    for block in _blocks(codes, max(_BLOCK // count, 1)):
        yield from _counted(
            function, _tensor(block, function.origin).repeat_interleave(count), None, count
        )


def _blocks(codes: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    return (codes[start : start + size] for start in range(0, len(codes), size))


def _tensor(codes: Sequence[int], origin: FormatSpec) -> Tensor:
    dtype = container(origin)
    return torch.tensor([wrapped(code, dtype) for code in codes], dtype=dtype)


def _counted(
    function: RoundingFunction, x: Tensor, words: Tensor | None, count: int
) -> Iterator[Counter[int]]:
    """How often each result came, of each `count` elements."""
    mask = (1 << function.target.bits) - 1
    found, strange = function.codes(x, words)
    for part, no_value in zip(found.view(-1, count), strange.view(-1, count), strict=True):
        counts: Counter[int] = Counter()
        if no_value.any():
            counts[NO_VALUE] = int(no_value.count_nonzero())
            part = part[~no_value]
        while part.numel():  # there are few different ones, and sorting them takes longer
            code, before = part[0], part.numel()
            part = part[part != code]
            counts[int(code) & mask] = before - part.numel()
        yield counts


def _seen(
    code: int,
    counts: Counter[int],
    origin: FormatSpec,
    target: FormatSpec,
    rounding: Stochastic,
    overflow: Overflow,
) -> Seen:
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
    return Seen(code, negative, nan, number is None and not nan, expected, counts)


def _of_randomness(
    function: RoundingFunction, chance: Sequence[Seen], enumerated: bool
) -> RoundingCause | None:
    """What is wrong with the randomness itself: tried on many copies of a number midway."""
    middle = min(
        chance, key=lambda item: abs(item.expected.distance - Fraction(1, 2)), default=None
    )
    if middle is None:
        return None
    x = _tensor([middle.code], function.origin).expand(_AT_ONCE).contiguous()
    if enumerated:
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
