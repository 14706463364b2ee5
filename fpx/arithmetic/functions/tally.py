"""Results of a function, compared with what they should be, block by block."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

import numpy as np

from fpx.arithmetic.functions.causes import CAUSES, Cause, Wrong, explain
from fpx.arithmetic.functions.codes import (
    Bools,
    Codes,
    Floats,
    is_finite,
    is_nan,
    is_zero,
    magnitudes,
    unwrapped,
    values,
)
from fpx.arithmetic.functions.function import Function
from fpx.arithmetic.functions.references import UNDEFINED
from fpx.core.codec import decode
from fpx.core.spec import FormatSpec
from fpx.report.op_verify import BinadeCount

_MOST_PRECISION = 24  # up to which float64 tells more than the expected result does
_CANDIDATES = 16  # of the worst result: what float64 takes for equally bad


@dataclass(frozen=True, order=True)
class Found:
    """One wrong result; of two, the worse comes first, then that of smaller codes.

    Attributes:
        rank: minus its error in ulps, or an estimate of it.
        codes: of the operands.
        expected, got: codes.
    """

    rank: float
    codes: tuple[int, ...]
    expected: int
    got: int


@dataclass
class Tally:
    """What is known so far; blocks may come in any order, from any thread."""

    function: Function
    spec: FormatSpec
    keep: int
    checked: int = 0
    wrong: int = 0
    undefined: int = 0
    most_steps: int = 0
    counts: dict[Cause, int] = field(default_factory=dict)
    examples: dict[Cause, list[Found]] = field(default_factory=dict)
    worst: list[Found] = field(default_factory=list)
    binades: Codes | None = None
    wrong_binades: Codes | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, columns: tuple[Codes, ...], expected: Codes, got: Codes) -> None:
        """Takes in one block: operands, and the codes of their results."""
        spec = self.spec
        asked = np.ones(len(got), np.bool_)
        if spec.nan_code is None:
            asked = expected != UNDEFINED
        differs = asked & (expected != got) & ~(is_nan(expected, spec) & is_nan(got, spec))
        if self.function.any_zero:
            differs &= ~(is_zero(expected, spec) & is_zero(got, spec))
        at = np.flatnonzero(differs)
        wrong = Wrong(self.function, spec, columns, expected, got).where(at)
        explained = explain(wrong)
        every, bad = self._by_binade(columns[0], asked), self._by_binade(columns[0], differs)
        errors = {cause.name: _errors(its) for cause, its in explained}
        with self.lock:
            self.checked += int(asked.sum())
            self.undefined += len(got) - int(asked.sum())
            self.wrong += len(at)
            self.binades = every if self.binades is None else self.binades + every
            self.wrong_binades = bad if self.wrong_binades is None else self.wrong_binades + bad
            for cause, its in explained:
                self._note(cause, its, errors[cause.name])

    def _note(self, cause: Cause, its: Wrong, errors: Floats) -> None:
        self.counts[cause] = self.counts.get(cause, 0) + len(its.got)
        self.most_steps = max(self.most_steps, int(its.steps.max()))
        some = max(self.keep, _CANDIDATES)
        first = np.lexsort([*reversed(its.columns), -errors])[:some]
        found = [
            Found(
                -float(errors[at]),
                tuple(unwrapped(int(column[at]), self.spec) for column in its.columns),
                unwrapped(int(its.expected[at]), self.spec),
                unwrapped(int(its.got[at]), self.spec),
            )
            for at in first.tolist()
        ]
        self.examples[cause] = sorted(self.examples.get(cause, []) + found)[: self.keep]
        numbers = [one for one in found if decode(one.got, self.spec) is not None]
        self.worst = sorted(self.worst + numbers)[:_CANDIDATES]

    def _by_binade(self, codes: Codes, chosen: Bools) -> Codes:
        """How many of some operands, finite and not zero, have each sign and exponent."""
        spec = self.spec
        some = codes[chosen & is_finite(codes, spec) & ~is_zero(codes, spec)]
        fields = magnitudes(some, spec) >> spec.fraction_bits
        negatives = ((some & spec.sign_mask) != 0) if spec.bits < 64 else some < 0
        size = 1 << spec.exponent_bits
        return np.bincount(np.where(negatives, fields + size, fields), minlength=2 * size)

    def causes(self) -> list[Cause]:
        """Those that there are, the commonest first."""
        return sorted(self.counts, key=lambda cause: (-self.counts[cause], CAUSES.index(cause)))

    def where(self) -> tuple[BinadeCount, ...]:
        """The binades of the first operand that have wrong results, from low to high."""
        if self.binades is None or self.wrong_binades is None:
            return ()
        spec, size = self.spec, 1 << self.spec.exponent_bits
        order = [*range(2 * size - 1, size - 1, -1), *range(size)]
        return tuple(
            BinadeCount(
                negative=at >= size,
                kind="normal" if at % size or not spec.zero else "subnormal",
                exponent=max(at % size, int(spec.zero)) - spec.bias - (spec.zero and not at % size),
                count=int(self.binades[at]),
                wrong_count=int(self.wrong_binades[at]),
            )
            for at in order
            if self.wrong_binades[at]
        )


def _errors(its: Wrong) -> Floats:
    """Errors in ulps of the expected result, in float64; of what is no number the steps to it."""
    spec, expected = its.spec, values(its.expected, its.spec)
    with np.errstate(all="ignore"):
        field_ = np.maximum(magnitudes(its.expected, spec) >> spec.fraction_bits, int(spec.zero))
        ulp = np.ldexp(1.0, (field_ - spec.bias - spec.fraction_bits).astype(np.int32))
        exact = expected
        if spec.precision <= _MOST_PRECISION and its.function.estimate is not None:
            estimate = its.function.estimate(*(values(column, spec) for column in its.columns))
            # an estimate may be none at zeros and the like
            exact = np.where(np.abs(estimate - expected) <= ulp, estimate, expected)
        found: Floats = np.abs(values(its.got, spec) - exact) / ulp
    return np.where(np.isfinite(found), found, its.steps)
