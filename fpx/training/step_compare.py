"""What training would do in other formats: of weights and a step, a checkpoint's state, or two."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from fpx.core.policy import Rounding
from fpx.core.spec import FormatSpec
from fpx.core.targets import Target, find_targets, without_scales
from fpx.errors import InputError
from fpx.measure.shares import STDIN
from fpx.report.limits import Limit
from fpx.report.step_compare import STEPPABLE, TARGETS, StepReport
from fpx.report.step_rows import STILL_RATE
from fpx.tensors.progress import Progress
from fpx.training.by_change import by_change
from fpx.training.by_state import by_state
from fpx.training.by_step import by_step, step_length
from fpx.training.chance import stochastic

if TYPE_CHECKING:
    from fpx.ranks.team import Team

_STDIN = "-"

Names = str | FormatSpec | Sequence[str | FormatSpec]
"""Formats by name, or one."""


def step_compare(
    sources: Sequence[object],
    *,
    lr: object = None,
    to: Names = (),
    weights_to: Names = (),
    states_to: Sequence[Target] = (),
    model: object = None,
    optimizer: str | None = None,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    still_rate: float = STILL_RATE,
    rounding: str = Rounding.TIES_TO_EVEN.value,
    checks: Sequence[Limit] = (),
    progress: Progress | None = None,
    keep_partial: bool = False,
    team: Team | None = None,
) -> StepReport:
    """One of three: `by_step` with a step, `by_state` with formats of those, else `by_change`.

    Args:
        sources: any number with a step, one with a state, and two that are before and after.
        lr: the length of a step.
        to: formats of weights, with a step or of a change; none means those of
            `fpx.report.step_compare.TARGETS`.
        weights_to: formats of weights that an optimizer's state moves.
        states_to: formats of that state.
        model, optimizer: `model` and `chosen` of `by_state`.
        rounding: of weights and updates, by name: to nearest, or stochastic as well.
        include, exclude, still_rate, checks, progress, keep_partial: as of those.
        team: the processes that share the work, of which all call this with the same arguments;
            what only rank 0 has use for aside: `progress`, `checks`.

    Raises:
        HandedOverError: of a team, this is not rank 0, which has the report.
        InputError: options do not go together, or as of those.
    """
    if not 0 <= still_rate <= 1:
        raise InputError(f"`still` must be from 0 to 1, not {still_rate:g}")
    if team is not None and _STDIN in (*sources, model):
        raise InputError(STDIN)
    random = stochastic(rounding)
    state = bool(weights_to or states_to)
    targets = without_scales(find_targets(to or TARGETS, STEPPABLE))
    _check(
        lr is not None, state,
        {"to": bool(to), "model": model is not None, "optimizer": optimizer is not None},
    )  # fmt: skip
    if lr is not None:
        return by_step(
            sources, step_length(lr), targets, include=include, exclude=exclude,
            still_rate=still_rate, rounding=random, checks=checks, progress=progress,
            keep_partial=keep_partial, team=team,
        )  # fmt: skip
    if state:
        if random is not None and not weights_to:
            raise InputError(
                "weights are what `rounding` is of: give `weights_to`, or leave it out"
            )
        if len(sources) != 1:
            raise InputError("give one checkpoint with a state; `model` may name its weights")
        return by_state(
            sources[0], without_scales(find_targets(weights_to, STEPPABLE)), states_to,
            model=model, chosen=optimizer, include=include, exclude=exclude,
            still_rate=still_rate, rounding=random, checks=checks, progress=progress,
            keep_partial=keep_partial, team=team,
        )  # fmt: skip
    if len(sources) != 2:
        raise InputError(
            "say what moves the weights: `lr` is a step of one size, `weights_to` and `state_to` "
            "take an optimizer's state in the checkpoint, and two checkpoints are before and after"
        )
    if random is not None:
        raise InputError("two checkpoints are there already: leave out `rounding`")
    before, after = sources
    return by_change(
        before, after, targets, include=include, exclude=exclude, still_rate=still_rate,
        checks=checks, progress=progress, keep_partial=keep_partial, team=team,
    )  # fmt: skip


def _check(step: bool, state: bool, given: dict[str, bool]) -> None:
    """Refuses options that mean nothing together.

    Raises:
        InputError: they do.
    """
    if step and state:
        raise InputError(
            "`lr` is a step of one size, `weights_to` and `state_to` take an optimizer's: choose"
        )
    if state and given["to"]:
        raise InputError("with an optimizer's state, write `weights_to` or `state_to`, not `to`")
    for name in ("model", "optimizer"):
        if given[name] and not state:
            raise InputError(f"`{name}` is for an optimizer's state: `weights_to`, `state_to`")
