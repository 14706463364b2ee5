"""`fpx cast-verify --with`: a user's rounding function, held to what it should do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from fpx.callables import load_function, named
from fpx.conformance.functions import rounding_function
from fpx.conformance.stochastic_verify import verify_stochastic
from fpx.conformance.verify_function import verify_function
from fpx.core.policy import AnyRounding, Overflow, Rounding, Stochastic
from fpx.core.spec import FormatSpec
from fpx.core.targets import find_plain
from fpx.errors import InputError
from fpx.report.cast_verify import NoDifference, VerifyReport
from fpx.report.stochastic_verify import RoundingReport
from fpx.tensors.progress import Progress
from fpx.words import quoted

_ORIGIN = "float32"
"""What functions take where nobody chose."""


def verify_with(
    function: str | Callable[..., Any],
    *,
    from_: Sequence[str | FormatSpec] = (),
    to: Sequence[str | FormatSpec] = (),
    rounding: AnyRounding = Rounding.TIES_TO_EVEN,
    overflow: Overflow = Overflow.IEEE,
    random_bits: int | None = None,
    sample: bool = False,
    size: int = 1 << 16,
    seed: int = 0,
    examples: int = 3,
    checks: Sequence[NoDifference] = (),
    progress: Progress | None = None,
) -> VerifyReport | RoundingReport:
    """What a function does, against correct rounding or the exact probabilities.

    Args:
        function: it, or its name: see `fpx.callables.load_function`.
        from_: the format that it takes, float32 without one; all codes of a named one of up to 32
            bits are tried, if it rounds to one result.
        to: the format that it rounds to; without one, what the dtype of its result says.
        rounding, overflow: what it should do.
        random_bits: of the random words that it takes.
        sample: not all codes of 32 bits.
        size: random codes of a sample; draws for each number.
        seed, examples, checks, progress: see `verify_function` and `verify_stochastic`.

    Raises:
        InputError: there is no such function or format, or the function fails.
    """
    for given, parameter in ((from_, "from_"), (to, "to")):
        if len(given) > 1:
            raise InputError(f"`{parameter}` names one format where `with_` names a function")
    origin = find_plain(from_[0] if from_ else _ORIGIN)
    target = find_plain(to[0]) if to else None
    found = load_function(function, "with_") if isinstance(function, str) else named(function)
    rounds = rounding_function(found, origin, target)
    if isinstance(rounding, Stochastic):
        return verify_stochastic(
            rounds,
            rounding,
            overflow=overflow,
            random_bits=random_bits,
            draws=size,
            seed=seed,
            examples=examples,
            progress=progress,
        )
    if random_bits is not None or rounds.takes_words:
        raise InputError(
            f"{quoted(rounds.name)} takes random words, or is said to: hold it to "
            '`rounding="stochastic"`'
        )
    return verify_function(
        rounds,
        rounding=rounding,
        overflow=overflow,
        everything=bool(from_) and not sample,
        size=size,
        seed=seed,
        examples=examples,
        checks=checks,
        progress=progress,
    )
