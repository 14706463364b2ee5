"""What was counted, as rows of the report."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from fpx.core.dyadic import Dyadic
from fpx.core.spec import FormatSpec
from fpx.report.watch_rows import GRADIENTS, UPDATE, LossScale, StepRow, UpdateRow, ValueRow
from fpx.training.watch.edges import Counted, largest_scale
from fpx.training.watch.tally import Key, Total, Window
from fpx.training.watch.updates import MOVES, Moves

Totals = Mapping[Key, Total[list[int]]]


class _Tensors(NamedTuple):
    """Tensors of one name and kind, counted.

    Attributes:
        counted: what their buckets tell.
        amax: the largest finite magnitude.
        calls: how many there were.
    """

    counted: Counted
    amax: Dyadic
    calls: int


def _tensors(key: Key, total: Total[list[int]]) -> _Tensors:
    assert key.edges is not None
    amax = key.edges.source.finite(total.largest[0])
    return _Tensors(Counted(key.edges, total.numbers), amax, total.calls)


def value_rows(totals: Totals, targets: Sequence[FormatSpec]) -> tuple[ValueRow, ...]:
    """The rows of activations, gradients and states, the worst first."""
    found = [
        _value_row(key, _tensors(key, total), target)
        for key, total in totals.items()
        if key.edges is not None
        for target in targets
    ]
    return tuple(sorted(found, key=lambda row: row.badness, reverse=True))


def _value_row(key: Key, tensors: _Tensors, target: FormatSpec) -> ValueRow:
    counted = tensors.counted
    return ValueRow(
        name=key.name,
        kind=key.kind,
        from_=key.format.name,
        to=target.name,
        calls=tensors.calls,
        count=counted.finite_count + counted.inf_count + counted.nan_count,
        zero_count=counted.zero_count,
        inf_count=counted.inf_count,
        nan_count=counted.nan_count,
        overflow_count=counted.overflows(target),
        underflow_count=counted.underflows(target),
        subnormal_count=counted.subnormals(target),
        amax=float(tensors.amax.fraction) if counted.finite_count else None,
        loss_scale=_loss_scale([tensors], target) if key.kind in GRADIENTS else None,
    )


def loss_scales(totals: Totals, targets: Sequence[FormatSpec]) -> tuple[LossScale, ...]:
    """The best loss scale of all gradients, one per target; none where all are zero."""
    found = [_tensors(key, total) for key, total in totals.items() if key.kind in GRADIENTS]
    scales = [_loss_scale(found, target) for target in targets]
    return tuple(scale for scale in scales if scale is not None)


def _loss_scale(every: Sequence[_Tensors], target: FormatSpec) -> LossScale | None:
    """The smallest scale that saves most, of those with which none overflows."""
    limits = [largest_scale(each.amax, target) for each in every if each.amax.significand]
    if not limits:
        return None

    def lost(exponent: int) -> int:
        return sum(each.counted.underflows(target, exponent) for each in every)

    limit = min(limits)
    low, high = min(limit, 0), limit
    least = lost(limit)
    while low < high:  # the larger the scale, the fewer are lost
        middle = (low + high) // 2
        if lost(middle) == least:
            high = middle
        else:
            low = middle + 1
    nonzero = sum(each.counted.finite_count - each.counted.zero_count for each in every)
    without = lost(0)
    return LossScale(target.name, low, limit, nonzero, without, without - least)


def update_rows(totals: Totals, targets: Sequence[FormatSpec]) -> tuple[UpdateRow, ...]:
    """The rows of parameters, in their own format and in others, the worst first."""
    found = [
        UpdateRow(
            name=key.name,
            kind=UPDATE,
            from_=key.format.name,
            to=to,
            calls=total.calls,
            count=moved.count,
            moved_count=moved.moved_count,
            lost_update_count=moved.lost_update_count,
            nonfinite_count=moved.nonfinite_count,
            followed_every=total.stride,
        )
        for key, total in totals.items()
        if key.edges is None
        for to, moved in _moves(key, total, targets)
    ]
    return tuple(sorted(found, key=lambda row: row.badness, reverse=True))


def _moves(
    key: Key, total: Total[list[int]], targets: Sequence[FormatSpec]
) -> Iterable[tuple[str, Moves]]:
    """The format and what happened in it, of each row that `updates.moves` made."""
    names = (key.format.name, *(each.name for each in others(key.format, targets)))
    for at, name in enumerate(names):
        yield name, Moves(*total.numbers[at * MOVES : (at + 1) * MOVES])


def others(own: FormatSpec, targets: Iterable[FormatSpec]) -> tuple[FormatSpec, ...]:
    """The targets that are not the weights' own format, which needs no rounding."""
    return tuple(target for target in targets if target != own)


def step_rows(
    windows: Iterable[Window[list[int]]], targets: Sequence[FormatSpec]
) -> tuple[StepRow, ...]:
    """All names together, by steps, kinds and formats."""
    return tuple(row for window in windows for row in _window_rows(window, targets))


def _window_rows(window: Window[list[int]], targets: Sequence[FormatSpec]) -> Iterable[StepRow]:
    when = window.first, window.last, window.steps
    values = value_rows(window.totals, targets)
    for kind, to in dict.fromkeys((row.kind, row.to) for row in values):
        mine = [row for row in values if (row.kind, row.to) == (kind, to)]
        yield StepRow(
            *when,
            kind,
            to,
            sum(row.count for row in mine),
            nonzero_count=sum(row.nonzero_count for row in mine),
            destroyed_count=sum(row.destroyed_count for row in mine),
            underflow_count=sum(row.underflow_count for row in mine),
        )
    updates = update_rows(window.totals, targets)
    for to in dict.fromkeys(row.to for row in updates):
        some = [row for row in updates if row.to == to]
        yield StepRow(
            *when,
            UPDATE,
            to,
            sum(row.count for row in some),
            moved_count=sum(row.moved_count for row in some),
            lost_update_count=sum(row.lost_update_count for row in some),
            nonfinite_count=sum(row.nonfinite_count for row in some),
        )
