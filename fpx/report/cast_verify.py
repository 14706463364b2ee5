"""The report of `fpx cast-verify`: what each cast got right, and why the rest is different."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from fpx.report.base import JsonValue, Report, to_json
from fpx.report.checks import Failure, failures, gate
from fpx.report.columns import Table, table_of
from fpx.report.environment import Environment
from fpx.report.gates.baseline import Baseline, Comparison, NotWorse

WRONG_ROUNDING, POLICY, NAN_BITS = "wrong_rounding", "policy", "nan_bits"


KINDS = (WRONG_ROUNDING, POLICY, NAN_BITS)
"""Kinds of causes, the worst first: a result that no rule gives; one that another rule gives (what
overflow becomes); a NaN with other bits."""


ANY = "any"
"""As a kind: every difference, whatever its cause."""


CODEC = "codec"
"""What correct rounding of tensors is itself compared with: rounding one number at a time."""


@dataclass(frozen=True)
class CastExample:
    """One differing cast: codes as hex strings, values exact."""

    code: str
    value: str
    expected_code: str
    expected: str
    got_code: str
    got: str


@dataclass(frozen=True)
class CauseCount:
    """The casts that differ for one reason.

    Attributes:
        cause: its name, such as `double_rounding`.
        reason: the same in words, as `fpx decode --libraries` says it.
        kind: one of KINDS.
        word: one word or two, for a cell of the matrix.
        count: of the origin's codes.
        examples: the first few, by the origin's code.
    """

    cause: str
    reason: str
    kind: str
    word: str
    count: int
    examples: tuple[CastExample, ...]


@dataclass(frozen=True)
class VerifyRow:
    """One cast of one implementation.

    Attributes:
        from_, to: origin and target.
        backend, version, device: who cast, and where.
        against: who says what is expected: `exact`, `codec` (the scalar rounding, which `exact` is
            compared with), or another implementation.
        codes: `all`, or `sampled`: boundaries and seeded random codes; `none` of a cast that is
            not offered.
        offered: whether both sides have this cast at all.
        complete: whether every code was reached; not if interrupted.
        checked_count: the origin's codes that were cast and compared.
        equal_count: those with the expected bits.
        undefined_count: NaNs cast to a format without NaN, for which any result is right; they
            are in neither of the other counts.
        causes: why the others differ, the worst kind first, then the commonest.
    """

    from_: str
    to: str
    backend: str
    version: str
    device: str
    against: str
    codes: str
    offered: bool = True
    complete: bool = True
    checked_count: int = 0
    equal_count: int = 0
    undefined_count: int = 0
    causes: tuple[CauseCount, ...] = ()

    def count(self, kind: str) -> int:
        """Differences of a kind, or of `any`."""
        return sum(cause.count for cause in self.causes if kind in (cause.kind, ANY))

    def count_from(self, kind: str) -> int:
        """Differences of that kind or a worse one, or of `any`: see KINDS."""
        return sum(self.count(worse) for worse in KINDS[: _rank(kind) + 1])

    @property
    def title(self) -> str:
        """Which cast it is: `float64 -> float16 by torch on cpu`."""
        return f"{self.from_} -> {self.to} by {self.backend} on {self.device}"

    def identity(self) -> dict[str, JsonValue]:
        """The keys of its entry that tell which cast it is."""
        return {
            "from": self.from_,
            "to": self.to,
            "backend": self.backend,
            "device": self.device,
        }

    @property
    def verdict(self) -> str:
        """One word or two: `right`, `absent`, or the worst cause."""
        if not self.offered:
            return "absent"
        if self.causes:
            return self.causes[0].word
        return "right" if self.checked_count else "not run"


def _rank(kind: str) -> int:
    return len(KINDS) - 1 if kind == ANY else KINDS.index(kind)


@dataclass(frozen=True)
class NoDifference:
    """The check that no result differs in a way of that kind, or of a worse one.

    Attributes:
        kind: one of KINDS, or `any`.
    """

    kind: str

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds that count."""
        return KINDS[: _rank(self.kind) + 1]

    @property
    def text(self) -> str:
        """The kind, as it was asked for."""
        return self.kind

    def value(self, row: VerifyRow) -> int:
        """How many results differ so."""
        return row.count_from(self.kind)

    def fails(self, row: VerifyRow) -> bool:
        """Whether any does."""
        return self.value(row) > 0

    def reason(self, row: VerifyRow) -> str:
        """`74,785 of 512,012 casts differ (wrong_rounding)`."""
        worse = {ANY: "any cause", KINDS[0]: KINDS[0]}.get(self.kind, f"{self.kind} or worse")
        return f"{self.value(row):,} of {row.checked_count:,} casts differ ({worse})"

    def to_dict(self) -> dict[str, JsonValue]:
        """Its one part."""
        return {"check": self.text}


@dataclass(frozen=True)
class CastOptions:
    """What may change the results of a cast.

    Attributes:
        layout: how the elements lie: contiguous, strided, or each cast alone.
        compile: whether a compiler made the cast.
        flush_denormal: whether the processor's flush-to-zero mode was on.
    """

    layout: str = "contiguous"
    compile: bool = False
    flush_denormal: bool = False

    @property
    def named(self) -> tuple[str, ...]:
        """Those that are not the default, in words."""
        layout = () if self.layout == "contiguous" else (self.layout,)
        flags = [name for name in ("compile", "flush_denormal") if getattr(self, name)]
        return (*flags, *layout)


@dataclass(frozen=True, repr=False)
class VerifyReport(Report):
    """What casts do, against correct rounding or each other.

    Attributes:
        rows: one per origin, target and implementation.
        against: what they are compared with: `exact`, or an implementation.
        details: versions, devices, threads and the seed.
        options: what else may change results.
        unchecked: one line for each format or cast that was asked for by name and could not be
            checked, and one if nothing could.
        checks: what was asked of every row.
        baseline: an older report: only what got worse since then fails.
    """

    schema: ClassVar[str] = "fpx.cast-verify/1"

    rows: tuple[VerifyRow, ...]
    against: str
    details: Environment
    options: CastOptions = CastOptions()
    unchecked: tuple[str, ...] = ()
    checks: tuple[NoDifference, ...] = ()
    baseline: Comparison | None = None

    def parts(self) -> tuple[VerifyRow, ...]:
        """The rows."""
        return self.rows

    def results(self) -> list[dict[str, JsonValue]]:
        """One entry per row, with its verdict."""
        return [to_json(row) | {"verdict": row.verdict} for row in self.rows]

    def table(self) -> Table:
        """One row per cast, with a count for each kind of difference in place of the causes."""
        return table_of(
            (
                entry | {f"{kind}_count": row.count(kind) for kind in KINDS}
                for row, entry in zip(self.rows, self.results(), strict=True)
            ),
            leave_out=("causes",),
        )

    def environment(self) -> dict[str, JsonValue]:
        """What produced the numbers."""
        return {**self.details.to_dict(), **to_json(self.options), "against": self.against}

    def beside(self) -> dict[str, JsonValue]:
        """What could not be checked; the checks that were asked for, and the rows that fail."""
        return {
            "unchecked": list(self.unchecked),
            "baseline": None if self.baseline is None else self.baseline.to_dict(),
            **gate(self.checks, self.failures()),
        }

    @property
    def complete(self) -> bool:
        """Whether nothing was left out."""
        return all(row.complete for row in self.rows)

    def since(self, older: Baseline) -> VerifyReport:
        """This report beside an older one.

        Raises:
            InputError: they are about different questions.
        """
        return replace(self, baseline=older.compared(self.parts(), self.environment()))

    def failures(self) -> list[Failure[VerifyRow]]:
        """The rows that fail one of `checks`; with a baseline, more than they did there."""
        if self.baseline is None:
            return failures(self.rows, self.checks)
        since = [NotWorse(self.baseline, check, check.kinds) for check in self.checks]
        return [failure for check in since for failure in check.failures(self.rows)]
