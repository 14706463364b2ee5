"""Weights and a step of one size: which of them it cannot move, in some formats."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING

from fpx.casts.device import find_device
from fpx.casts.environment import environment
from fpx.core.formats import FORMATS
from fpx.core.literals import to_literal
from fpx.core.numbers import as_fraction, as_number
from fpx.core.policy import Stochastic
from fpx.core.spec import FormatSpec
from fpx.errors import InputError
from fpx.report.limits import Limit
from fpx.report.step_compare import StepReport
from fpx.report.step_rows import STILL_RATE, StepRow
from fpx.report.totals import TOTAL, common
from fpx.tensors.opening import open_all
from fpx.tensors.progress import Progress, Silent
from fpx.training.given_step import counted, name_of_type, step_row
from fpx.training.sources import weights_in
from fpx.training.steps import Counts, check_steps
from fpx.training.tasks import Tasks
from fpx.words import quoted

if TYPE_CHECKING:
    from fpx.ranks.team import Team


_LARGEST = FORMATS["float64"].max_finite.fraction


def step_length(value: object) -> Fraction:
    """The step that somebody wrote, as `core.literals` reads numbers.

    Raises:
        InputError: not a finite number, or a negative one.
    """
    literal = to_literal(value)
    number = as_number(literal, FORMATS["float64"])
    found = None if number is None else as_fraction(number)
    if found is None or not 0 <= found <= _LARGEST:
        raise InputError(f"`lr` must be a finite number, 0 or more, not {quoted(str(value))}")
    return found


def by_step(
    sources: Sequence[object],
    step: Fraction,
    targets: Iterable[FormatSpec],
    *,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    still_rate: float = STILL_RATE,
    rounding: Stochastic | None = None,
    checks: Sequence[Limit] = (),
    progress: Progress | None = None,
    keep_partial: bool = False,
    team: Team | None = None,
) -> StepReport:
    """What a step of one size does to the weights of every tensor, in each of some formats.

    Args:
        sources: what `fpx.tensors.opening.open_all` takes, distributions aside.
        step: at least 0; added and subtracted.
        targets: formats with a sign and a zero.
        include, exclude: patterns of tensor names, see `fpx.tensors.select`.
        still_rate: share of unmoved weights from which on a tensor stands still, 0 to 1.
        rounding: of the sums, to say what is to be expected of it; None is to nearest alone.
        checks: what is asked of every row.
        progress: hears how far the work is.
        keep_partial: whether a KeyboardInterrupt ends the work with a report on the tensors that
            were done, marked `partial`.
        team: the processes that share the work, see `fpx.training.step_compare`.

    Raises:
        HandedOverError: of a team, this is not rank 0, which has the report.
        InputError: the only source cannot be read, or an argument is off. Of several sources, a bad
            one becomes a line of the report's `errors`.
    """
    specs = list(dict.fromkeys(targets))
    for spec in specs:
        check_steps(spec)
    spread = None if team is None else team.spread
    opened, left = weights_in(open_all(sources, include, exclude, spread=spread))
    work = [(source.name, entry) for source in opened.sources for entry in source.entries]
    rows: list[StepRow] = []
    errors = list(opened.errors)
    whole = [Counts(spec) for spec in specs]
    types: dict[str, None] = {}
    tasks = Tasks(
        [[entry] for _, entry in work],
        lambda _, entries, progress: counted(entries[0], specs, progress),
        progress or Silent(), keep_partial=keep_partial, team=team,
    )  # fmt: skip
    for number, found in tasks:
        name, entry = work[number]
        if isinstance(found, InputError):
            if len(sources) == len(work) == 1:
                raise found
            errors.append(str(found))
            continue
        types[name_of_type(entry)] = None
        for counts, total in zip(found, whole, strict=True):
            total.add(counts)
            rows.append(
                step_row(name, entry.name, name_of_type(entry), counts, step, still_rate, rounding)
            )
    from_ = common(types)
    return StepReport(
        rows=tuple(rows),
        totals=tuple(
            step_row(TOTAL, TOTAL, from_, total, step, still_rate, rounding)
            for total in whole
            if rows
        ),
        details=environment([find_device("cpu")]),
        asked={
            "step": float(step),
            "still_rate": still_rate,
            "rounding": None if rounding is None else rounding.value,
        },
        errors=tuple(errors),
        notes=(*opened.notes, *left),
        partial=tasks.partial,
        checks=tuple(checks),
    )
