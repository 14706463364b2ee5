"""A checkpoint with an optimizer's state: which updates move weights, which state survives."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import prod
from pathlib import Path

from fpx.casts.device import find_device
from fpx.casts.environment import environment
from fpx.core.policy import Stochastic
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
from fpx.words import quoted

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

    Raises:
        InputError: the checkpoint cannot be read or has no state of which an update is known, or an
            argument is off.
    """
    weights, states = list(dict.fromkeys(weights_to)), list(dict.fromkeys(states_to))
    for target in (*weights, *states):
        if isinstance(target, FormatSpec):
            check_steps(target)
    opened = _with_optimizer(source)
    beside = None if model is None else open_all([model])
    optimizers = [each for item in opened.sources for each in optimizers_in(item)]
    if not any(each.parameters for each in optimizers):
        raise InputError(
            f"{quoted(opened.sources[0].name)} has no optimizer's state (state.KEY.exp_avg or "
            "momentum_buffer): name a checkpoint with one, or give `lr`"
        )
    work = StateWork(weights, states, chosen, still_rate, rounding)
    held = _weights((opened if beside is None else beside).sources, optimizers)
    pairs = _chosen([p for o in optimizers for p in _pairs(o, held)], include, exclude)
    progress = progress or Silent()
    progress.start(sum(prod(pair.state.shape or (0,)) for _, pair in pairs))
    partial = False
    try:
        for optimizer, pair in pairs:
            work.take(optimizer, pair, progress)
    except KeyboardInterrupt:
        if not keep_partial:
            raise
        partial = True
    if not work.rows and not partial and work.unpaired:
        first = work.unpaired[0]
        raise InputError(f"{quoted(first.source)}: {first.tensor}: {first.why}")
    both = (opened,) if beside is None else (opened, beside)
    return StepReport(
        rows=tuple(work.rows),
        totals=tuple(work.totals()) if work.rows else (),
        details=environment([find_device("cpu")]),
        asked={
            "still_rate": still_rate,
            "rounding": None if rounding is None else rounding.value,
        },
        errors=tuple(error for each in both for error in each.errors) + tuple(work.errors),
        notes=tuple(note for each in both for note in each.notes) + work.notes(),
        partial=partial,
        checks=tuple(checks),
        optimizers=tuple(work.found()),
        decays=tuple(work.decays()),
        unpaired=tuple(work.unpaired),
    )


def _with_optimizer(source: object) -> Opened:
    """A checkpoint; of a directory, with the optimizer's file that is in it.

    Raises:
        InputError: it cannot be read.
    """
    found = open_all([source])
    folder = Path(source) if isinstance(source, str) else None
    if folder is None or not folder.is_dir():
        return found
    names = {Path(each.name).name for each in found.sources}
    beside = [
        str(folder / name)
        for name in _OPTIMIZER_FILES
        if name not in names and (folder / name).is_file()
    ]
    return open_all([source, *beside]) if beside else found


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
