"""Two checkpoints of one training: which codes moved between them, in some formats."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from fpx.casts.device import find_device
from fpx.casts.environment import environment
from fpx.core.spec import FormatSpec
from fpx.errors import InputError
from fpx.measure.matching import Found, by_name, is_nameless
from fpx.report.limits import Limit
from fpx.report.step_compare import StepReport
from fpx.report.step_rows import STILL_RATE, ChangeRow
from fpx.report.totals import TOTAL, common
from fpx.tensors.opening import open_all
from fpx.tensors.progress import Progress, Silent
from fpx.training.changes import Changed, changed
from fpx.training.sources import weights_in
from fpx.training.steps import check_steps
from fpx.training.tasks import Tasks
from fpx.words import escape, listed, quoted

if TYPE_CHECKING:
    from fpx.ranks.team import Team


def by_change(
    before: object,
    after: object,
    targets: Iterable[FormatSpec],
    *,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    still_rate: float = STILL_RATE,
    checks: Sequence[Limit] = (),
    progress: Progress | None = None,
    keep_partial: bool = False,
    team: Team | None = None,
) -> StepReport:
    """What became of the weights of one checkpoint in another one.

    Args:
        before, after: each what `fpx.tensors.opening.open_all` takes, distributions aside.
        targets: formats with a sign and a zero, to which both are rounded.
        include, exclude: patterns of tensor names, see `fpx.tensors.select`.
        still_rate: share of unmoved weights from which on a tensor stands still, 0 to 1.
        checks: what is asked of every row.
        progress: hears how far the work is.
        keep_partial: whether a KeyboardInterrupt ends the work with a report on the tensors that
            were done, marked `partial`.
        team: the processes that share the work, see `fpx.training.step_compare`.

    Raises:
        HandedOverError: of a team, this is not rank 0, which has the report.
        InputError: one cannot be read, they have no weights in common, or an argument is off.
    """
    specs = list(dict.fromkeys(targets))
    for spec in specs:
        check_steps(spec)
    spread = None if team is None else team.spread
    sides = [
        weights_in(open_all([source], include, exclude, spread=spread))
        for source in (before, after)
    ]
    first, second = (by_name(opened.sources) for opened, _ in sides)
    if len(first) == len(second) == 1 and any(is_nameless(side.sources) for side, _ in sides):
        second = dict(zip(first, second.values(), strict=True))
    pairs = {
        name: (old, second[name])
        for name, old in first.items()
        if name in second and old.entry.shape == second[name].entry.shape
    }
    if not pairs:
        raise InputError(
            "nothing in common: no weight before and after has the same name and shape"
        )
    rows: list[ChangeRow] = []
    errors = [error for opened, _ in sides for error in opened.errors]
    totals = [Changed(spec) for spec in specs]
    types: set[str] = set()
    work = list(pairs.items())
    tasks = Tasks(
        [[old.entry, new.entry] for old, new in pairs.values()],
        lambda _, entries, progress: changed(entries[0], entries[1], specs, progress),
        progress or Silent(), keep_partial=keep_partial, team=team,
    )  # fmt: skip
    for number, found in tasks:
        name, (old, new) = work[number]
        if isinstance(found, InputError):
            if len(pairs) == 1:
                raise found
            errors.append(str(found))
            continue
        from_ = old.entry.type.name
        types.add(from_)
        for each, total in zip(found, totals, strict=True):
            total.add(each)
            rows.append(_row(new.source, name, from_, each, still_rate))
    return StepReport(
        rows=tuple(rows),
        totals=tuple(
            _total([row for row in rows if row.to == total.spec.name], common(types), total)
            for total in totals
            if rows
        ),
        details=environment([find_device("cpu")]),
        asked={"still_rate": still_rate},
        errors=tuple(errors),
        notes=(
            *(note for opened, left in sides for note in (*opened.notes, *left)),
            *_left_out(first, second, pairs),
        ),
        partial=tasks.partial,
        checks=tuple(checks),
    )


def _row(source: str, tensor: str, from_: str, found: Changed, still_rate: float) -> ChangeRow:
    delta = found.delta()
    return ChangeRow(
        source, tensor, from_, found.spec.name,
        count=found.count, unmoved_count=found.count - found.moved, lost_count=found.lost,
        special_count=found.special, zero_sign_count=found.zero_sign,
        distances=dict(sorted(found.distances.items())), max_distance=found.furthest,
        change_bytes=delta.size, change_form=delta.form, whole_bytes=delta.whole,
        still_rate=still_rate,
    )  # fmt: skip


def _total(rows: Sequence[ChangeRow], from_: str, found: Changed) -> ChangeRow:
    """The row over all tensors, each of whose changes is told in its own way."""
    forms = {row.change_form for row in rows}
    return replace(
        _row(TOTAL, TOTAL, from_, found, rows[0].still_rate),
        change_bytes=sum(row.change_bytes for row in rows),
        change_form=common(forms),
        whole_bytes=sum(row.whole_bytes for row in rows),
    )


def _left_out(
    first: dict[str, Found], second: dict[str, Found], pairs: dict[str, tuple[Found, Found]]
) -> list[str]:
    """A line on weights that one of the two alone has, or has in another shape."""
    said = (
        ("before alone", [name for name in first if name not in second]),
        ("after alone", [name for name in second if name not in first]),
        ("of another shape after", [n for n in first if n in second and n not in pairs]),
    )
    return [escape(f"{where}: {listed(map(quoted, names), 3)}") for where, names in said if names]
