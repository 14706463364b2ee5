"""The report of `fpx step-compare`: what updates and states become in other formats."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

from fpx.core.formats import FORMATS
from fpx.core.targets import Target, asked_targets
from fpx.errors import InputError
from fpx.report.base import JsonValue, to_json
from fpx.report.checks import Failure, gate
from fpx.report.environment import Environment
from fpx.report.gates.baseline import Baseline, Comparison, NotWorse
from fpx.report.gates.step_changes import OldStep, excuses_limit
from fpx.report.limits import Limit, parse_limit
from fpx.report.measured import MeasuredReport
from fpx.report.step_answers import answer
from fpx.report.step_rows import ROWS, StepRow

TARGETS = ("bfloat16", "float16")
"""The formats of weights where nobody chose."""


STEPPABLE = tuple(
    spec
    for spec in FORMATS.values()
    if spec.signed and spec.zero and FORMATS["float64"].holds(spec)
)
"""The listed formats that weights can be kept in: what `all` means."""


NUMBERS = tuple(dict.fromkeys(name for row in ROWS for name in (*row.measured, *row.flags)))
"""What `--fail-if` may be about; a flag is 1 where it is raised."""


def conditions(texts: Iterable[str]) -> list[Limit]:
    """The conditions that some texts mean.

    Raises:
        InputError: one is none, or on no number of a row.
    """
    return [parse_limit(text, NUMBERS, ("stands_still", "unmoved_rate>0.9")) for text in texts]


def state_targets(
    names: str | Target | Iterable[str | Target],
    *,
    scale: str | None = None,
    scale_format: str | None = None,
    scale_rule: Iterable[str] = (),
) -> list[Target]:
    """The formats of an optimizer's state, see `fpx.core.blocks.asked_targets`.

    Raises:
        InputError: as that does, or there are scales and no formats.
    """
    each = list(names) if isinstance(names, Iterable) and not isinstance(names, str) else [names]
    rules = list(scale_rule)
    given = {"scale": scale, "scale_format": scale_format, "scale_rule": rules}
    wrong = next((name for name, value in given.items() if value), None)
    if not each and wrong:
        raise InputError(f"`{wrong}` is for an optimizer's state: `state_to`")
    if not each:
        return []
    return asked_targets(each, STEPPABLE, scale=scale, scale_format=scale_format, scale_rule=rules)


@dataclass(frozen=True)
class Decay:
    """How many values of a format a factor below 1 cannot make smaller.

    Attributes:
        to: the format.
        moment: the moment that is multiplied with it, as the optimizer calls it.
        beta: the factor.
        stuck_count, normal_count: of its positive normal values, those that stay what they are, and
            all.
    """

    to: str
    moment: str
    beta: float
    stuck_count: int
    normal_count: int


@dataclass(frozen=True)
class OptimizerFound:
    """Parameters of an optimizer that share their settings.

    Attributes:
        source: where it is.
        optimizer: which optimizer.
        settings: its numbers by name, such as `lr`; `step` is None where it counts none.
        parameters, elements: how many there are.
    """

    source: str
    optimizer: str
    settings: Mapping[str, float | int | bool | None]
    parameters: int
    elements: int


@dataclass(frozen=True)
class Unpaired:
    """A parameter of which something is not known.

    Attributes:
        source, tensor: which parameter.
        missing: `weight`, or `update` where nothing can be said of its state either.
        why: in words.
    """

    source: str
    tensor: str
    missing: str
    why: str


@dataclass(frozen=True)
class BestVerdict:
    """The check that a row has the best verdict that its kind may have."""

    text = "verdict"

    def value(self, row: StepRow) -> str:
        """The verdict."""
        return str(row.verdict.value)

    def fails(self, row: StepRow) -> bool:
        """Whether there is a better one."""
        return row.verdict is not next(iter(row.verdicts))

    def reason(self, row: StepRow) -> str:
        """`the verdict is stands still`."""
        return f"the verdict is {row.verdict.value}"

    def to_dict(self) -> dict[str, JsonValue]:
        """Its one part."""
        return {"check": self.text}


@dataclass(frozen=True, eq=False, repr=False)
class StepReport(MeasuredReport):
    """What training would do in other formats.

    Attributes:
        rows: in the order of the sources.
        totals: one per target over all tensors.
        details: what produced the numbers.
        asked: what was asked: the step, the rates, by the name of the option.
        errors: one line per source or tensor that could not be read.
        notes: what else there is to say, a line each.
        partial: whether the work was interrupted: the tensors that follow are missing.
        checks: what was asked of every row.
        optimizers: whose updates they are, one for each of its settings.
        decays: of moments in formats, how many values of those cannot decay.
        unpaired: parameters of which the weight, or everything, is unknown.
        baseline: an older report: only what got worse since then fails.
    """

    schema: ClassVar[str] = "fpx.step-compare/1"

    rows: tuple[StepRow, ...]
    totals: tuple[StepRow, ...]
    details: Environment
    asked: Mapping[str, JsonValue]
    errors: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    partial: bool = False
    checks: tuple[Limit, ...] = ()
    optimizers: tuple[OptimizerFound, ...] = ()
    decays: tuple[Decay, ...] = ()
    unpaired: tuple[Unpaired, ...] = ()
    baseline: Comparison | None = None

    def beside(self) -> dict[str, JsonValue]:
        """What was asked, answers, totals, errors, notes, checks and failures."""
        return {
            "asked": to_json(self.asked),
            "answers": [answer(total) for total in self.totals],
            "totals": [row.to_dict() for row in self.totals],
            "optimizers": to_json(self.optimizers),
            "decays": to_json(self.decays),
            "unpaired": to_json(self.unpaired),
            "errors": list(self.errors),
            "notes": list(self.notes),
            "partial": self.partial,
            **gate(self.checks, self.failures()),
            "baseline": None if self.baseline is None else self.baseline.to_dict(),
            "unchecked": list(self.unchecked),
        }

    def about(self) -> str:
        """Which kinds of rows."""
        return ", ".join(dict.fromkeys(row.kind for row in self.rows))

    def worst_first(self) -> list[StepRow]:
        """The rows, the worst first."""
        return sorted(self.rows, key=lambda row: row.badness())

    def since(self, older: Baseline) -> StepReport:
        """This report beside an older one.

        Raises:
            InputError: they are about different questions.
        """
        asked = {**self.environment(), **self.asked}
        return replace(self, baseline=older.compared(self.parts(), asked))

    def failures(self) -> list[Failure[StepRow]]:
        """The rows that meet a condition, the worst first.

        With a baseline those that did not meet it there, or were better; without conditions then
        those that got worse, or are new and have not the best verdict.
        """
        if self.baseline is not None and not self.checks:
            return NotWorse(self.baseline, BestVerdict()).failures(self.worst_first())
        return [
            found
            for check in self.checks
            for row in self._with(check)
            if check.fails(row) and (found := self._failure(check, row)) is not None
        ]

    def _failure(self, check: Limit, row: StepRow) -> Failure[StepRow] | None:
        """The failure of a condition; None where the baseline excuses it."""
        old = None if self.baseline is None else self.baseline.old_row(row)
        if not isinstance(old, OldStep) or check.name not in old.numbers():
            return Failure(row, check, check.value(row))
        if excuses_limit(check, old, row):
            return None
        return Failure(row, check, check.value(row), check.value(old))

    def _with(self, check: Limit) -> list[StepRow]:
        """The rows of a kind that has what a condition is about."""
        return [row for row in self.worst_first() if check.name in row.numbers()]

    @property
    def unchecked(self) -> tuple[str, ...]:
        """A line for each condition on what no row has; `errors` are said instead."""
        if self.errors:
            return ()
        return tuple(
            f"{check.text}: not checked, no row has a {check.name}"
            for check in self.checks
            if not self._with(check)
        )
