"""What ranks tell each other of casts, and which tensors may be cut between them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, groupby
from math import lcm
from operator import itemgetter
from typing import TYPE_CHECKING, NamedTuple

from fpx.casts.device import Device
from fpx.casts.grouping import Grouping
from fpx.core.scaling import ScaledFormat
from fpx.errors import InputError
from fpx.measure.casting import Casting
from fpx.measure.scaled_casting import ScaledCasting
from fpx.measure.shares import STDIN
from fpx.measure.stats import CastStats
from fpx.report.channels import ChannelCost
from fpx.tensors.entry import TensorEntry
from fpx.tensors.pieces import cut_axis

if TYPE_CHECKING:
    from fpx.ranks.team import Team

_STDIN = "-"


@dataclass
class Done:
    """What was found of a tensor, or of a piece of one.

    Attributes:
        casts, scalings: its casts.
        channels: what channels that stick out cost.
        partial: whether Ctrl-C ended it.
        error: what is damaged in it; then the rest is empty.
    """

    casts: Sequence[Casting] = ()
    scalings: Sequence[ScaledCasting] = ()
    channels: Sequence[ChannelCost] = ()
    partial: bool = False
    error: InputError | None = None

    def fail(self, error: InputError) -> None:
        """Drops what was found of a tensor that is damaged."""
        self.casts = self.scalings = self.channels = ()
        self.error = error

    def sent(self) -> Sent:
        """It as another process is told of it, which can make the casts itself."""
        return Sent(self._stats(), self.channels, self.partial, self.error)

    def add(self, more: Sent) -> None:
        """Takes in what was found of the next piece."""
        for stats, others in zip(self._stats(), more.stats, strict=True):
            stats.add(others)
        self.channels = [*self.channels, *more.channels]
        self.partial |= more.partial

    def _stats(self) -> list[CastStats]:
        return [*(cast.stats for cast in self.casts), *(cast.stats for cast in self.scalings)]


class Sent(NamedTuple):
    """Of a `Done`, the statistics of each cast, and the rest."""

    stats: Sequence[CastStats]
    channels: Sequence[ChannelCost]
    partial: bool
    error: InputError | None


def until_partial(each: Iterable[tuple[int, Done]]) -> Iterator[tuple[int, Done]]:
    for number, found in each:
        yield number, found
        if found.partial:
            return


def merged(
    gathered: Iterable[Sequence[tuple[int, Sent]]], blank: Callable[[int], Done]
) -> Iterator[tuple[int, Done]]:
    """What all ranks found, tensor by tensor.

    Args:
        gathered: of each rank, what it found, with the numbers of tensors, which ascend.
        blank: of a tensor, what is known before any of it is read.
    """
    for number, pieces in groupby(chain.from_iterable(gathered), key=itemgetter(0)):
        found = [sent for _, sent in pieces]
        error = next((sent.error for sent in found if sent.error is not None), None)
        if error is not None:
            yield number, Done(error=error)
            continue
        whole = blank(number)
        for sent in found:
            whole.add(sent)
        yield number, whole


def on_rank(team: Team, sources: Sequence[object], device: str | Device) -> str | Device:
    """The device of a rank.

    Raises:
        InputError: a source that only one process can read.
    """
    if _STDIN in sources:
        raise InputError(STDIN)
    return team.device(device) if isinstance(device, str) else device


def grain_of(entry: TensorEntry, scaled: Sequence[ScaledFormat]) -> int | None:
    """Of what the indexes are multiples between which a tensor may be cut; None where it may not.

    Blocks along the last axis are not cut, and nothing is whose scale hangs on all of the tensor.
    """
    axis = cut_axis(entry)
    if axis is None or entry.only_for is not None or not scaled:
        return None if axis is None else 1
    if entry.order is not None or any(target.global_scale is not None for target in scaled):
        return None
    try:
        widths = [Grouping(target.reach, entry.shape).width for target in scaled]
    except InputError:  # which casting tells
        return None
    if None in widths:
        return None
    return lcm(*(width or 1 for width in widths)) if axis == len(entry.shape) - 1 else 1
