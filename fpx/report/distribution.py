"""The report of `fpx decode --rounding stochastic`: all that a number may become."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar, Self

from fpx.core.dyadic import Dyadic
from fpx.core.numbers import Literal, fraction_text
from fpx.core.policy import Change, Overflow, Stochastic
from fpx.core.shortest import value_text
from fpx.core.spec import FormatSpec
from fpx.core.stochastic import Distribution, Outcome, distribution
from fpx.report.base import JsonValue, Report, exact_text, hex_code
from fpx.report.columns import Table, table_of
from fpx.words import quoted


@dataclass(frozen=True, eq=False, repr=False)
class DistributionReport(Report):
    """All that one number may become in one format by stochastic rounding, and how probably.

    Attributes:
        literal: the number as it was given.
        spec: the format.
        rounding, overflow: how it is rounded.
        distribution: both neighbours with their probabilities, or what it becomes for certain.
    """

    schema: ClassVar[str] = "fpx.decode-stochastic/1"

    literal: Literal
    spec: FormatSpec
    rounding: Stochastic
    overflow: Overflow
    distribution: Distribution

    @classmethod
    def of(
        cls,
        literal: Literal,
        spec: FormatSpec,
        rounding: Stochastic | None = None,
        overflow: Overflow = Overflow.IEEE,
    ) -> Self:
        """The report on `literal` in `spec`; without a rounding, by the ideal one.

        Raises:
            InputError: `spec` cannot hold it at all, or it is too long for probabilities.
        """
        rounding = rounding or Stochastic()
        found = distribution(literal, spec, rounding, overflow)
        return cls(literal, spec, rounding, overflow, found)

    @property
    def input(self) -> str:
        """The number as it was given."""
        return self.literal.text

    @property
    def format(self) -> str:
        """The format's full name."""
        return self.spec.name

    @property
    def outcomes(self) -> tuple[Outcome, ...]:
        """The neighbour that is nearer to zero, then the other; or the one result."""
        return self.distribution.outcomes

    @property
    def is_certain(self) -> bool:
        """Whether nothing is left to chance."""
        return len(self.outcomes) == 1

    @property
    def ulp_dyadic(self) -> Dyadic | None:
        """The spacing of the format at the number; None of infinities and NaNs."""
        exponent = self.outcomes[0].rounded.ulp_exponent
        return None if exponent is None else Dyadic(1, exponent)

    def about(self) -> str:
        """Number and format."""
        return f"{quoted(self.input)} as {self.format}, {self.rounding.value}"

    def results(self) -> list[dict[str, JsonValue]]:
        """One entry; exact numbers as text, probabilities too."""
        return [
            {
                **self._head(),
                "outcomes": [self._outcome(item) for item in self.outcomes],
                **self._moments(),
            }
        ]

    def table(self) -> Table:
        """A row for each outcome."""
        head, moments = self._head(), self._moments()
        return table_of({**head, **self._outcome(item), **moments} for item in self.outcomes)

    def _head(self) -> dict[str, JsonValue]:
        found, bits = self.distribution, self.rounding.bits
        return {
            "input": self.input,
            "format": self.spec.name,
            "rounding": self.rounding.value,
            "random_bits": bits,
            "scheme": None if bits is None else self.rounding.scheme.value,
            "overflow": self.overflow.value,
            "ulp": exact_text(self.ulp_dyadic),
            "distance_ulp": fraction_text(found.distance),
        }

    def _outcome(self, item: Outcome) -> dict[str, JsonValue]:
        rounded = item.rounded
        return {
            "code": hex_code(rounded.code, self.spec),
            "value": value_text(rounded.code, self.spec),
            "probability": fraction_text(item.probability),
            "flags": list(flags(item)),
        }

    def _moments(self) -> dict[str, JsonValue]:
        found = self.distribution
        return {
            "expectation": _text(found.expectation),
            "variance": _text(found.variance),
            "bias": _text(found.bias),
            "bias_ulp": _text(found.bias_ulp),
            "overflow_probability": fraction_text(found.overflow_probability),
            "smallest_growth": _change(self.rounding.growth),
            "smallest_shrinking": _change(self.rounding.shrinking),
        }


def flags(item: Outcome) -> tuple[str, ...]:
    """What came with an outcome: `exact` or `inexact`, `invalid`, `overflow`."""
    rounded = item.rounded
    names = ["inexact" if rounded.inexact else "exact"]
    names += [name for name in ("invalid", "overflow") if getattr(rounded, name)]
    return tuple(names)


def _text(number: Fraction | None) -> str | None:
    return None if number is None else fraction_text(number)


def _change(change: Change) -> dict[str, JsonValue]:
    return {"ulps": fraction_text(change.ulps), "counts": change.counts}
