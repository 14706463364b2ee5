"""The report of `fpx op-verify`: what a library's functions get right, and what is wrong where."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar

from fpx.report.base import JsonValue, Report, to_json
from fpx.report.checks import Failure, failures, gate
from fpx.report.columns import Table, table_of
from fpx.report.environment import Environment
from fpx.report.limits import Limit

BACKENDS = ("torch", "numpy")
"""Whose functions are verified; numpy's with the formats of ml_dtypes."""

CAUSES = (
    "nan_lost", "nan_made", "sign_of_zero", "flushed_to_zero", "zero_missed", "one_step",
    "subnormal_input", "underflow_early", "wrong_sign", "overflow_early", "infinity_lost",
    "overflow_late", "several_steps",
)  # fmt: skip
"""The ways to be wrong, by name: what they mean is in `fpx.arithmetic.functions.causes`."""

NUMBERS = (
    "checked_count", "wrong_count", "wrong_percent", "max_error_ulp", "max_steps",
    *(f"{cause}_count" for cause in CAUSES),
)  # fmt: skip
"""What `--fail-if` may be about."""

SUCH = ("wrong_count", "max_error_ulp>1")
"""What a condition may look like, for messages."""


@dataclass(frozen=True)
class Operand:
    """A code as a hex string, and its exact value."""

    code: str
    value: str


@dataclass(frozen=True)
class WrongResult:
    """One wrong result, as a report of a bug needs it.

    Attributes:
        operands: one, or two.
        expected_code, expected: the correctly rounded result.
        got_code, got: what came.
        exact: the result before rounding: in full where it is short, else to more digits than
            were needed to tell how it rounds; `inf` or `nan` where it is none.
        error_ulp: of what came, in ulps at the exact result; None if one of them is no number.
        reproduction: a line of Python that prints the code that came; None if there is none.
    """

    operands: tuple[Operand, ...]
    expected_code: str
    expected: str
    got_code: str
    got: str
    exact: str
    error_ulp: float | None
    reproduction: str | None


@dataclass(frozen=True)
class CauseCount:
    """The results that are wrong in one way.

    Attributes:
        cause: one of CAUSES.
        word: the same for a cell of a table.
        reason: the same in words.
        count: of such results.
        examples: the worst few.
    """

    cause: str
    word: str
    reason: str
    count: int
    examples: tuple[WrongResult, ...]


@dataclass(frozen=True)
class BinadeCount:
    """Operands of one sign and exponent, and how many of their results are wrong.

    Attributes:
        negative: the sign.
        kind: `normal` or `subnormal`.
        exponent: unbiased; of subnormals that of their largest power of two.
        count, wrong_count: combinations of operands of which the first is such.
    """

    negative: bool
    kind: str
    exponent: int
    count: int
    wrong_count: int


@dataclass(frozen=True)
class FunctionRow:
    """One function of one format by one implementation.

    Attributes:
        function, definition: which, and what it is in mathematics.
        format: of operands and results.
        backend, version, device: who computed, and where.
        inputs: `all`, `sampled` (boundaries and seeded random codes) or `none`.
        offered: whether the implementation has it.
        lacking: if not, in its own words.
        complete: whether all inputs were reached; not if interrupted.
        checked_count: results that were compared.
        wrong_count: those that are not the correctly rounded ones.
        undefined_count: NaNs in a format without NaN, in neither of these.
        max_error_ulp: the largest error of a wrong result in ulps, of those that are numbers.
        max_steps: the most values that one is off.
        worst: that of the largest error.
        causes: the commonest first.
        binades: of the first operand, those that have wrong results, from low to high.
    """

    function: str
    definition: str
    format: str
    backend: str
    version: str
    device: str
    inputs: str
    offered: bool = True
    lacking: str = ""
    complete: bool = True
    checked_count: int = 0
    wrong_count: int = 0
    undefined_count: int = 0
    max_error_ulp: float | None = None
    max_steps: int = 0
    worst: WrongResult | None = None
    causes: tuple[CauseCount, ...] = ()
    binades: tuple[BinadeCount, ...] = ()

    @property
    def title(self) -> str:
        """`exp of bfloat16 by torch on cpu`."""
        return f"{self.function} of {self.format} by {self.backend} on {self.device}"

    @property
    def verdict(self) -> str:
        """`right`, `absent`, or the commonest cause in two words."""
        if not self.offered:
            return "absent"
        if self.causes:
            return self.causes[0].word
        return "right" if self.checked_count else "not run"

    def identity(self) -> dict[str, JsonValue]:
        """The keys of its entry that tell which it is."""
        return {
            "function": self.function,
            "format": self.format,
            "backend": self.backend,
            "device": self.device,
        }

    def numbers(self) -> Mapping[str, Fraction | int | None]:
        """A number for each of NUMBERS; errors of wrong results, so 0 where there are none."""
        counts = {cause.cause: cause.count for cause in self.causes}
        share = Fraction(100 * self.wrong_count, self.checked_count or 1)
        return {
            "checked_count": self.checked_count,
            "wrong_count": self.wrong_count,
            "wrong_percent": share,
            "max_error_ulp": Fraction(self.max_error_ulp or 0),
            "max_steps": self.max_steps,
            **{f"{cause}_count": counts.get(cause, 0) for cause in CAUSES},
        }


@dataclass(frozen=True, repr=False)
class OpVerifyReport(Report):
    """What functions give, against correct rounding.

    Attributes:
        rows: one per function, format and implementation.
        details: versions, devices, threads and the seed.
        mpmath: the version of the library that references come from.
        layout, compile, flush_denormal: what else may change results, as in `fpx cast-verify`.
        unchecked: one line for whatever was asked for by name and could not be checked.
        checks: what was asked of every row.
    """

    schema: ClassVar[str] = "fpx.op-verify/1"

    rows: tuple[FunctionRow, ...]
    details: Environment
    mpmath: str
    layout: str = "contiguous"
    compile: bool = False
    flush_denormal: bool = False
    unchecked: tuple[str, ...] = ()
    checks: tuple[Limit, ...] = ()

    def parts(self) -> tuple[FunctionRow, ...]:
        """The rows."""
        return self.rows

    def results(self) -> list[dict[str, JsonValue]]:
        """One entry per row, with its verdict."""
        return [to_json(row) | {"verdict": row.verdict} for row in self.rows]

    def table(self) -> Table:
        """One row per function, with a count for each cause in place of the causes."""
        return table_of(
            (
                entry | {name: row.numbers()[name] for name in NUMBERS[5:]}
                for row, entry in zip(self.rows, self.results(), strict=True)
            ),
            leave_out=("causes", "binades", "worst"),
        )

    def environment(self) -> dict[str, JsonValue]:
        """What produced the numbers."""
        return {
            **self.details.to_dict(),
            "mpmath": self.mpmath,
            "layout": self.layout,
            "compile": self.compile,
            "flush_denormal": self.flush_denormal,
        }

    def beside(self) -> dict[str, JsonValue]:
        """What could not be checked; the checks that were asked for, and the rows that fail."""
        return {"unchecked": list(self.unchecked), **gate(self.checks, self.failures())}

    @property
    def complete(self) -> bool:
        """Whether nothing was left out."""
        return all(row.complete for row in self.rows)

    @property
    def named(self) -> Sequence[str]:
        """The options that are not the default, in words."""
        flags = [name for name in ("compile", "flush_denormal") if getattr(self, name)]
        return flags if self.layout == "contiguous" else [*flags, self.layout]

    def failures(self) -> list[Failure[FunctionRow]]:
        """The rows that fail one of `checks`."""
        return failures([row for row in self.rows if row.offered], self.checks)

    def about(self) -> str:
        """How many results are wrong."""
        wrong = sum(row.wrong_count for row in self.rows)
        checked = sum(row.checked_count for row in self.rows)
        return f"{wrong:,} of {checked:,} results wrong"


@dataclass(frozen=True)
class ListedFunction:
    """A function that can be verified: what it is, its operands, and what libraries call it."""

    function: str
    definition: str
    operands: int
    torch: str | None
    numpy: str | None


@dataclass(frozen=True, repr=False)
class FunctionsReport(Report):
    """What can be verified.

    Attributes:
        rows: one per function.
    """

    schema: ClassVar[str] = "fpx.op-verify-list/1"

    rows: tuple[ListedFunction, ...]

    def parts(self) -> tuple[ListedFunction, ...]:
        """The rows."""
        return self.rows

    def results(self) -> list[dict[str, JsonValue]]:
        """One entry per function."""
        return [to_json(row) for row in self.rows]
