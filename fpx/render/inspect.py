"""`fpx inspect`: what is in files: dtypes, metadata, lists of tensors."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from fpx.render.inspect_values import numbers_text, stats_tables
from fpx.render.listing import Listing
from fpx.render.quantised import bits_text, suspicions, told
from fpx.render.text import GOOD_STYLE, LABEL_STYLE, WARNING_STYLE
from fpx.report.inspect import InspectReport, dtype_totals, quantised_totals
from fpx.report.inspect_row import TensorInfo
from fpx.report.tensor_groups import TensorGroup, groups
from fpx.words import counted, escape

_BITS = "bits each"  # of an element, with its share of scales
_KEYS = 40  # lines of metadata, unless all are asked for
_TEXT = ("tensor", "dtype", "shape", "stride", "storage", "value")


def inspect_tables(report: InspectReport, *, every: bool = False) -> RenderableType:
    """What each source holds: dtypes, metadata, tensors, and their values where those were read.

    Args:
        report: what to draw.
        every: whether each tensor has a line, not each group of them, and all metadata are told.
    """
    parts: list[RenderableType] = []
    sources = report.sources()
    for source, tensors in sources.items():
        if parts:
            parts.append("")
        size = _size(sum(tensor.bytes or 0 for tensor in tensors))
        parts.append(
            Text.assemble((escape(source), "bold"), (f"  {tensors[0].kind}, {size}", LABEL_STYLE))
        )
        parts += told(quantised_totals(tensors))
        parts.append(_dtypes(tensors))
        if report.metadata.get(source):
            parts.append(_metadata(report.metadata[source], every))
        parts.append(_tensors(tensors, every))
        parts += suspicions(tensors, every=every)
        if any(tensor.stats is not None for tensor in tensors):
            parts += stats_tables(tensors)
    parts.append(_sizes(report))
    return Group(*parts)


# -- what there is ---------------------------------------------------------------------------------


def _dtypes(tensors: Sequence[TensorInfo]) -> RenderableType:
    """Elements and bytes of each dtype; of quantised weights, what an element takes."""
    totals = dtype_totals(tensors)
    columns = {
        "dtype": [escape(total.dtype) for total in totals],
        "tensors": [f"{total.tensors:,}" for total in totals],
        "elements": [f"{total.elements:,}" for total in totals],
        "bytes": ["?" if total.bytes is None else f"{total.bytes:,}" for total in totals],
    }
    if any(tensor.quantised for tensor in tensors):
        columns[_BITS] = [bits_text(total.bits_per_element) for total in totals]
    return Listing(tuple(columns), list(zip(*columns.values(), strict=True)))


def _metadata(metadata: Mapping[str, object], every: bool) -> RenderableType:
    shown = len(metadata) if every else _KEYS
    rows = [(escape(key), escape(_told(value))) for key, value in list(metadata.items())[:shown]]
    more = len(metadata) - shown
    note = f"and {more:,} more keys: --all" if more > 0 else ""
    return Listing(("metadata", "value"), rows, left=_TEXT, cut=("value",), note=note)


def _told(value: object) -> str:
    if isinstance(value, Mapping):
        first = ", ".join(map(_told, value["first"]))
        return f"{value['items']:,} items{': ' if first else ''}{first}{', …' if first else ''}"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_told, value))}]"
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    return f"{value:.9g}" if isinstance(value, float) else str(value)


def _tensors(tensors: Sequence[TensorInfo], every: bool) -> RenderableType:
    """A line for each group, with how it lies in its storage where that says something."""
    found = [TensorGroup(tensor.tensor, (tensor,)) for tensor in tensors] if every else groups(
        tensors
    )  # fmt: skip
    firsts = [group.tensors[0] for group in found]
    columns: dict[str, list[str]] = {"tensor": [escape(group.name) for group in found]}
    if any(len(group.tensors) > 1 for group in found):
        columns["count"] = [f"{len(group.tensors):,}" for group in found]
    columns["dtype"] = [escape(first.dtype) for first in firsts]
    columns["shape"] = [numbers_text(first.shape) for first in firsts]
    columns["bytes"] = [_bytes(group) for group in found]
    if any(first.quantised for first in firsts):
        columns[_BITS] = [bits_text(first.bits_per_element) for first in firsts]
    said: dict[str, Callable[[TensorInfo], str]] = {
        "stride": lambda item: "" if item.contiguous else numbers_text(item.stride),
        "offset": lambda item: f"{item.storage_offset:,}" if item.storage_offset else "",
        "storage": lambda item: item.storage if item.shares_with else "",
    }
    for name, say in said.items():
        cells = [say(first) for first in firsts]
        if any(cells):
            columns[name] = cells
    return Listing(tuple(columns), list(zip(*columns.values(), strict=True)), left=_TEXT)


def _bytes(group: TensorGroup) -> str:
    each = [tensor.bytes for tensor in group.tensors]
    return "?" if None in each else f"{sum(item or 0 for item in each):,}"


def _size(count: int) -> str:
    """Bytes in the unit in which they have one to four digits."""
    size, units = float(count), ["bytes", "KiB", "MiB", "GiB", "TiB"]
    while size >= 1024 and len(units) > 1:
        size /= 1024
        units.pop(0)
    return f"{count:,} bytes" if units[0] == "bytes" else f"{size:,.1f} {units[0]}"


def _sizes(report: InspectReport) -> Text:
    """The totals, and what sharing of storages makes of them."""
    text = Text(
        f"\n{counted(len(report.tensors), 'tensor')}, {counted(report.elements, 'element')}, "
        f"{counted(report.bytes, 'byte')}"
    )
    saved = report.bytes - report.storage_bytes
    if saved or report.storage_count != len(report.tensors):
        text.append(
            f" in {counted(report.storage_count, 'storage')} of "
            f"{counted(report.storage_bytes, 'byte')}"
        )
    if saved > 0:
        text.append(f": sharing saves {counted(saved, 'byte')}", GOOD_STYLE)
    elif saved < 0:
        text.append(f": {counted(-saved, 'byte')} belong to no tensor", WARNING_STYLE)
    return text
