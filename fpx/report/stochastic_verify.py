"""The report of `fpx cast-verify --with … --rounding stochastic`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from fpx.report.base import JsonValue, Report, to_json
from fpx.report.checks import Failure, failures, gate
from fpx.report.columns import Table, table_of
from fpx.report.environment import Environment

ENUMERATED, DRAWN = "enumerated", "drawn"
"""How probabilities were found: all random words were tried, or the function drew its own."""


@dataclass(frozen=True)
class RoundingExample:
    """One input and what became of it; exact numbers as text.

    Attributes:
        code, value: of the input.
        expected: what should have become of it: codes with probabilities, the neighbour that is
            nearer to zero first.
        got: what did, the commonest first: codes (or numbers that the format has not) with shares.
        distance_ulp: of the input from the neighbour nearer to zero; None where there is none.
        p_value: of a test of the share; None where there was none.
    """

    code: str
    value: str
    expected: str
    got: str
    distance_ulp: str | None
    p_value: float | None = None


@dataclass(frozen=True)
class RoundingCause:
    """Inputs of which a function made something wrong, for one reason.

    Attributes:
        cause: its name.
        reason: the same in words.
        count: of inputs.
        examples: the first few.
    """

    cause: str
    reason: str
    count: int
    examples: tuple[RoundingExample, ...]


@dataclass(frozen=True)
class RoundingRow:
    """What a function that rounds stochastically did.

    Attributes:
        from_, to: origin and target.
        implementation: the function, as it was named.
        rounding, overflow: what it was held to.
        how: ENUMERATED or DRAWN.
        random_bits: of the words; None where it drew its own.
        trials_per_input: the words, or the draws, that each input was tried with.
        input_count: of inputs.
        left_out_count: of those that there was no time for, since every input that is tried is
            tried with all words.
        exact_count: inputs of which it did what it should: with exactly those probabilities, or,
            where it drew, with shares that are not rejected.
        representable_count, chance_count, subnormal_count, carry_count, overflow_count, nan_count,
        infinity_count: of the inputs, those that the format has; that have two neighbours; of these
            those below its smallest normal number, those whose upper neighbour begins a binade, and
            those that may overflow; NaNs; infinities.
        max_bias_ulp, mean_bias_ulp: of all those with two neighbours: E[q] - x in magnitude, in
            ulps, exactly, as text; below 0 is toward zero. The shares stand for probabilities where
            it drew. None where there are none.
        p_value_min: the least of all tests; None where everything was enumerated.
        significance: what a p-value is held to: 1e-6 over the number of tests.
        causes: what is wrong, those of most inputs first.
    """

    from_: str
    to: str
    implementation: str
    rounding: str
    overflow: str
    how: str
    random_bits: int | None
    trials_per_input: int
    input_count: int
    left_out_count: int
    exact_count: int
    representable_count: int
    chance_count: int
    subnormal_count: int
    carry_count: int
    overflow_count: int
    nan_count: int
    infinity_count: int
    max_bias_ulp: str | None
    mean_bias_ulp: str | None
    p_value_min: float | None
    significance: float | None
    causes: tuple[RoundingCause, ...]

    @property
    def verdict(self) -> str:
        """`right`, `not rejected` where it drew, or the name of the first cause."""
        if self.causes:
            return self.causes[0].cause
        return "right" if self.how == ENUMERATED else "not rejected"

    @property
    def title(self) -> str:
        """Which rounding it is."""
        return f"{self.from_} -> {self.to} by {self.implementation}"

    def identity(self) -> dict[str, JsonValue]:
        """The keys of its entry that tell which one it is."""
        return {"from": self.from_, "to": self.to, "implementation": self.implementation}


@dataclass(frozen=True)
class NothingWrong:
    """The check that no cause was found."""

    text: str = "any"

    def value(self, row: RoundingRow) -> int:
        """Inputs that went wrong."""
        return row.input_count - row.exact_count

    def fails(self, row: RoundingRow) -> bool:
        """Whether there is a cause."""
        return bool(row.causes)

    def reason(self, row: RoundingRow) -> str:
        """The causes."""
        return "; ".join(cause.reason for cause in row.causes)

    def to_dict(self) -> dict[str, JsonValue]:
        """Its one part."""
        return {"check": self.text}


@dataclass(frozen=True, repr=False)
class RoundingReport(Report):
    """Whether a function rounds stochastically as it should.

    Attributes:
        row: what was found.
        details: versions and the seed.
    """

    schema: ClassVar[str] = "fpx.cast-verify-stochastic/1"

    row: RoundingRow
    details: Environment

    def parts(self) -> tuple[RoundingRow, ...]:
        """The one row."""
        return (self.row,)

    def results(self) -> list[dict[str, JsonValue]]:
        """The entry of the row, with its verdict."""
        return [to_json(self.row) | {"verdict": self.row.verdict}]

    def table(self) -> Table:
        """The row, with the names of the causes."""
        (entry,) = self.results()
        causes = [cause.cause for cause in self.row.causes]
        return table_of([entry | {"cause_names": causes}], leave_out=("causes",))

    def environment(self) -> dict[str, JsonValue]:
        """What produced the numbers."""
        return self.details.to_dict()

    def beside(self) -> dict[str, JsonValue]:
        """The check, and whether it failed."""
        return gate([NothingWrong()], self.failures())

    def failures(self) -> list[Failure[RoundingRow]]:
        """The row, if something is wrong with it."""
        return failures([self.row], [NothingWrong()])

    def about(self) -> str:
        """The function and the verdict."""
        return f"{self.row.title}, {self.row.verdict}"
