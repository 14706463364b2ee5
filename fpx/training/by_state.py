"""A checkpoint with an optimizer's state: which updates move weights, which state survives."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from fpx.casts.device import find_device
from fpx.casts.environment import environment
from fpx.core.policy import Stochastic
from fpx.core.scaling import ScaledFormat
from fpx.core.spec import FormatSpec
from fpx.core.targets import Target
from fpx.errors import InputError
from fpx.patterns import matcher
from fpx.report.limits import Limit
from fpx.report.step_compare import StepReport
from fpx.report.step_rows import STILL_RATE
from fpx.tensors.entry import Source
from fpx.tensors.opening import Opened, open_all
from fpx.tensors.progress import Progress, Silent
from fpx.tensors.types import IntegerType
from fpx.training.pairing import Pair, Weight, paired
from fpx.training.state_work import StateWork
from fpx.training.states import OptimizerState, optimizers_in
from fpx.training.steps import check_steps
from fpx.training.tasks import Tasks
from fpx.words import quoted_path

if TYPE_CHECKING:
    from fpx.ranks.team import Team
    from fpx.tensors.files.opening import Spread

_OPTIMIZER_FILES = ("optimizer.pt", "optimizer.bin")
"""What Hugging Face's Trainer and Accelerate call it, beside the model's files."""


def by_state(
    source: object,
    weights_to: Iterable[FormatSpec] = (),
    states_to: Iterable[Target] = (),
    *,
    model: object | None = None,
    chosen: str | None = None,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    still_rate: float = STILL_RATE,
    rounding: Stochastic | None = None,
    checks: Sequence[Limit] = (),
    progress: Progress | None = None,
    keep_partial: bool = False,
    team: Team | None = None,
) -> StepReport:
    """What the updates of an optimizer do to weights, and what becomes of its state.

    Args:
        source: a checkpoint, of what `fpx.tensors.opening.open_all` takes; of a directory, the
            optimizer's file in it is read too.
        weights_to: formats of the weights, with a sign and a zero.
        states_to: formats of the moments, which may have scales; plain ones with a sign and a zero.
        model: where the weights are, if not in the same checkpoint.
        chosen: one of `fpx.training.settings.NAMES`, where the checkpoint does not tell.
        include, exclude: patterns of the names of parameters.
        still_rate: share of unmoved weights, or stuck moments, that is too much, 0 to 1.
        rounding: of the sums, to say what is to be expected of it; None is to nearest alone.
        checks: what is asked of every row.
        progress: hears how far the work is.
        keep_partial: whether a KeyboardInterrupt ends the work with a report on the parameters that
            were done, marked `partial`.
        team: the processes that share the work, see `fpx.training.step_compare`.

    Raises:
        HandedOverError: of a team, this is not rank 0, which has the report.
        InputError: the checkpoint cannot be read or has no state of which an update is known, or an
            argument is off.
    """
    weights, states = list(dict.fromkeys(weights_to)), list(dict.fromkeys(states_to))
    for target in (*weights, *states):
        if isinstance(target, FormatSpec):
            check_steps(target)
    spread = None if team is None else team.spread
    opened = _with_optimizer(source, spread)
    beside = None if model is None else open_all([model], spread=spread)
    optimizers = [each for item in opened.sources for each in optimizers_in(item)]
    if not any(each.parameters for each in optimizers):
        name = source if isinstance(source, str) else opened.sources[0].name
        raise InputError(
            f"{quoted_path(name)} has no optimizer's state (state.KEY.exp_avg or "
            "momentum_buffer): name a checkpoint with one, or give `lr`"
        )
    work = StateWork(weights, states, chosen, still_rate, rounding)
    held = _weights((opened if beside is None else beside).sources, optimizers)
    pairs = _chosen([p for o in optimizers for p in _pairs(o, held)], include, exclude)
    parameters = [each for pair in pairs if (each := work.known(*pair)) is not None]
    if not parameters:
        first = work.unpaired[0]
        raise InputError(f"{quoted_path(first.source)}: {first.tensor}: {first.why}")
    tasks = Tasks(
        [parameter.entries for parameter in parameters],
        lambda number, entries, progress: [work.count(parameters[number], entries, progress)],
        progress or Silent(), keep_partial=keep_partial, team=team,
        uncut=any(isinstance(target, ScaledFormat) for target in states),
    )  # fmt: skip
    errors: list[str] = []
    for number, found in tasks:
        if isinstance(found, InputError):
            errors.append(str(found))
        else:
            work.add(parameters[number], found[0])
    both = (opened,) if beside is None else (opened, beside)
    return StepReport(
        rows=tuple(work.rows),
        totals=tuple(work.totals()) if work.rows else (),
        details=environment([find_device("cpu")]),
        asked={
            "still_rate": still_rate,
            "rounding": None if rounding is None else rounding.value,
        },
        errors=tuple(error for each in both for error in each.errors) + tuple(errors),
        notes=tuple(note for each in both for note in each.notes) + work.notes(),
        partial=tasks.partial,
        checks=tuple(checks),
        optimizers=tuple(work.found()),
        decays=tuple(work.decays()),
        unpaired=tuple(work.unpaired),
    )


def _with_optimizer(source: object, spread: Spread | None) -> Opened:
    """A checkpoint; of a directory, with the optimizer's file that is in it.

    Raises:
        InputError: it cannot be read.
    """
    found = open_all([source], spread=spread)
    folder = Path(source) if isinstance(source, str) else None
    if folder is None or not folder.is_dir():
        return found
    names = {Path(each.name).name for each in found.sources}
    beside = [
        str(folder / name)
        for name in _OPTIMIZER_FILES
        if name not in names and (folder / name).is_file()
    ]
    return open_all([source, *beside], spread=spread) if beside else found


def _weights(sources: Sequence[Source], optimizers: Sequence[OptimizerState]) -> list[Weight]:
    """The tensors that may be weights."""
    of_states = {id(entry) for optimizer in optimizers for entry in optimizer.entries}
    return [
        Weight(source, entry)
        for source in sources
        for entry in source.entries
        if id(entry) not in of_states and not isinstance(entry.type, IntegerType)
    ]


def _pairs(
    optimizer: OptimizerState, weights: Sequence[Weight]
) -> list[tuple[OptimizerState, Pair]]:
    return [(optimizer, pair) for pair in paired(optimizer, weights)]


def _chosen(
    pairs: Sequence[tuple[OptimizerState, Pair]], include: Sequence[str], exclude: Sequence[str]
) -> list[tuple[OptimizerState, Pair]]:
    """The parameters whose names match.

    Raises:
        InputError: none does.
    """
    wanted, unwanted = [list(map(matcher, patterns)) for patterns in (include, exclude)]
    left = [
        (optimizer, pair)
        for optimizer, pair in pairs
        if (not wanted or any(test(pair.name) for test in wanted))
        and not any(test(pair.name) for test in unwanted)
    ]
    if not left:
        raise InputError(
            f"none of the {len(pairs):,} parameters is left: check `include` and `exclude`"
        )
    return left
