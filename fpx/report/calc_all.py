"""The report of `fpx calc --all`: an expression over every code of its variables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, ClassVar, Self

from fpx.core.policy import Overflow, Rounding
from fpx.core.spec import FormatSpec
from fpx.report.base import JsonValue, Report, Reports
from fpx.report.calc import FLAGS, Order
from fpx.report.checks import Failure, failures, gate
from fpx.report.columns import Table, table_of
from fpx.report.limits import Limit
from fpx.words import quoted

KINDS = ("normal", "subnormal")
"""Classes of numbers that are told apart."""

COUNTS = (
    "count", "nan_input_count", "inf_input_count", "zero_input_count", "exact_count",
    *(f"{flag}_count" for flag in FLAGS), "zero_result_count", "subnormal_result_count",
    "inf_result_count", "nan_result_count",
)  # fmt: skip
"""What is counted of all combinations of codes.

`nan_input_count` and so on: where a variable is one. A flag: where any operation raises it, that of
reading a literal aside. `exact_count`: where none does.
"""

NUMBERS = (
    *COUNTS, "unchanged_count", *(f"unchanged_{kind}_count" for kind in KINDS),
    *(f"{kind}_count" for kind in KINDS),
)  # fmt: skip
"""What `--fail-if` may be about; those that each variable has are the first one's."""

SUCH = ("overflow_count", "unchanged_normal_count>100")
"""What a condition may look like, for messages."""


@dataclass(frozen=True)
class Binade:
    """How many values of a variable with one exponent the expression gives back unchanged.

    Attributes:
        kind: one of KINDS.
        exponent: unbiased; of subnormals that of their largest power of two.
        count: combinations of codes with such a value.
        unchanged_count: those of them that give it back.
    """

    kind: str
    exponent: int
    count: int
    unchanged_count: int


@dataclass(frozen=True)
class VariableCounts:
    """Where the result equals a variable.

    Attributes:
        name: of the variable.
        binades: of finite non-zero values, from small to large.
    """

    name: str
    binades: tuple[Binade, ...]

    def total(self, kind: str | None = None) -> int:
        """How many combinations have a finite non-zero value of it, of a kind or any."""
        return sum(item.count for item in self.binades if kind in (None, item.kind))

    def unchanged(self, kind: str | None = None) -> int:
        """In how many of those the result equals it."""
        return sum(item.unchanged_count for item in self.binades if kind in (None, item.kind))

    def runs(self) -> list[tuple[Binade, Binade]]:
        """Neighbouring binades that are alike: the first and the last of each run.

        Alike: none of them unchanged, all, or some of each.
        """
        found: list[tuple[Binade, Binade]] = []
        for item in self.binades:
            if found and (found[-1][1].kind, _share(found[-1][1])) == (item.kind, _share(item)):
                found[-1] = (found[-1][0], item)
            else:
                found.append((item, item))
        return found


def _share(item: Binade) -> str:
    if item.unchanged_count in (0, item.count):
        return "all" if item.unchanged_count else "none"
    return "some"


class EveryCodeReport(Report):
    """What reports on an expression over every code of its variables share."""

    expression: str
    spec: FormatSpec
    checks: tuple[Limit, ...]

    @property
    def names(self) -> list[str]:
        """The variables."""
        raise NotImplementedError

    def numbers(self) -> Mapping[str, Fraction | int | None]:
        """Name of what a check may ask -> number."""
        raise NotImplementedError

    @property
    def format(self) -> str:
        """The format's full name."""
        return self.spec.name

    @property
    def title(self) -> str:
        """Expression and format."""
        return f"{quoted(self.expression)} over all {' and '.join(self.names)} in {self.format}"

    def identity(self) -> dict[str, JsonValue]:
        """What tells this row from others."""
        return {"expression": self.expression, "format": self.format}

    def failures(self) -> list[Failure[Self]]:
        """The checks that it fails."""
        return failures([self], self.checks)

    def beside(self) -> dict[str, JsonValue]:
        """What was asked of it, and what it fails."""
        return gate(self.checks, self.failures())

    def about(self) -> str:
        """Expression, variables and format."""
        return self.title


@dataclass(frozen=True, eq=False, repr=False)
class AllCodesReport(EveryCodeReport):
    """What an expression gives over every code of its variables.

    Attributes:
        expression: as it was written.
        spec, rounding, overflow: the format, and how operations round.
        order, precise: as of `CalcReport`.
        literals: those that the format has not, as they were written -> what they became.
        counts: a number for each of COUNTS.
        variables: where the result equals each of them.
        checks: what was asked of it.
    """

    schema: ClassVar[str] = "fpx.calc-all/1"

    expression: str
    spec: FormatSpec
    rounding: Rounding
    overflow: Overflow
    order: Order
    precise: bool
    literals: Mapping[str, str]
    counts: Mapping[str, int]
    variables: tuple[VariableCounts, ...]
    checks: tuple[Limit, ...] = ()

    @property
    def names(self) -> list[str]:
        """The variables."""
        return [item.name for item in self.variables]

    def numbers(self) -> Mapping[str, Fraction | int | None]:
        """A number for each of NUMBERS."""
        first = self.variables[0]
        return {
            **self.counts,
            "unchanged_count": first.unchanged(),
            **{f"unchanged_{kind}_count": first.unchanged(kind) for kind in KINDS},
            **{f"{kind}_count": first.total(kind) for kind in KINDS},
        }

    def results(self) -> list[dict[str, JsonValue]]:
        """One entry."""
        return [
            {
                **self._head(),
                "variables": [
                    {**_totals(item), "binades": [_entry(binade) for binade in item.binades]}
                    for item in self.variables
                ],
            }
        ]

    def table(self) -> Table:
        """A row for each variable."""
        head = self._head()
        return table_of(head | _totals(item) for item in self.variables)

    def _head(self) -> dict[str, JsonValue]:
        return {
            "expression": self.expression,
            "format": self.format,
            "rounding": self.rounding.value,
            "overflow": self.overflow.value,
            "order": self.order.value,
            "precise": self.precise,
            "literals": [{"input": text, "value": value} for text, value in self.literals.items()],
            **self.counts,
        }


def _totals(item: VariableCounts) -> dict[str, JsonValue]:
    return {
        "variable": item.name,
        "unchanged_count": item.unchanged(),
        **{f"unchanged_{kind}_count": item.unchanged(kind) for kind in KINDS},
        **{f"{kind}_count": item.total(kind) for kind in KINDS},
    }


def _entry(item: Binade) -> dict[str, JsonValue]:
    return {
        "kind": item.kind,
        "exponent": item.exponent,
        "count": item.count,
        "unchanged_count": item.unchanged_count,
    }


class EveryCodeReports(Reports):
    """Reports on an expression over all codes, one for each of several formats."""

    items: tuple[EveryCodeReport, ...]

    def failures(self) -> Sequence[Failure[Any]]:
        """The checks that they fail."""
        return [failure for item in self.items for failure in item.failures()]

    def beside(self) -> dict[str, JsonValue]:
        """What was asked of them, and what they fail."""
        return gate(self.items[0].checks, self.failures())


class AllCodesReports(EveryCodeReports):
    """What an expression gives over all codes of several formats."""

    items: tuple[AllCodesReport, ...]
