"""The report of `fpx cast-verify`: what each cast got right, and why the rest is different."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from fpx.report.base import JsonValue, Report, to_json

WRONG_ROUNDING, POLICY, NAN_BITS = "wrong_rounding", "policy", "nan_bits"


KINDS = (WRONG_ROUNDING, POLICY, NAN_BITS)
"""Kinds of causes, the worst first: a result that no rule gives; one that another rule gives (what
overflow becomes); a NaN with other bits."""


ANY = "any"


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
        count: of source codes.
        examples: the first few, by source code.
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
        from_, to: source and target.
        backend, device: who cast, and where.
        codes: `all`, or `sampled`: boundaries and seeded random codes.
        offered: whether the library has this cast at all.
        complete: whether every code was reached; not if interrupted.
        checked_count: source codes cast and compared.
        equal_count: those with the expected bits.
        undefined_count: NaNs cast to a format without NaN, for which any result is right; they
            are in neither of the other counts.
        causes: why the others differ, the worst kind first, then the commonest.
    """

    from_: str
    to: str
    backend: str
    device: str
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

    @property
    def verdict(self) -> str:
        """One word or two: `right`, `absent`, or the worst cause."""
        if not self.offered:
            return "absent"
        if self.causes:
            return self.causes[0].word
        return "right" if self.checked_count else "not run"


@dataclass(frozen=True, repr=False)
class VerifyReport(Report):
    """What casts do, against correct rounding or each other.

    Attributes:
        rows: one per source, target and implementation.
        against: what they are compared with: `exact`, or an implementation.
        details: versions, device, threads, seed and the options that change results.
    """

    schema: ClassVar[str] = "fpx.cast-verify/1"

    rows: tuple[VerifyRow, ...]
    against: str
    details: Mapping[str, JsonValue]

    def parts(self) -> tuple[VerifyRow, ...]:
        """The rows."""
        return self.rows

    def results(self) -> list[dict[str, JsonValue]]:
        """One entry per row, with its verdict."""
        return [to_json(row) | {"verdict": row.verdict} for row in self.rows]

    def environment(self) -> dict[str, JsonValue]:
        """What produced the numbers."""
        return {**self.details, "against": self.against}

    @property
    def complete(self) -> bool:
        """Whether nothing was left out."""
        return all(row.complete for row in self.rows)

    def failures(self, kind: str) -> list[str]:
        """One line per row with differences of that kind (or worse: see KINDS) or of `any`."""
        return [
            f"{row.from_} -> {row.to} by {row.backend} on {row.device}: {row.count(kind):,} of "
            f"{row.checked_count:,} casts differ ({'any cause' if kind == ANY else kind})"
            for row in self.rows
            if row.count(kind)
        ]
