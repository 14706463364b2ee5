"""Questions to something that adds, and its answers as numbers."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import NamedTuple, Protocol

from fpx.core.spec import FormatSpec

_ELEMENTS = 1 << 19  # of a batch: 4 MiB
_MOST_ROWS = 1 << 12


class NotResolvableError(Exception):
    """Why a property cannot be told from outputs."""


class Reduction(Protocol):
    """What is probed: it adds up leaves, or products of two factors each.

    Attributes:
        count: how many leaves.
        leaf, out: formats of what goes in and comes out.
        products: whether a leaf is the product of two factors; else the second is 1 and ignored.
    """

    count: int
    leaf: FormatSpec
    out: FormatSpec
    products: bool

    def __call__(self, rows: Sequence[tuple[array[float], array[float]]]) -> list[int]:
        """The code of each row's sum.

        Args:
            rows: first and second factors of `count` leaves, values of `leaf`.
        """


class Put(NamedTuple):
    """A leaf of a question that is not as in its row.

    Attributes:
        leaf: which.
        a, b: its factors.
    """

    leaf: int
    a: float
    b: float = 1.0


class Question(NamedTuple):
    """One row of leaves.

    Attributes:
        puts: leaves that are set.
        a, b: what the others are; without them, their first factors are 0 and the second ones 1.
    """

    puts: tuple[Put, ...]
    a: array[float] | None = None
    b: array[float] | None = None


class Asker:
    """Asks a reduction, many questions in one call.

    Attributes:
        reduction: who is asked.
        count: questions so far.
    """

    def __init__(self, reduction: Reduction) -> None:
        self.reduction = reduction
        self.count = 0
        self._zeros = array("d", [0.0]) * reduction.count
        self._ones = array("d", [1.0]) * reduction.count

    def codes(self, questions: Iterable[Question]) -> list[int]:
        """The code of each answer."""
        found: list[int] = []
        size = min(max(_ELEMENTS // self.reduction.count, 1), _MOST_ROWS)
        rows = map(self._row, questions)
        while batch := list(islice(rows, size)):
            found += self.reduction(batch)
        self.count += len(found)
        return found

    def numbers(self, questions: Iterable[Question]) -> list[float]:
        """The value of each answer."""
        out = self.reduction.out
        return [number(code, out) for code in self.codes(questions)]

    def ask(self, *puts: Put) -> float:
        """The answer to one question."""
        return self.numbers([Question(puts)])[0]

    def _row(self, question: Question) -> tuple[array[float], array[float]]:
        a = (question.a or self._zeros)[:]
        b = question.b or self._ones
        # rows of equal second factors share them: who multiplies matrices asks those at once
        if any(put.b != b[put.leaf] for put in question.puts):
            b = b[:]
        for leaf, x, y in question.puts:
            a[leaf] = x
            if b[leaf] != y:
                b[leaf] = y
        return a, b


def number(code: int, spec: FormatSpec) -> float:
    """The value of a code of up to 64 bits, from its bits alone.

    A processor in flush-to-zero mode takes a subnormal for zero when it converts one.
    """
    negative, magnitude = code & spec.sign_mask, code & spec.magnitude_mask
    if magnitude > spec.max_finite_magnitude:
        value = math.inf if magnitude == spec.infinity_magnitude else math.nan
    else:
        value = finite(magnitude, spec)
    return -value if negative else value


def finite(magnitude: int, spec: FormatSpec) -> float:
    """The value of a finite magnitude, as a float64."""
    biased_exponent = magnitude >> spec.fraction_bits
    leading = 1 << spec.fraction_bits
    fraction = magnitude & (leading - 1)
    if biased_exponent == 0 and spec.zero:
        return math.ldexp(fraction, spec.quantum_exponent)
    return math.ldexp(leading | fraction, biased_exponent - spec.bias - spec.fraction_bits)
