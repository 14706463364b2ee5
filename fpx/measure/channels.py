"""The channel of a tensor that sticks out, and what it costs those that share its scales."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from fpx.casts.device import find_device
from fpx.casts.grouping import Grouping
from fpx.core.scaling import Reach, ScaledFormat, Scope
from fpx.errors import InputError
from fpx.measure.block import SourceBlock
from fpx.measure.casting import Where
from fpx.measure.scaled_casting import ScaledCasting
from fpx.measure.scaled_reading import scale_entry
from fpx.measure.squares import ScaledSquares
from fpx.measure.values import tensor_stats
from fpx.report.channels import ChannelCost
from fpx.tensors.dtypes import origin_of
from fpx.tensors.entry import TensorEntry
from fpx.tensors.progress import Progress

PASSES = 3
"""How often a tensor is read for this: the channel is found, then scales, then elements."""


def has_channels(entry: TensorEntry, axis: int) -> bool:
    """Whether a tensor has several channels along that axis, of more than single numbers."""
    axes = len(entry.shape)
    return axes > 1 and -axes <= axis < axes and entry.shape[axis] > 1 and entry.count > 0


def with_channels(
    entries: Sequence[TensorEntry], scaled: Sequence[ScaledFormat], axis: int | None
) -> list[TensorEntry]:
    """The tensors that have channels along an axis that was asked for.

    Raises:
        InputError: no tensor has, or no target has scales that channels could share.
    """
    if axis is None:
        return []
    if not scaled:
        raise InputError(
            "`axis` asks what a channel costs those that share its scales: name a target with "
            "scales, such as e4m3fn:tensor"
        )
    found = [e for e in entries if e.only_for is None and has_channels(e, axis)]
    if entries and not found:
        raise InputError(f"none of the {len(entries):,} tensors has channels along axis {axis}")
    return found


def channel_costs(
    source: str,
    entry: TensorEntry,
    targets: Sequence[ScaledFormat],
    axis: int,
    progress: Progress,
) -> tuple[ChannelCost, ...]:
    """What the channel of the largest magnitude costs the others, one for each target.

    Args:
        source: where the tensor is.
        entry: a tensor that `has_channels`.
        targets: to what it is cast, on the CPU.
        axis: whose indexes are the channels; may be negative.
        progress: hears how far it is.

    Raises:
        InputError: damage that shows only here.
    """
    channel = tensor_stats(entry, progress, axis=axis % len(entry.shape)).channel
    assert channel is not None
    casts = [
        (Others(entry, target, axis, channel.index, kept=kept))
        for target in targets
        for kept in (True, False)
    ]
    scale_entry(entry, casts, find_device("cpu"), progress)
    return tuple(
        ChannelCost(
            source,
            entry.name,
            target.name,
            channel,
            shared.sqnr_db,
            alone.sqnr_db,
            shared.underflows,
            alone.underflows,
        )
        for target, shared, alone in zip(targets, casts[::2], casts[1::2], strict=True)
    )


class Others(ScaledCasting):
    """A scaled cast that tells of all elements but those of one channel.

    Args:
        entry: the tensor.
        target: to what.
        axis: whose indexes are the channels.
        index: of the one.
        kept: whether it is there, or zeros are in its place.

    Attributes:
        underflows: of the others that are finite and not 0, those that became 0.
    """

    def __init__(
        self, entry: TensorEntry, target: ScaledFormat, axis: int, index: int, *, kept: bool
    ) -> None:
        super().__init__(origin_of(entry.dtype), target, entry.shape, find_device("cpu"))
        self._channels = Grouping(Reach(Scope.CHANNEL, axis=axis), entry.shape)
        self._index, self._kept = index, kept
        self._signal = self._noise = ScaledSquares()
        self.underflows = 0

    def survey(self, source: SourceBlock, start: int) -> None:
        """As of every scaled cast."""
        super().survey(self._seen(source, start), start)

    def take(self, source: SourceBlock, start: int, where: Where) -> Tensor:
        """As of every scaled cast; measures the others."""
        x = source.wide.value
        result = super().take(self._seen(source, start), start, where)
        usable = self._others(start, len(x)) & x.isfinite() & result.isfinite()
        self._signal += _squares(x, usable)
        self._noise += _squares(result - x, usable)
        self.underflows += int((usable & (x != 0) & (result == 0)).count_nonzero())
        return result

    @property
    def sqnr_db(self) -> float:
        """The SQNR of the others that stayed finite; infinite if exact, NaN if all are 0."""
        if not self._noise.total:
            return math.inf if self._signal.total else math.nan
        return self._signal.ratio_db(self._noise)

    def _seen(self, source: SourceBlock, start: int) -> SourceBlock:
        if self._kept:
            return source
        others = self._others(start, len(source.x))
        if source.low is not None:
            return SourceBlock((source.x.view(torch.int64) * others).view(source.x.dtype))
        return SourceBlock(torch.where(others, source.wide.value, 0.0))

    def _others(self, start: int, n: int) -> Tensor:
        return self._channels.ids(start, n, torch.device("cpu")) != self._index


def _squares(values: Tensor, where: Tensor) -> ScaledSquares:
    held = torch.where(where, values, 0.0)
    return ScaledSquares.of(held, float(held.abs().amax()))
