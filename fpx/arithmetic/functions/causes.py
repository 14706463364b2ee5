"""Why a result is another than the correctly rounded one: the known ways, as one table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from fpx.arithmetic.functions.codes import (
    Bools,
    Codes,
    is_infinite,
    is_nan,
    is_subnormal,
    is_zero,
    magnitudes,
    negative,
    ordinals,
    unwrapped,
)
from fpx.arithmetic.functions.function import Function
from fpx.arithmetic.functions.references import references
from fpx.arithmetic.functions.ziv import number
from fpx.core.spec import FormatSpec


@dataclass(frozen=True)
class Wrong:
    """Results that are other than expected.

    Attributes:
        function, spec: of which.
        columns: for each operand, its codes (n,).
        expected, got: codes (n,).
    """

    function: Function
    spec: FormatSpec
    columns: tuple[Codes, ...]
    expected: Codes
    got: Codes

    def where(self, chosen: Bools | Codes) -> Wrong:
        """Some of them: by bools (n,), or by positions."""
        columns = tuple(column[chosen] for column in self.columns)
        return Wrong(self.function, self.spec, columns, self.expected[chosen], self.got[chosen])

    @property
    def steps(self) -> Codes:
        """How many values apart the results are (n,); 0 where one is no number."""
        numbers = ~(self._nan(self.expected) | self._nan(self.got))
        numbers &= ~(is_infinite(self.expected, self.spec) | is_infinite(self.got, self.spec))
        apart = np.abs(ordinals(self.got, self.spec) - ordinals(self.expected, self.spec))
        return np.where(numbers, apart, 0)

    def _nan(self, codes: Codes) -> Bools:
        return is_nan(codes, self.spec)


Test = Callable[[Wrong], Bools]
"""Which of some results (n,), that no row above explains, are wrong in a way."""


@dataclass(frozen=True)
class Cause:
    """A known way to be wrong.

    Attributes:
        name: as JSON and `--fail-if` say it.
        word: two words or three, for a cell of a table.
        reason: in words that follow "got".
        test: see there.
    """

    name: str
    word: str
    reason: str
    test: Test


def _opposite(w: Wrong) -> Bools:
    numbers = ~(is_zero(w.expected, w.spec) | is_zero(w.got, w.spec))
    found: Bools = numbers & (negative(w.expected, w.spec) != negative(w.got, w.spec))
    return found


def _exactly_infinite(w: Wrong) -> Bools:
    """Where the function is infinite, as it is of an infinity or at a pole."""
    found = is_infinite(w.expected, w.spec)
    for at in np.flatnonzero(found):
        operands = (number(unwrapped(int(column[at]), w.spec), w.spec) for column in w.columns)
        found[at] = isinstance(w.function.exact(*operands), float)
    return found


def _of_zero_instead(w: Wrong) -> Bools:
    """Where it is the result of the same operands, but of 0 for those that are subnormal."""
    subnormal = [is_subnormal(column, w.spec) for column in w.columns]
    found: Bools = np.logical_or.reduce(subnormal)
    at = np.flatnonzero(found)
    if at.size:
        zeros = [
            np.where(small[at], column[at] - magnitudes(column[at], w.spec), column[at])
            for small, column in zip(subnormal, w.columns, strict=True)
        ]
        found[at] = references(w.function, zeros, w.spec) == w.got[at]
    return found


def _became_zero(w: Wrong) -> Bools:
    return is_zero(w.got, w.spec) & ~is_zero(w.expected, w.spec)


def _alike_zeros(w: Wrong) -> Bools:
    return is_zero(w.got, w.spec) & is_zero(w.expected, w.spec)


CAUSES: Sequence[Cause] = (
    Cause(
        "nan_lost", "NaN lost", "a number where the result is NaN",
        lambda w: is_nan(w.expected, w.spec),
    ),
    Cause("nan_made", "NaN made", "NaN where the result is none", lambda w: is_nan(w.got, w.spec)),
    Cause("sign_of_zero", "sign of zero", "zero with the other sign", _alike_zeros),
    Cause(
        "flushed_to_zero", "flushed to zero", "zero where the result is subnormal",
        lambda w: _became_zero(w) & is_subnormal(w.expected, w.spec),
    ),
    Cause(
        "zero_missed", "zero missed", "a number where the result is zero",
        lambda w: is_zero(w.expected, w.spec),
    ),
    Cause("one_step", "one step", "the value next to the nearest one", lambda w: w.steps == 1),
    Cause(
        "subnormal_input", "input as zero", "the result of zero in place of a subnormal input",
        _of_zero_instead,
    ),
    Cause(
        "underflow_early", "zero early", "zero where the result is a normal number", _became_zero
    ),
    Cause("wrong_sign", "wrong sign", "the other sign", _opposite),
    Cause(
        "overflow_early", "overflow early", "infinity where the result is a number",
        lambda w: is_infinite(w.got, w.spec),
    ),
    Cause(
        "infinity_lost", "infinity lost", "a number where the result is infinite",
        _exactly_infinite,
    ),
    Cause(
        "overflow_late", "overflow late", "a number where the result overflows",
        lambda w: is_infinite(w.expected, w.spec),
    ),
    Cause(
        "several_steps", "several steps", "several values away from the nearest one",
        lambda w: np.ones(len(w.got), np.bool_),
    ),
)  # fmt: skip
"""In the order in which they are tried: a result has the first that fits."""


def explain(wrong: Wrong) -> list[tuple[Cause, Wrong]]:
    """Each cause that there is, and the results that it explains."""
    found = []
    for cause in CAUSES:
        if not len(wrong.got):
            break
        its = cause.test(wrong)
        if its.any():
            found.append((cause, wrong.where(its)))
            wrong = wrong.where(~its)
    return found
