"""Channels that stick out and what they cost the others, on the screen."""

from __future__ import annotations

import math
from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from fpx.render.names import Name, least_of
from fpx.render.tables import plain_table
from fpx.render.text import LABEL_STYLE
from fpx.report.answers import brief
from fpx.report.channels import ChannelCost, dearest, label_of


def channels_tables(costs: Sequence[ChannelCost], most: int | None) -> list[RenderableType]:
    """For each target a sentence on the channel that costs most, and a row per tensor.

    Args:
        costs: of one source, not empty.
        most: rows of a table; None is all.
    """
    by_target: dict[str, list[ChannelCost]] = {}
    for cost in dearest(costs):
        by_target.setdefault(cost.to, []).append(cost)
    return [_of_target(found, most) for found in by_target.values()]


def _of_target(costs: Sequence[ChannelCost], most: int | None) -> RenderableType:
    label, axis = label_of(costs[0]), costs[0].channel.axis
    shown = costs[:most]
    table = plain_table(
        Text(f"{label}: channels of axis {axis} that stick out", "bold"),
        first_out=("max |x|", "without it dB"),
    )
    names = [Name(cost.tensor) for cost in shown]
    table.add_column("tensor", min_width=least_of(names))
    for heading in ("channel", "max |x|", "x median", "others dB", "without it dB", "costs dB"):
        table.add_column(heading, justify="right", no_wrap=True)
    for cost, name in zip(shown, names, strict=True):
        channel = cost.channel
        table.add_row(
            name, f"{channel.index:,} of {channel.channels:,}",
            brief(channel.max_abs), _number(cost.ratio, ".4g"),
            _number(cost.others_sqnr_db, ".2f"), _number(cost.alone_sqnr_db, ".2f"),
            _number(cost.cost_db, ".2f"),
        )  # fmt: skip
    parts: list[RenderableType] = [
        Text.assemble("\n", (f"{label}, axis {axis}: ", "bold"), costs[0].text, "\n"), table,
    ]  # fmt: skip
    hidden = len(costs) - len(shown)
    if hidden:
        parts.append(Text(f"{hidden:,} more (--all shows every one).\n", LABEL_STYLE))
    return Group(*parts)


def _number(value: float, spec: str) -> str:
    if math.isnan(value):
        return "-"
    return format(value, spec)
