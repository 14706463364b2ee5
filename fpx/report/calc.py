"""The report of `fpx calc`: an expression in a format, beside its exact value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from fractions import Fraction
from typing import ClassVar, NamedTuple

from fpx.core import codec
from fpx.core.numbers import text_fraction
from fpx.core.shortest import shortest_decimal, value_text
from fpx.core.spec import FormatSpec
from fpx.report.base import JsonValue, Report, Reports, hex_code, once
from fpx.report.checks import Failure, failures, gate
from fpx.report.columns import Table, table_of
from fpx.report.decode import DecodeReport
from fpx.report.limits import Limit
from fpx.words import quoted

INEXACT, INVALID, DIVIDE_BY_ZERO = "inexact", "invalid", "divide_by_zero"
OVERFLOW, UNDERFLOW = "overflow", "underflow"

FLAGS = (INEXACT, INVALID, DIVIDE_BY_ZERO, OVERFLOW, UNDERFLOW)
"""The exceptions of IEEE 754-2019, clause 7, that operations raise.

Underflow: the result is inexact, and below the smallest normal number after rounding to the
format's precision. (Elsewhere fpx calls that a subnormal result, and underflow what became zero.)
"""

NUMBERS = (*FLAGS, "error_ulp", "absorbed_count", "codes_off")
"""What `--fail-if` may be about; `error_ulp` is its magnitude, a flag is 1 where it is raised."""

SUCH = (INEXACT, "error_ulp>0.5")
"""What a condition may look like, for messages."""


class Order(Enum):
    """How `sum` and `dot` add."""

    SEQUENTIAL = "sequential"
    """From left to right."""
    PAIRWISE = "pairwise"
    """Both halves on their own, then those two; of an odd number the first half has one more."""
    KAHAN = "kahan"
    """Kahan's compensated summation, "Further remarks on reducing truncation errors",
    Communications of the ACM 8(1), 1965: the error of each addition joins the next term."""
    EXACT = "exact"
    """All terms (and products) exactly, rounded once."""


class Exact(NamedTuple):
    """A result before it is rounded.

    Attributes:
        text: a decimal or a fraction `p/q`, `inf` or `nan`.
        cut: whether it is irrational: the text is its first digits then.
    """

    text: str
    cut: bool = False


@dataclass(frozen=True)
class TracedStep:
    """One operation and what it gave.

    Attributes:
        operation: what was computed, with the operands as the shortest decimals of their codes; of
            a literal, as it was written.
        column: where it stands in the expression, from 1.
        operands: codes.
        exact: the result before it was rounded.
        code: the result.
        error_ulp: code - exact in ulps at the exact result; None where one is no number.
        flags: those of FLAGS that it raised.
    """

    operation: str
    column: int
    operands: tuple[int, ...]
    exact: Exact
    code: int
    error_ulp: str | None
    flags: tuple[str, ...]


@dataclass(frozen=True)
class Absorbed:
    """An operand that did not change the other one.

    Attributes:
        operation: what was computed.
        column: where it stands in the expression, from 1.
        kept: the code that was there before and after.
        operand: the code of the operand that changed nothing.
        smallest: the code of the operand nearest to it, further from what can change nothing at
            all (0, of products and quotients 1), that would have changed it; None if there is none.
        threshold: the number where changes begin, exactly; None if there is none.
        threshold_counts: whether that number itself would be a change.
    """

    operation: str
    column: int
    kept: int
    operand: int
    smallest: int | None
    threshold: str | None
    threshold_counts: bool


@dataclass(frozen=True)
class LibraryResult:
    """What a library gives for the expression, operation by operation in the format.

    Attributes:
        library, version: who computed.
        code: the result; None where the library has none.
        agrees: whether it is fpx's; NaNs agree with any NaN.
        reason: where it first differs, or why there is no result; empty where it agrees.
    """

    library: str
    version: str
    code: int | None
    agrees: bool
    reason: str


@dataclass(frozen=True, eq=False, repr=False)
class CalcReport(Report):
    """What an expression gives in a format.

    Attributes:
        expression: as it was written.
        result: everything about the code that it gives.
        order: how sums and dot products add.
        precise: whether the whole was rounded once, not every operation.
        flags: those of FLAGS that any operation, or the rounding of a literal, raised.
        exact: the exact value of the whole; None if that takes too much.
        why_not: why there is none.
        correct: the code of the exact value, rounded once; None where there is no exact value, or
            none but a NaN that the format lacks.
        error, error_ulp: result - exact as exact text, in ulps too; None where one is no number.
        absorbed: operands that changed nothing.
        steps: every operation in its order, that of literals too.
        traced: whether the steps were asked for.
        libraries: what libraries give; None if that was not asked for.
        versions: of those libraries.
        checks: what was asked of the result.
    """

    schema: ClassVar[str] = "fpx.calc/1"

    expression: str
    result: DecodeReport
    order: Order
    precise: bool
    flags: tuple[str, ...]
    exact: Exact | None
    why_not: str
    correct: int | None
    error: str | None
    error_ulp: str | None
    absorbed: tuple[Absorbed, ...]
    steps: tuple[TracedStep, ...]
    traced: bool = False
    libraries: tuple[LibraryResult, ...] | None = None
    versions: Mapping[str, str] = field(default_factory=dict)
    checks: tuple[Limit, ...] = ()

    @property
    def spec(self) -> FormatSpec:
        """The format."""
        return self.result.spec

    @property
    def format(self) -> str:
        """The format's full name."""
        return self.spec.name

    @property
    def code(self) -> int:
        """The result."""
        return self.result.code

    @property
    def value(self) -> Fraction | None:
        """Its exact value; None for infinities and NaNs."""
        return self.result.value

    @once
    def codes_off(self) -> int | None:
        """How many codes the result lies above the correctly rounded exact value.

        None where one of them is a NaN or missing.
        """
        spec = self.spec
        if (
            self.correct is None
            or codec.is_nan(self.code, spec)
            or codec.is_nan(self.correct, spec)
        ):
            return None
        return codec.ordinal(self.code, spec) - codec.ordinal(self.correct, spec)

    @property
    def title(self) -> str:
        """Expression and format."""
        return f"{quoted(self.expression)} in {self.format}"

    def identity(self) -> dict[str, JsonValue]:
        """What tells this result from others."""
        return {"expression": self.expression, "format": self.format}

    def numbers(self) -> Mapping[str, Fraction | int | None]:
        """A number for each of NUMBERS."""
        ulps = None if self.error_ulp is None else abs(text_fraction(self.error_ulp))
        off = None if self.codes_off is None else abs(self.codes_off)
        return {
            **{flag: int(flag in self.flags) for flag in FLAGS},
            "error_ulp": ulps,
            "absorbed_count": len(self.absorbed),
            "codes_off": off,
        }

    def failures(self) -> list[Failure[CalcReport]]:
        """The checks that it fails."""
        return failures([self], self.checks)

    def environment(self) -> dict[str, JsonValue]:
        """The libraries' versions."""
        return dict(self.versions)

    def beside(self) -> dict[str, JsonValue]:
        """What was asked of it, and what it fails."""
        return gate(self.checks, self.failures())

    def about(self) -> str:
        """Expression, format and code."""
        return f"{self.title}, {hex_code(self.code, self.spec)}"

    def results(self) -> list[dict[str, JsonValue]]:
        """One entry; exact numbers as text. `steps` and `libraries` where they were asked for."""
        entry = self._entry()
        if self.traced:
            entry["steps"] = [self._step(step) for step in self.steps]
        if self.libraries is not None:
            entry["libraries"] = [self._library(item) for item in self.libraries]
        return [entry]

    def table(self) -> Table:
        """One row; a row for each step, or each library, where they were asked for."""
        entry = self._entry()
        if self.traced:
            return table_of(
                entry | {f"step.{key}": cell for key, cell in self._step(step).items()}
                for step in self.steps
            )
        if self.libraries:
            return table_of(
                entry | {f"library.{key}": cell for key, cell in self._library(item).items()}
                for item in self.libraries
            )
        return table_of([entry], leave_out=("absorbed",))

    def _entry(self) -> dict[str, JsonValue]:
        result, spec = self.result, self.spec
        return {
            "expression": self.expression,
            "format": spec.name,
            "rounding": result.rounding.value,
            "overflow": result.overflow.value,
            "order": self.order.value,
            "precise": self.precise,
            "code": hex_code(result.code, spec),
            "bits": result.bits,
            "classification": result.classification.value,
            "value": result.value_text,
            "shortest": result.shortest,
            **_exact_entry(self.exact),
            "correctly_rounded": None if self.correct is None else hex_code(self.correct, spec),
            "codes_off": self.codes_off,
            "error": self.error,
            "error_ulp": self.error_ulp,
            "flags": list(self.flags),
            "absorbed_count": len(self.absorbed),
            "absorbed": [self._absorbed(item) for item in self.absorbed],
        }

    def _step(self, step: TracedStep) -> dict[str, JsonValue]:
        return {
            "operation": step.operation,
            "column": step.column,
            "operands": [hex_code(code, self.spec) for code in step.operands],
            **_exact_entry(step.exact),
            "code": hex_code(step.code, self.spec),
            "value": value_text(step.code, self.spec),
            "error_ulp": step.error_ulp,
            "flags": list(step.flags),
        }

    def _absorbed(self, item: Absorbed) -> dict[str, JsonValue]:
        spec, smallest = self.spec, item.smallest
        return {
            "operation": item.operation,
            "column": item.column,
            "kept": value_text(item.kept, spec),
            "operand": value_text(item.operand, spec),
            "smallest_that_counts": None if smallest is None else value_text(smallest, spec),
            "threshold": item.threshold,
            "threshold_counts": item.threshold_counts,
        }

    def _library(self, item: LibraryResult) -> dict[str, JsonValue]:
        code = item.code
        return {
            "library": item.library,
            "version": item.version,
            "code": None if code is None else hex_code(code, self.spec),
            "value": None if code is None else shortest_decimal(code, self.spec),
            "agrees": item.agrees,
            "reason": item.reason,
        }


def _exact_entry(exact: Exact | None) -> dict[str, JsonValue]:
    return {
        "exact": None if exact is None else exact.text,
        "exact_is_cut": exact is not None and exact.cut,
    }


class CalcReports(Reports):
    """An expression in several formats."""

    items: tuple[CalcReport, ...]

    def failures(self) -> list[Failure[CalcReport]]:
        """The checks that the results fail."""
        return [failure for item in self.items for failure in item.failures()]

    def beside(self) -> dict[str, JsonValue]:
        """What was asked of the results, and which fail it."""
        return gate(self.items[0].checks, self.failures())
