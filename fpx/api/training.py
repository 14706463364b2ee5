"""Training: what a step moves, and what formats would do to a model."""

from __future__ import annotations

from collections.abc import Iterable
from os import PathLike
from typing import TYPE_CHECKING, Any

from fpx.api.arguments import _each, _Formats, _Targets
from fpx.core.policy import Rounding, Stochastic
from fpx.core.spec import FormatSpec
from fpx.core.targets import Target
from fpx.errors import InputError
from fpx.words import quoted

if TYPE_CHECKING:
    from fpx.report.step_compare import StepReport
    from fpx.training.watch.watch import Watch


def step_compare(
    source: Any,
    *,
    lr: Any = None,
    to: _Formats = (),
    weights_to: _Formats = (),
    state_to: str | Target | Iterable[str | Target] = (),
    scale: str | None = None,
    scale_format: str | None = None,
    scale_rule: str | Iterable[str] = (),
    model: Any = None,
    optimizer: str | None = None,
    still: float = 0.5,
    rounding: str | Stochastic = Rounding.TIES_TO_EVEN.value,
    fail_if: str | Iterable[str] = (),
    baseline: str | PathLike[str] | None = None,
    include: str | Iterable[str] = (),
    exclude: str | Iterable[str] = (),
) -> StepReport:
    """Which weights an update moves in a format, and which state survives: `fpx step-compare`.

    Args:
        source: as for `cast_compare`, distributions aside, and a list of several; with `weights_to`
            or `state_to` one checkpoint with an optimizer's state, such as `{"model":
            model.state_dict(), "optimizer": optimizer.state_dict()}`; without those and `lr` a list
            of two, before and after.
        lr: the length of a step that every weight takes, up and down; a float, a `Fraction`, or
            text such as "1e-5", which is taken exactly.
        to: formats of the weights, with `lr` and of two checkpoints; none means bfloat16 and
            float16.
        weights_to: formats of the weights that the update of an optimizer's state moves.
        state_to: formats of the optimizer's moments.
        scale, scale_format, scale_rule: of formats of `state_to` without scales of their own, as
            for `cast_compare`.
        model: where the weights are, if not beside the optimizer's state.
        optimizer: `adamw`, `adam` or `sgd`, where the checkpoint does not tell.
        still: share of unmoved weights, 0 to 1, from which on a tensor stands still; of moments
            that become 0 or cannot decay, from which on the state does.
        rounding: `stochastic[:bits[:a|b|c]]` also says how many weights are expected to move, if
            sums are rounded so.
        fail_if: conditions such as `"unmoved_rate>0.9"`: the rows that meet one are the report's
            `failures()`.
        baseline: the path of an older report, saved with --json: what got worse since then is among
            the report's `failures()`, and nothing else.
        include, exclude: patterns of the names of tensors, or of parameters.

    Returns:
        A report with a row per tensor and format.

    Raises:
        FpxError: a source cannot be read, it has no state whose update is known, or an argument is
            off.
    """
    from fpx.report.gates.baseline import read_baseline
    from fpx.report.step_compare import StepReport, conditions, state_targets
    from fpx.training.settings import NAMES
    from fpx.training.step_compare import step_compare as compare

    if optimizer is not None and optimizer not in NAMES:
        raise InputError(f"`optimizer` is one of {', '.join(NAMES)}, not {quoted(optimizer)}")
    older = None if baseline is None else read_baseline(baseline, StepReport.schema)
    report = compare(
        list(source) if isinstance(source, (list, tuple)) else [source],
        lr=lr,
        to=_formats(to),
        weights_to=_formats(weights_to),
        states_to=state_targets(
            state_to,
            scale=scale,
            scale_format=scale_format,
            scale_rule=_each(scale_rule),
        ),
        model=model,
        optimizer=optimizer,
        include=_each(include),
        exclude=_each(exclude),
        still_rate=still,
        rounding=rounding if isinstance(rounding, str) else rounding.value,
        checks=conditions(_each(fail_if)),
    )
    return report if older is None else report.since(older)


def _formats(names: _Formats) -> list[str | FormatSpec]:
    """One format, or several, as a list."""
    return [names] if isinstance(names, (str, FormatSpec)) else list(names)


def watch(
    model: Any,
    optimizer: Any = None,
    *,
    to: _Targets | None = None,
    every: int = 1,
    steps: int | None = None,
    include: str | Iterable[str] = (),
    exclude: str | Iterable[str] = (),
    scaler: Any = None,
    tensors: str | Iterable[str] = (),
) -> Watch:
    """Counts what formats would do to a model while it trains: see docs/training.md.

    Args:
        model: an `nn.Module`, also as torch.compile or DistributedDataParallel wrap it.
        optimizer: a `torch.optim.Optimizer`; None means every one that steps parameters of it.
        to: target formats of up to 20 bits, `all16` or `all8`; None means float16 and bfloat16.
        every: one step in so many is counted.
        steps: after so many it stops by itself.
        include, exclude: patterns of names of modules and parameters.
        scaler: a `torch.amp.GradScaler`, whose scale is divided out of gradients on their way back.
        tensors: what to look at: `activation`, `grad_output`, `weight_grad`, `update`, `state`;
            none means all.

    Returns:
        A context manager, which watches from now on: until its block ends, or `stop()`. Its
        `report()` has a row per name, kind and format.

    Raises:
        FpxError: an argument is off, or no module is left.
    """
    from fpx.report.watch_rows import KINDS, TARGETS
    from fpx.training.watch.targets import watched_formats
    from fpx.training.watch.watch import Watch

    return Watch(
        model,
        optimizer,
        watched_formats(TARGETS if to is None else to),
        every=every,
        steps=steps,
        include=_each(include),
        exclude=_each(exclude),
        scaler=scaler,
        kinds=_each(tensors) or KINDS,
    )
