"""The report of `fpx calc --rounding stochastic`: every result of an expression."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar

from fpx.core.numbers import fraction_text
from fpx.core.policy import Overflow, Stochastic
from fpx.core.shortest import value_text
from fpx.core.spec import FormatSpec
from fpx.core.stochastic import moment, variance
from fpx.report.base import JsonValue, Report, Reports, hex_code
from fpx.report.calc import Exact, Order
from fpx.report.columns import Table, table_of
from fpx.words import quoted


@dataclass(frozen=True, eq=False, repr=False)
class StochasticReport(Report):
    """All that an expression may give where operations round stochastically, and how probably.

    Attributes:
        expression: as it was written.
        spec: the format.
        rounding, overflow: of every operation; numbers are read to nearest, ties to even.
        order, precise: as of `CalcReport`.
        codes: the codes that are possible, from the lowest value up, with their probabilities.
        number: the exact value of the whole, of the numbers as they were read (with `precise`, as
            they were written); None where that is no rational number.
        ulp: the spacing of the format there.
        exact: that value as text; None if it takes too much.
        why_not: why there is none.
        nearest: the code where every operation rounds to nearest, ties to even.
        literals: those that the format has not, as they were written -> what they are there.
        operations: how many operations are rounded.
    """

    schema: ClassVar[str] = "fpx.calc-stochastic/1"

    expression: str
    spec: FormatSpec
    rounding: Stochastic
    overflow: Overflow
    order: Order
    precise: bool
    codes: Mapping[int, Fraction]
    number: Fraction | None
    ulp: Fraction | None
    exact: Exact | None
    why_not: str
    nearest: int
    literals: Mapping[str, str]
    operations: int

    @property
    def format(self) -> str:
        """The format's full name."""
        return self.spec.name

    @property
    def expectation(self) -> Fraction | None:
        """The mean of the results; None where one may be infinite or NaN."""
        return moment(self.codes, self.spec, 1)

    @property
    def variance(self) -> Fraction | None:
        """Their variance; None where the mean is."""
        return variance(self.codes, self.spec)

    @property
    def bias(self) -> Fraction | None:
        """The mean less the exact value; None where there is none of either."""
        mean = self.expectation
        return None if mean is None or self.number is None else mean - self.number

    @property
    def bias_ulp(self) -> Fraction | None:
        """`bias` in ulps of the format at the exact value."""
        bias = self.bias
        return None if bias is None or self.ulp is None else bias / self.ulp

    def about(self) -> str:
        """Expression, format and how many results there are."""
        return f"{quoted(self.expression)} in {self.format}, {len(self.codes):,} results"

    def results(self) -> list[dict[str, JsonValue]]:
        """One entry; exact numbers as text, probabilities too."""
        outcomes = [self._outcome(code) for code in self.codes]
        return [{**self._head(), "outcomes": outcomes, **self._moments()}]

    def table(self) -> Table:
        """A row for each result."""
        head, moments = self._head(), self._moments()
        return table_of({**head, **self._outcome(code), **moments} for code in self.codes)

    def _head(self) -> dict[str, JsonValue]:
        bits = self.rounding.bits
        return {
            "expression": self.expression,
            "format": self.spec.name,
            "rounding": self.rounding.value,
            "random_bits": bits,
            "scheme": None if bits is None else self.rounding.scheme.value,
            "overflow": self.overflow.value,
            "order": self.order.value,
            "precise": self.precise,
            "literals": [{"input": text, "value": value} for text, value in self.literals.items()],
            "operation_count": self.operations,
            "outcome_count": len(self.codes),
        }

    def _outcome(self, code: int) -> dict[str, JsonValue]:
        return {
            "code": hex_code(code, self.spec),
            "value": value_text(code, self.spec),
            "probability": fraction_text(self.codes[code]),
        }

    def _moments(self) -> dict[str, JsonValue]:
        return {
            "expectation": _text(self.expectation),
            "variance": _text(self.variance),
            "exact": None if self.exact is None else self.exact.text,
            "exact_is_cut": self.exact is not None and self.exact.cut,
            "bias": _text(self.bias),
            "bias_ulp": _text(self.bias_ulp),
            "to_nearest": hex_code(self.nearest, self.spec),
            "to_nearest_probability": fraction_text(self.codes.get(self.nearest, Fraction(0))),
        }


def _text(number: Fraction | None) -> str | None:
    return None if number is None else fraction_text(number)


class StochasticReports(Reports):
    """An expression in several formats."""

    items: tuple[StochasticReport, ...]
