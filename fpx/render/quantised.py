"""Quantised weights in `fpx inspect`: what a checkpoint is, how a weight is stored, what is odd."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from fpx.core.scaling import Reach
from fpx.render.inspect_values import numbers_text
from fpx.render.text import BAD_STYLE, GOOD_STYLE, LABEL_STYLE, WARNING_STYLE
from fpx.report.inspect_row import TensorInfo
from fpx.report.quantised import (
    EVIDENCE,
    QuantisedInfo,
    QuantisedTotal,
    ScaleCounts,
    ScaleInfo,
)
from fpx.report.tensor_groups import TensorGroup, groups
from fpx.words import counted, escape

_SUSPECTS = 20  # lines of what is suspicious, unless all are asked for


def told(totals: Sequence[QuantisedTotal]) -> list[RenderableType]:
    """What a checkpoint is, a line for each layout and format."""
    found: list[RenderableType] = []
    for total in totals:
        guess = total.evidence == "likely"
        found.append(
            Text.assemble(
                (f"{escape(total.layout)}: ", "bold"),
                f"{counted(total.tensors, 'weight')} in {escape(total.dtype)}, ",
                (_recognised(total.evidence, total.recognised_by), WARNING_STYLE if guess else ""),
            )
        )
    return found


def _recognised(evidence: str, by: str) -> str:
    return f"recognised by {escape(by)} ({EVIDENCE[evidence]})"


def suspicions(tensors: Sequence[TensorInfo], *, every: bool) -> list[RenderableType]:
    """What is suspicious of quantised weights, and whether that was looked for.

    Weights whose names differ in numbers only, and of which the same is said, have one line.
    """
    weights = [(item, item.quantised) for item in tensors if item.quantised is not None]
    said: dict[str, list[TensorInfo]] = {}
    for item, how in weights:
        for line in how.suspicions:
            said.setdefault(line, []).append(item)
    lines = [
        (group.name, line)
        for line, items in said.items()
        for group in (_each(items) if every else groups(items))
    ]
    shown = lines if every else lines[:_SUSPECTS]
    found: list[RenderableType] = []
    if lines:
        count = len({item.tensor for items in said.values() for item in items})
        found.append(Text(f"\nSuspicious: {counted(count, 'weight')}", BAD_STYLE))
    for name, line in shown:
        found.append(Text.assemble((f" {escape(name)}: ", "bold"), escape(line)))
    if len(shown) < len(lines):
        found.append(Text(f" and {counted(len(lines) - len(shown), 'line')} more: --all"))
    scaled = [how for _, how in weights if how.scales or how.reach is not None]
    unread = sum(how.doubts is None for how in scaled)
    if unread:
        found.append(
            Text(
                f"The scales of {counted(unread, 'weight')} were not read: --stats looks for what "
                "is wrong with them. --tensor NAME shows how one is stored.",
                LABEL_STYLE,
            )
        )
    elif scaled and not lines:
        found.append(Text("Nothing suspicious in their scales.", GOOD_STYLE))
    return found


def _each(items: Sequence[TensorInfo]) -> list[TensorGroup]:
    return [TensorGroup(item.tensor, (item,)) for item in items]


def bits_text(bits: float | None) -> str:
    """Bits per element, as many digits as say something."""
    return "?" if bits is None else f"{bits:.5g}"


# -- one weight ------------------------------------------------------------------------------------


def stored_panel(info: TensorInfo) -> RenderableType:
    """How a quantised weight is stored: where codes and scales are, and whether they fit."""
    how = info.quantised
    assert how is not None
    rows: list[tuple[str, Text | str]] = [
        ("layout", escape(how.layout)),
        ("", Text(_recognised(how.evidence, how.recognised_by), _evidence_style(how))),
        ("element", _element(how)),
        ("codes", f"{escape(how.stored_dtype)} {numbers_text(how.stored_shape)}"),
        ("", Text(escape(how.stored), LABEL_STYLE)),
    ]
    for item in how.scales:
        rows += [(item.role, _scales(item)), ("", Text(escape(item.tensor), LABEL_STYLE))]
    if how.scale_counts is not None:
        rows.append(("scales are", _counts(how.scale_counts)))
    rows += [("beside", escape(name)) for name in how.beside]
    rows.append(("takes", _size(info, how)))
    rows += [
        ("fits" if not at else "", Text(escape(fit.says), GOOD_STYLE if fit.holds else BAD_STYLE))
        for at, fit in enumerate(how.fits)
    ]
    for at, line in enumerate(how.doubts or ()):
        rows.append(("suspicious" if not at else "", Text(escape(line), BAD_STYLE)))
    if how.doubts == ():
        rows.append(("suspicious", Text("nothing", GOOD_STYLE)))
    return labelled(rows)


def labelled(rows: Sequence[tuple[str, Text | str]]) -> Table:
    """Names and what they are, of which what is too long folds."""
    table = Table.grid(padding=(0, 2), pad_edge=False)
    table.add_column(style=LABEL_STYLE, no_wrap=True)
    table.add_column(overflow="fold")
    table.add_row()
    for name, cell in rows:
        table.add_row(f" {name}", cell)
    return table


def _evidence_style(how: QuantisedInfo) -> str:
    return WARNING_STYLE if how.is_guess else ""


_FIRST = {"low-first": "low", "high-first": "high"}


def _element(how: QuantisedInfo) -> str:
    text = escape(how.element)
    first = _FIRST.get(how.packing or "")
    if first is not None:
        what = "nibble" if how.element_bits == 4 else "bits"
        text += f", {first} {what} first"
    if how.reach is not None:
        text += f", {Reach.parse(how.reach).says}"
    return text


def _scales(item: ScaleInfo) -> Text:
    value = "" if item.value is None else f" = {item.value}"
    text = Text(f"{escape(item.format)} {numbers_text(item.shape)}{value}, ")
    text.append(item.direction, WARNING_STYLE if item.direction == "divides" else "")
    return text.append(", swizzled in tiles of 128 x 4" if item.swizzled else "")


def _counts(counts: ScaleCounts) -> Text:
    """`256 scales, 2^-3 and up to 2^9: 1 zero, no subnormals, no NaN`."""
    text = Text(counted(counts.count, "scale"))
    if counts.exponent_histogram:
        low, high = min(counts.exponent_histogram), max(counts.exponent_histogram)
        text.append(f" from 2^{low} to below 2^{high + 1}")
    kinds = {"zero": counts.zero_count, "subnormal": counts.subnormal_count,
             "NaN": counts.nan_count}  # fmt: skip
    for at, (name, count) in enumerate(kinds.items()):
        text.append(", " if at else ": ")
        style = (BAD_STYLE if name != "subnormal" else WARNING_STYLE) if count else ""
        text.append(f"{count:,} {name}" if count else f"no {name}", style)
    return text


def _size(info: TensorInfo, how: QuantisedInfo) -> str:
    if info.bytes is None:
        return "an unknown number of bytes"
    scales = sum(item.bytes or 0 for item in how.scales)
    codes = how.stored_bytes
    of = f" ({codes:,} of codes, {scales:,} of scales)" if scales and codes is not None else ""
    return f"{counted(info.bytes, 'byte')}{of}: {bits_text(info.bits_per_element)} bits per element"
