"""Channels that stick out, and what each costs the others that share its scales."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from fpx.core.scaling import ScaledFormat
from fpx.core.targets import find_target
from fpx.report.base import JsonValue, to_json
from fpx.report.inspect_row import Channel
from fpx.words import escape


@dataclass(frozen=True)
class ChannelCost:
    """What the channel of a tensor that sticks out costs the others in one target.

    Attributes:
        source, tensor, to: which tensor and target.
        channel: the one with the largest magnitude.
        others_sqnr_db: the SQNR of all other channels, which share scales with it, in dB.
        alone_sqnr_db: what that would be if the channel were zeros.
        others_underflow_count: of the other channels' values, those that become zero.
        alone_underflow_count: how many would if the channel were zeros.
    """

    source: str
    tensor: str
    to: str
    channel: Channel
    others_sqnr_db: float
    alone_sqnr_db: float
    others_underflow_count: int
    alone_underflow_count: int

    @property
    def cost_db(self) -> float:
        """By how many dB the others would be better without it; 0 where both are exact."""
        if self.others_sqnr_db == self.alone_sqnr_db:
            return 0.0
        return self.alone_sqnr_db - self.others_sqnr_db

    @property
    def ratio(self) -> float:
        """The channel's largest magnitude over the median of those of all; NaN of zeros alone."""
        if self.channel.ratio is not None:
            return self.channel.ratio
        return math.inf if self.channel.max_abs else math.nan

    @property
    def text(self) -> str:
        """It in a sentence, without the name of the target."""
        channel = self.channel
        what = f"channel {channel.index:,} of {escape(self.tensor)} ({_times(self.ratio)})"
        zeros = self.others_underflow_count - self.alone_underflow_count
        also = f"{zeros:,} more of their values underflow"
        if not round(self.cost_db, 2) > 0:
            return f"{what} costs the others nothing{f', but {also}' if zeros > 0 else ''}."
        return (
            f"{what} costs the others {self.cost_db:.2f} dB: {self.others_sqnr_db:.2f} in place "
            f"of {self.alone_sqnr_db:.2f}{f', and {also}' if zeros > 0 else ''}."
        )

    def to_dict(self) -> dict[str, JsonValue]:
        """Its JSON entry."""
        return {
            "source": self.source,
            "tensor": self.tensor,
            "to": self.to,
            **to_json(self.channel),
            "others_sqnr_db": to_json(self.others_sqnr_db),
            "alone_sqnr_db": to_json(self.alone_sqnr_db),
            "cost_db": to_json(self.cost_db),
            "others_underflow_count": self.others_underflow_count,
            "alone_underflow_count": self.alone_underflow_count,
            "text": self.text,
        }


def _times(ratio: float) -> str:
    return "all are zeros" if math.isnan(ratio) else f"{ratio:.3g} × the median"


def dearest(costs: Iterable[ChannelCost]) -> list[ChannelCost]:
    """Those that cost most first; of equals those that stick out most."""
    return sorted(costs, key=lambda each: (-_known(each.cost_db), -_known(each.ratio)))


def _known(value: float) -> float:
    return 0.0 if math.isnan(value) else value


def label_of(cost: ChannelCost) -> str:
    """Its target as people read it."""
    target = find_target(cost.to)
    return target.label if isinstance(target, ScaledFormat) else cost.to
