"""The report of `fpx reveal`: how operations add up here, and how sure that is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import ClassVar

from fpx.report.base import JsonValue, Report, once, to_json
from fpx.report.checks import Failure, failures, gate
from fpx.report.columns import Table, table_of
from fpx.report.environment import Environment
from fpx.report.limits import Limit
from fpx.report.reveal_before import Changes
from fpx.report.reveal_case import Case
from fpx.report.reveal_row import Certificate, Computation, Subnormals, Verdict, digest
from fpx.report.sum_shape import SumShape

NUMBERS = (
    "uncertified", "varying", "class_count", "depth", "kept_bits", "least_kept_bits", "input_bits",
    "flushed", "unlike_elements",
)  # fmt: skip
"""What `--fail-if` may be about.

`uncertified`, `varying`, `flushed` and `unlike_elements` are 1 or 0; `class_count` is of the
operation and format; the rest is None where it is not resolvable.
"""

SUCH = ("uncertified", "kept_bits<23")
"""What a condition may look like, for messages."""

_PRECISIONS = {52: "float64", 23: "float32", 10: "float16", 7: "bfloat16"}
EXACT_SUM = "exact"


@dataclass(frozen=True)
class RevealEnvironment:
    """What decides how a machine adds.

    Attributes:
        versions: of libraries, with device and threads.
        mkl, mkldnn: whether torch has these libraries.
        variables: environment variables that are set, of those that matter.
        flags: torch's settings, by their names.
    """

    versions: Environment
    mkl: bool
    mkldnn: bool
    variables: Mapping[str, str]
    flags: Mapping[str, object]

    def to_dict(self) -> dict[str, JsonValue]:
        """Entries of a JSON document's `environment`."""
        return {
            **self.versions.to_dict(),
            "mkl": self.mkl,
            "mkldnn": self.mkldnn,
            "variables": dict(self.variables),
            "flags": dict(self.flags),
        }


@dataclass(frozen=True)
class RevealRow:
    """An operation in one format, under circumstances in which it computes alike.

    Attributes:
        operation: its name, or `module:function`.
        dtype, out_dtype: formats of operands and result.
        device: where it ran.
        cases: the circumstances.
        verdict: how sure it is.
        reason: why it is not a better one.
        computation: what was found; None where it is not resolvable.
        certificate: its replay; None without one.
        alike: whether all elements of a result compute alike.
        signature: of the bits of its sums of seeded numbers.
        class_: `A`, `B`, …: which of the classes of this operation and format.
        class_count: how many there are.
        questions: that were asked.
        seconds: that took.
    """

    operation: str
    dtype: str
    out_dtype: str | None
    device: str
    cases: tuple[Case, ...]
    verdict: Verdict
    reason: str | None
    computation: Computation | None
    certificate: Certificate | None
    alike: bool = True
    signature: str | None = None
    class_: str = "A"
    class_count: int = 1
    questions: int = 0
    seconds: float = 0.0

    @property
    def title(self) -> str:
        """Which row it is: `linear in float32, 1x32x64`."""
        more = f" and {len(self.cases) - 1:,} more" if len(self.cases) > 1 else ""
        return f"{self.operation} in {self.dtype}, {self.cases[0].size.text}{more}"

    def identity(self) -> dict[str, JsonValue]:
        """What tells this row from others."""
        return {
            "operation": self.operation,
            "dtype": self.dtype,
            "device": self.device,
            "class": self.class_,
        }

    @once
    def shape(self) -> SumShape | None:
        """Its order as a structure; None of an exact sum, and where there is none."""
        tree = None if self.computation is None else self.computation.tree
        return None if tree is None else SumShape(tree)

    @property
    def order(self) -> str | None:
        """Its order in a few words; None where it is not known."""
        if self.computation is None:
            return None
        order = EXACT_SUM if self.shape is None else self.shape.order
        return f"{order}, compensated" if self.computation.compensated else order

    @property
    def accumulator(self) -> str | None:
        """What keeps the sum: a format's name, or how many bits it has; None where not known."""
        found = self.computation
        if found is None or (found.tree is not None and not found.known):
            return None
        if found.tree is None:
            return EXACT_SUM
        bits = max(found.known) - found.compensated
        return _PRECISIONS.get(bits, f"{bits + 1} bits")

    @property
    def partial(self) -> str | None:
        """What partial sums are rounded to, where that is less than the accumulator keeps."""
        found = self.computation
        if found is None or len(set(found.known)) < 2:
            return None
        bits = min(found.known)
        return _PRECISIONS.get(bits, f"{bits + 1} bits")

    @property
    def extra_bits(self) -> int | None:
        """Bits that wide adders align operands with, beyond those they keep."""
        found = self.computation
        if found is None or not found.inner or not found.known:
            return None
        return min(found.inner.values()) - max(found.known)

    @property
    def fingerprint(self) -> str | None:
        """Twelve digits of all that was found and of the bits it is based on."""
        if self.signature is None:
            return None
        inside = None if self.computation is None else self.computation.fingerprint
        return digest([inside, self.signature, self.out_dtype, self.alike])

    def numbers(self) -> Mapping[str, Fraction | int | None]:
        """A number for each of NUMBERS."""
        found = self.computation
        known = [] if found is None else found.known
        tree = None if found is None else found.tree
        subnormals = Subnormals() if found is None else found.subnormals
        kept = (subnormals.input, subnormals.product, subnormals.output)
        return {
            "uncertified": int(self.verdict is not Verdict.CERTIFIED),
            "varying": int(self.verdict is Verdict.VARIES),
            "class_count": self.class_count,
            "depth": None if tree is None else tree.depth,
            "kept_bits": max(known, default=None),
            "least_kept_bits": min(known, default=None),
            "input_bits": min((i.bits for i in found.inputs), default=None) if found else None,
            "flushed": int(False in kept),
            "unlike_elements": int(not self.alike),
        }

    def entry(self) -> dict[str, JsonValue]:
        """Its entry in the JSON document."""
        found = self.computation
        return {
            "operation": self.operation,
            "dtype": self.dtype,
            "out_dtype": self.out_dtype,
            "device": self.device,
            "class": self.class_,
            "class_count": self.class_count,
            "cases": [case.to_dict() for case in self.cases],
            "verdict": self.verdict.value,
            "reason": self.reason,
            "certificate": to_json(self.certificate),
            "fingerprint": self.fingerprint,
            "signature": self.signature,
            "elements_alike": self.alike,
            "order": None if found is None else self._order(found),
            "accumulator": None if found is None else self._accumulator(found),
            "products": None if found is None else found.products,
            "fused_leaf_count": None if found is None else sum(found.whole),
            "input_bits": None if found is None else to_json(found.inputs),
            "subnormals": None if found is None else to_json(found.subnormals),
            "probes": {"questions": self.questions, "seconds": self.seconds},
        }

    def _order(self, found: Computation) -> dict[str, JsonValue]:
        tree, shape = found.tree, self.shape
        return {
            "class": self.order,
            "leaf_count": found.leaf_count,
            "depth": None if tree is None else tree.depth,
            "widest_addition": None if tree is None else tree.widest,
            "formula": None if shape is None else [line.text for line in shape.formula()],
            "steps": None if tree is None else to_json(tree.steps),
        }

    def _accumulator(self, found: Computation) -> dict[str, JsonValue]:
        return {
            "name": self.accumulator,
            "partial_sums": self.partial,
            "kept_bits": max(found.known, default=None),
            "least_kept_bits": min(found.known, default=None),
            "kept_bits_by_step": list(found.kept),
            "extra_bits": self.extra_bits,
            "rounding": to_json(found.rounding),
            "result_rounding": to_json(found.result_rounding),
            "compensated": found.compensated,
            "positive_zero": found.positive_zero,
            "gain": found.gain,
        }


@dataclass(frozen=True, repr=False)
class RevealReport(Report):
    """How operations add up here.

    Attributes:
        rows: one for each operation, format and class of circumstances.
        details: what decides how this machine adds.
        seed: of the numbers of certificates.
        trees: whether orders are to be shown in full.
        unchecked: a line for what was asked for by name and is not offered here.
        absent: operation and format -> why torch has not got it, of a survey.
        complete: whether nothing was left out; not if interrupted.
        checks: what was asked of every row.
        changes: beside an older report; None without one.
    """

    schema: ClassVar[str] = "fpx.reveal/1"

    rows: tuple[RevealRow, ...]
    details: RevealEnvironment
    trees: bool = False
    unchecked: tuple[str, ...] = ()
    absent: tuple[tuple[str, str, str], ...] = ()
    complete: bool = True
    checks: tuple[Limit, ...] = ()
    changes: Changes | None = None

    def parts(self) -> tuple[RevealRow, ...]:
        """The rows."""
        return self.rows

    def results(self) -> list[dict[str, JsonValue]]:
        """One entry per row."""
        return [row.entry() for row in self.rows]

    def table(self) -> Table:
        """One row for each of `rows`, without the steps of its tree."""
        return table_of(
            (
                entry | {"cases": [str(case.columns()) for case in row.cases][:1]}
                for row, entry in zip(self.rows, self.results(), strict=True)
            ),
            leave_out=("cases", "order.steps", "order.formula", "accumulator.kept_bits_by_step"),
        )

    def environment(self) -> dict[str, JsonValue]:
        """What decides how this machine adds."""
        return self.details.to_dict()

    def beside(self) -> dict[str, JsonValue]:
        """What is not offered, what changed, and the checks."""
        return {
            "complete": self.complete,
            "unchecked": list(self.unchecked),
            "absent": [
                {"operation": operation, "dtype": dtype, "reason": why}
                for operation, dtype, why in self.absent
            ],
            "against": None if self.changes is None else self.changes.to_dict(),
            **gate(self.checks, self.failures()),
        }

    def failures(self) -> Sequence[Failure[RevealRow]]:
        """The rows that fail one of `checks`."""
        return failures(self.rows, self.checks)

    def against(self, older: Changes) -> RevealReport:
        """This report beside what changed since an older one."""
        return replace(self, changes=older)
