"""Two checkpoints, tensor by tensor: both are read block by block, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from fpx.casts.device import find_device
from fpx.casts.environment import environment
from fpx.errors import InputError
from fpx.measure.diff_ranks import SharedWork
from fpx.measure.diff_rows import Work
from fpx.measure.matching import Found, by_name, is_nameless
from fpx.measure.shares import STDIN
from fpx.report.diff import DiffReport, Unchanged
from fpx.tensors.entry import COMPLEX_NOTE, NO_TENSORS, Source
from fpx.tensors.opening import holds_nowhere, open_all
from fpx.tensors.progress import Progress, Silent
from fpx.tensors.quantised.group import REMARKS
from fpx.words import listed, quoted

if TYPE_CHECKING:
    from fpx.ranks.team import Team

BLOCK = 1 << 17
"""Elements that are compared at a time."""

_STDIN = "-"


def diff(
    a: object,
    b: object,
    *,
    tolerance_ulp: int = 0,
    allow_renamed: bool = False,
    strip_prefix: Sequence[str] = (),
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    stored: bool = False,
    as_: Sequence[str] = (),
    progress: Progress | None = None,
    keep_partial: bool = False,
    block: int = BLOCK,
    team: Team | None = None,
) -> DiffReport:
    """Compares the tensors of two sources.

    Tensors of the same name are compared; if each source is one array without a name of its own,
    those two are. What has no namesake is looked for by its content.

    Args:
        a, b: each what `fpx.tensors.opening.open_all` takes, distributions aside.
        tolerance_ulp: codes that values may be apart.
        allow_renamed: whether tensors that have only got another name pass.
        strip_prefix: beginnings of names, such as `model.`, that mean nothing.
        include, exclude: patterns of tensor names, see `fpx.tensors.select`.
        stored: whether quantised weights stay as they are stored, codes and scales.
        as_: how quantised weights are stored, see `fpx.tensors.quantised.told`.
        progress: hears how far the work is.
        keep_partial: whether a KeyboardInterrupt ends the work with a report on what was done so
            far, marked `partial`.
        block: elements to compare at a time.
        team: the processes that share the work, of which all call this with the same arguments,
            `progress` aside.

    Raises:
        HandedOverError: of a team, this is not rank 0, which has the report.
        InputError: a source cannot be read, the two have nothing in common, or an argument is off.
    """
    if tolerance_ulp < 0:
        raise InputError(f"`tolerance_ulp` must be at least 0, not {tolerance_ulp}")
    stdin = [isinstance(source, str) and source == _STDIN for source in (a, b)]
    if all(stdin):
        raise InputError("stdin holds one array: only one of the two can be -")
    if any(stdin) and team is not None:
        raise InputError(STDIN)
    spread = None if team is None else team.spread
    sides = [
        open_all([source], include, exclude, stored=stored, as_=as_, elsewhere=True, spread=spread)
        for source in (a, b)
    ]
    strange = holds_nowhere(*sides)
    if strange is not None:
        raise InputError(strange)
    first, second = (by_name(side.sources, strip_prefix) for side in sides)
    if len(first) == len(second) == 1 and any(is_nameless(side.sources) for side in sides):
        second = dict(zip(first, second.values(), strict=True))
    check = Unchanged(tolerance_ulp, allow_renamed)
    progress = progress or Silent()
    errors = [error for side in sides for error in side.errors]
    work = (
        Work(check, progress, block, errors, twice=not any(stdin))
        if team is None
        else SharedWork(check, progress, block, errors, team=team)
    )
    partial = False
    try:
        work.run(first, second)
    except KeyboardInterrupt:
        if not keep_partial:
            raise
        partial = True
    if not partial and all(row.a is None or row.b is None for row in work.rows):
        raise InputError(
            f"nothing in common: A has {_some(first)}, B has {_some(second)}, and no two have the "
            "same name or content"
        )
    notes = tuple(note for side in sides for note in side.notes)
    return DiffReport(
        rows=tuple(work.rows),
        a=_called(sides[0].sources, a),
        b=_called(sides[1].sources, b),
        check=work.check,
        details=environment([find_device("cpu")]),
        errors=tuple(work.errors),
        notes=notes,
        passed_over=sum(not note.endswith((COMPLEX_NOTE, NO_TENSORS, *REMARKS)) for note in notes),
        partial=partial,
    )


def _some(found: dict[str, Found]) -> str:
    return listed((quoted(item.entry.name) for item in found.values()), 3)


def _called(sources: Sequence[Source], asked: object) -> str:
    """What a side is called: as the user did, where that is a name."""
    if len(sources) == 1:
        return sources[0].name
    return str(asked)
