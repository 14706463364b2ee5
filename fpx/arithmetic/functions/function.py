"""What a function is: its mathematical definition, and what libraries call it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

Number = Fraction | float
"""An operand: a `Fraction`, or as a float what is none: a zero with a sign, an infinity, a NaN."""

Answer = Fraction | float | None
"""A result that is known exactly, written as operands are; None for one that is approximated."""


@dataclass(frozen=True)
class Function:
    """A row of the catalogue.

    Attributes:
        name: what it is called here.
        definition: the function of mathematics, in words of arithmetic.
        arity: operands, 1 or 2.
        exact: the result of operands, where it is known exactly: that of NaNs, infinities and
            zeros, outside of the domain, and wherever it is a number of a few bits. Correct
            rounding depends on it: what is approximated must not lie on the border between two
            results, or more digits would never tell.
        real: (mpmath's context, operands) -> the result, of whose bits at most
            `fpx.arithmetic.functions.ziv.GUARD` are wrong; of those that are far beyond every
            format the exponent may be, too.
        domain: which finite operands other than zeros have a result, of an array too; None: all.
        estimate: float64 arrays of such operands (n,) -> results, with a relative error far below
            2^-40; None where there is none. NaNs and what is below 1e-305 count as unknown.
        zeros: whether an estimate that is 0 is an exact zero, with its sign.
        absolute: whether only the error relative to max(1, |result|) is small.
        any_zero: whether the sign of an exact zero means nothing.
        torch: an attribute of torch, with dots; None if it has no such function.
        keywords: what else torch's is called with.
        numpy: an attribute of numpy, or None.
    """

    name: str
    definition: str
    exact: Callable[..., Answer]
    real: Callable[..., Any]
    arity: int = 1
    domain: Callable[[Any], Any] | None = None
    estimate: Callable[..., Any] | None = field(default=None, repr=False)
    zeros: bool = False
    absolute: bool = False
    any_zero: bool = False
    torch: str | None = None
    keywords: tuple[tuple[str, object], ...] = ()
    numpy: str | None = None


def unary(
    name: str,
    definition: str,
    limits: tuple[Answer, Answer, Answer, Answer],
    real: Callable[..., Any],
    estimate: Callable[..., Any] | None,
    *,
    at: Callable[[Fraction], Answer] | None = None,
    domain: Callable[[Any], Any] | None = None,
    **more: Any,
) -> Function:
    """A function of one operand.

    Args:
        name, definition, real, estimate: as of `Function`.
        limits: its values at -infinity, -0, +0 and +infinity.
        at: its value at other operands, where that is known exactly.
        domain: as of `Function`.
        more: other attributes of `Function`; torch calls it `name` unless they say otherwise.
    """

    def exact(x: Number) -> Answer:
        if isinstance(x, float):
            if math.isnan(x):
                return x
            below = math.copysign(1, x) < 0
            return limits[(0 if below else 3) if x else (1 if below else 2)]
        if domain is not None and not domain(x):
            return math.nan
        return None if at is None else at(x)

    settings = {"torch": name} | more
    return Function(name, definition, exact, real, domain=domain, estimate=estimate, **settings)
