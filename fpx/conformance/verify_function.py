"""A user's rounding function against correct rounding, code by code."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from fpx.casts.device import find_device
from fpx.casts.environment import environment
from fpx.casts.rounding import round_codes
from fpx.casts.values import values
from fpx.conformance.codes import choose_codes
from fpx.conformance.functions import RoundingFunction
from fpx.conformance.tally import Tally
from fpx.core.policy import Overflow, Rounding, check_overflow
from fpx.errors import InputError
from fpx.report.cast_verify import NoDifference, VerifyReport, VerifyRow
from fpx.tensors.dtypes import torch_dtype
from fpx.tensors.progress import Progress, Silent
from fpx.words import quoted

EXACT = "exact"


def verify_function(
    function: RoundingFunction,
    *,
    rounding: Rounding = Rounding.TIES_TO_EVEN,
    overflow: Overflow = Overflow.IEEE,
    everything: bool = False,
    size: int = 1 << 16,
    seed: int = 0,
    examples: int = 3,
    checks: Sequence[NoDifference] = (),
    progress: Progress | None = None,
) -> VerifyReport:
    """Compares what a function makes of an origin's codes with correct rounding.

    A KeyboardInterrupt ends the work with a report on what was done so far.

    Args:
        function: the function, without random words.
        rounding, overflow: what it should do.
        everything: all 2^32 codes of a 32-bit origin.
        size, seed: of a sample, as for `fpx.conformance.cast_verify.cast_verify`.
        examples: how many to keep for each cause.
        checks: what to ask of the row.
        progress: hears how far the work is.

    Raises:
        InputError: the function fails, or gives what is no value of the target.
    """
    if size < 1 or examples < 1:
        raise InputError("`size` and `examples` must be at least 1")
    origin, target = function.origin, function.target
    check_overflow(target, overflow)
    device = find_device("cpu")
    codes = choose_codes(origin, target, device, everything, size, seed)
    tally = Tally(origin, target, examples, rounding)
    progress = progress or Silent()
    progress.start(codes.count)
    try:
        # in this thread, where it can be stopped if it does not return
        for number in range(codes.blocks):
            block, _ = codes.block(number)
            expected = round_codes(block, origin, target, rounding, overflow)
            got, strange = function.codes(block)
            if strange.any():
                raise _no_value(function, block[strange][:1])
            tally.add(block, expected, got)
            progress.advance(block.numel())
    except KeyboardInterrupt:
        pass  # the row says what was reached
    row = VerifyRow(
        from_=origin.name,
        to=target.name,
        backend=function.name,
        version="",
        device=str(device.torch),
        against=_named(rounding, overflow),
        codes=codes.kind,
        complete=tally.checked + tally.undefined == codes.count,
        checked_count=tally.checked,
        equal_count=tally.checked - tally.differing,
        undefined_count=tally.undefined,
        causes=tally.causes(),
    )
    return VerifyReport((row,), row.against, environment([device], seed), checks=tuple(checks))


def _no_value(function: RoundingFunction, code: Tensor) -> InputError:
    """What is said of a result that the target has not."""
    x = float(values(code, function.origin)[0])
    result = function.function(code.view(torch_dtype(function.origin)))
    return InputError(
        f"{quoted(function.name)} makes {float(result[0])!r} of {x!r}, which is no value of "
        f"{function.target.name}: name what it rounds to with `to`"
    )


def _named(rounding: Rounding, overflow: Overflow) -> str:
    """What results are held to: `exact`, and what is not usual about that."""
    unusual = [
        choice.value
        for choice, usual in ((rounding, Rounding.TIES_TO_EVEN), (overflow, Overflow.IEEE))
        if choice is not usual
    ]
    return f"{EXACT} ({', '.join(unusual)})" if unusual else EXACT
