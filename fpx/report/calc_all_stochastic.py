"""The report of `fpx calc --all --rounding stochastic`: all results over all codes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar, NamedTuple

from fpx.core.numbers import fraction_text
from fpx.core.policy import Overflow, Stochastic
from fpx.core.shortest import shortest_decimal
from fpx.core.spec import FormatSpec
from fpx.report.base import JsonValue, hex_code
from fpx.report.calc import Order
from fpx.report.calc_all import KINDS, EveryCodeReport, EveryCodeReports
from fpx.report.columns import Table, table_of
from fpx.report.limits import Limit

COUNTS = (
    "count", "nan_input_count", "inf_input_count", "zero_input_count", "certain_count",
    "zero_result_count", "inf_result_count", "nan_result_count", "beyond_count", "measured_count",
    "exact_count", "unbiased_count",
)  # fmt: skip
"""What is counted of all combinations of codes.

`certain_count`: of which one result is possible. `zero_result_count` and so on: of which such a
result is. `beyond_count`: whose exact value is beyond the largest value. `measured_count`: of the
others, those whose exact value is a rational number and whose results are all finite. Of these,
`exact_count`: of which that value is the only result; `unbiased_count`: of which it is the mean.
"""

MEANS = ("mean_bias_ulp", "mean_error_ulp", "mean_variance_ulp")
"""Over what is measured, in ulps at the exact value: of E[q] - x, below 0 toward zero; of
E|q - x|; of the variance, in ulps squared."""

LARGEST = ("max_bias_ulp", "max_error_ulp", "max_variance_ulp")
"""The largest of those in magnitude; of errors, that of the furthest result that is possible."""

NUMBERS = (*COUNTS, *MEANS, *LARGEST)
"""What `--fail-if` may be about."""

SUCH = ("beyond_count", "max_bias_ulp>0.25")
"""What a condition may look like, for messages."""


class Largest(NamedTuple):
    """A number, and the codes of the variables that have it: the first of equals."""

    number: Fraction
    codes: tuple[int, ...]


@dataclass(frozen=True)
class Kept:
    """How often results equal a variable.

    Attributes:
        count: combinations of codes.
        expected: how many of them give the variable back on average.
        always, never: how many do so, and do not, whatever is drawn.
    """

    count: int = 0
    expected: Fraction = Fraction(0)
    always: int = 0
    never: int = 0

    def with_one_more(self, probability: Fraction) -> Kept:
        """With one more combination, which gives it back with that probability."""
        return Kept(
            self.count + 1,
            self.expected + probability,
            self.always + (probability == 1),
            self.never + (not probability),
        )


class VariableChances(NamedTuple):
    """How often results equal a variable, by KINDS of its finite non-zero values."""

    name: str
    kinds: Mapping[str, Kept]


@dataclass(frozen=True, eq=False, repr=False)
class AllOutcomesReport(EveryCodeReport):
    """What an expression may give over every code of its variables.

    Attributes:
        expression: as it was written.
        spec, rounding, overflow: the format, and how operations round.
        order, precise: as of `CalcReport`.
        literals: those that the format has not, as they were written -> what they became.
        counts: a number for each of COUNTS.
        means: a number for each of MEANS; none where nothing is measured.
        largest: the same of LARGEST.
        variables: how often the result equals each of them.
        checks: what was asked of it.
    """

    schema: ClassVar[str] = "fpx.calc-all-stochastic/1"

    expression: str
    spec: FormatSpec
    rounding: Stochastic
    overflow: Overflow
    order: Order
    precise: bool
    literals: Mapping[str, str]
    counts: Mapping[str, int]
    means: Mapping[str, Fraction]
    largest: Mapping[str, Largest]
    variables: tuple[VariableChances, ...]
    checks: tuple[Limit, ...] = ()

    @property
    def names(self) -> list[str]:
        """The variables."""
        return [item.name for item in self.variables]

    def numbers(self) -> Mapping[str, Fraction | int | None]:
        """A number for each of NUMBERS."""
        found = {name: item.number for name, item in self.largest.items()}
        every: dict[str, Fraction | int] = {**self.counts, **self.means, **found}
        return {name: every.get(name) for name in NUMBERS}

    def where(self, name: str) -> str:
        """The variables of one of LARGEST: `x = 1, y = 0.5`."""
        codes = self.largest[name].codes
        return ", ".join(
            f"{item.name} = {shortest_decimal(code, self.spec)}"
            for item, code in zip(self.variables, codes, strict=True)
        )

    def results(self) -> list[dict[str, JsonValue]]:
        """One entry; exact numbers as text."""
        where: dict[str, JsonValue] = {
            f"{name}_codes": [hex_code(code, self.spec) for code in item.codes]
            for name, item in self.largest.items()
        }
        variables: list[JsonValue] = [_entry(item) for item in self.variables]
        return [{**self._head(), **where, "variables": variables}]

    def table(self) -> Table:
        """A row for each variable."""
        head = self._head()
        return table_of(head | _entry(item) for item in self.variables)

    def _head(self) -> dict[str, JsonValue]:
        numbers = self.numbers()
        bits = self.rounding.bits
        return {
            "expression": self.expression,
            "format": self.format,
            "rounding": self.rounding.value,
            "random_bits": bits,
            "scheme": None if bits is None else self.rounding.scheme.value,
            "overflow": self.overflow.value,
            "order": self.order.value,
            "precise": self.precise,
            "literals": [{"input": text, "value": value} for text, value in self.literals.items()],
            **self.counts,
            **{name: _text(numbers[name]) for name in (*MEANS, *LARGEST)},
        }


def _text(number: Fraction | int | None) -> str | None:
    return None if number is None else fraction_text(Fraction(number))


def _entry(item: VariableChances) -> dict[str, JsonValue]:
    found: dict[str, JsonValue] = {"variable": item.name}
    for kind in KINDS:
        kept = item.kinds[kind]
        found |= {
            f"{kind}_count": kept.count,
            f"expected_unchanged_{kind}_count": fraction_text(kept.expected),
            f"always_unchanged_{kind}_count": kept.always,
            f"never_unchanged_{kind}_count": kept.never,
        }
    return found


class AllOutcomesReports(EveryCodeReports):
    """What an expression may give over all codes of several formats."""

    items: tuple[AllOutcomesReport, ...]
