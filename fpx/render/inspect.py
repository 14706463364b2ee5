"""`fpx inspect` as tables, a histogram and a drawing of a tensor's storage."""

from __future__ import annotations

from collections.abc import Mapping

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from fpx.render.tables import plain_table
from fpx.render.text import BAD_STYLE, GOOD_STYLE, LABEL_STYLE, WARNING_STYLE
from fpx.report.inspect import Element, ExtremesReport, InspectReport, LayoutReport, TensorInfo
from fpx.words import escape

_BAR = 40  # columns of the longest bar
_GAP = 3  # empty binades in a row beyond which they are left out
_DRAWN = 8  # rows and columns of a tensor that are drawn


def inspect_tables(report: InspectReport) -> RenderableType:
    """A line per tensor, what they share, and their values where those were read."""
    parts: list[RenderableType] = []
    for source in dict.fromkeys(tensor.source for tensor in report.tensors):
        tensors = [tensor for tensor in report.tensors if tensor.source == source]
        parts.append(Text.assemble((escape(source), "bold"), (f"  {tensors[0].kind}", LABEL_STYLE)))
        plain = all(t.contiguous and not t.storage_offset and not t.shares_with for t in tensors)
        parts.append(_plain_layouts(tensors) if plain else _layouts(tensors))
        if any(tensor.stats is not None for tensor in tensors):
            parts += [_values(tensors), *_histogram(tensors)]
    parts.append(_sizes(report))
    return Group(*parts)


def _plain_layouts(tensors: list[TensorInfo]) -> Table:
    """The short table where every tensor is contiguous and alone in its storage."""
    table = _table("tensor", "dtype", "shape", "bytes")
    table.caption = "all contiguous, each in a storage of its own"
    table.caption_justify = "left"
    for item in tensors:
        table.add_row(escape(item.tensor), item.dtype, _numbers(item.shape), f"{item.bytes:,}")
    return table


def _layouts(tensors: list[TensorInfo]) -> Table:
    table = _table("tensor", "dtype", "shape", "stride", "offset", "contiguous", "bytes", "storage")
    for item in tensors:
        table.add_row(
            escape(item.tensor),
            item.dtype,
            _numbers(item.shape),
            _numbers(item.stride),
            str(item.storage_offset),
            "yes" if item.contiguous else Text("no", WARNING_STYLE),
            f"{item.bytes:,}",
            item.storage if item.shares_with else "own",
        )
    return table


def _values(tensors: list[TensorInfo]) -> Table:
    table = _table("tensor", "min", "max", "zeros", "subnormal", "NaN", "inf")
    for item in tensors:
        stats = item.stats
        if stats is None:
            continue
        table.add_row(
            escape(item.tensor),
            "-" if stats.min is None else f"{stats.min:.6g}",
            "-" if stats.max is None else f"{stats.max:.6g}",
            f"{stats.zero_count:,}",
            _counted(stats.subnormal_count, WARNING_STYLE),
            _counted(stats.nan_count, BAD_STYLE),
            _counted(stats.inf_count, BAD_STYLE),
        )
    return table


def _histogram(tensors: list[TensorInfo]) -> list[RenderableType]:
    """How many values of a file lie in each binade, as bars."""
    counts: dict[int, int] = {}
    for item in tensors:
        histogram: Mapping[int, int] = item.stats.exponent_histogram if item.stats else {}
        for exponent, count in histogram.items():
            counts[exponent] = counts.get(exponent, 0) + count
    if not counts:
        return []
    most = max(counts.values())
    lines = Text("Values by exponent (|x| from 2^e to 2^(e+1))\n", LABEL_STYLE)
    last = min(counts)
    for exponent in sorted(counts):
        if exponent > last + _GAP:
            lines.append(f" {'...':>6}\n", LABEL_STYLE)
            last = exponent - 1
        for empty in range(last + 1, exponent):
            lines.append(f" {empty:6d} {'':{_BAR}} 0\n", LABEL_STYLE)
        last, count = exponent, counts[exponent]
        bar = "█" * (-(-count * _BAR // most))
        lines.append(f" {exponent:6d} ", LABEL_STYLE)
        lines.append(f"{bar:{_BAR}}", GOOD_STYLE)
        lines.append(f" {count:,}\n")
    return [lines]


def _sizes(report: InspectReport) -> Text:
    text = Text(
        f"{len(report.tensors):,} tensors of {report.bytes:,} bytes in {report.storage_count:,} "
        f"storages of {report.storage_bytes:,} bytes"
    )
    saved = report.bytes - report.storage_bytes
    if saved > 0:
        text.append(f": sharing saves {saved:,} bytes", GOOD_STYLE)
    elif saved < 0:
        text.append(f": {-saved:,} bytes belong to no tensor", WARNING_STYLE)
    return text


def extremes_table(report: ExtremesReport) -> RenderableType:
    """The most extreme elements, side by side."""
    table = _table("largest", "index", "smallest", "index", "closest to 0", "index")
    table.title = f"{escape(report.tensor)} ({report.dtype})"
    columns = (report.largest, report.smallest, report.closest_to_zero)
    for row in range(max(map(len, columns))):
        cells = [cell for column in columns for cell in _element(column, row)]
        table.add_row(*cells)
    return table


def _element(column: tuple[Element, ...], row: int) -> tuple[str, str]:
    if row >= len(column):
        return "", ""
    return f"{column[row].value:.9g}", _numbers(column[row].index)


def layout_drawing(report: LayoutReport) -> RenderableType:
    """Which element of the storage each index is, for a corner of the last two axes."""
    info = report.info
    rows = info.shape[-2] if len(info.shape) > 1 else 1
    columns = info.shape[-1] if info.shape else 1
    lead = (0,) * max(len(info.shape) - 2, 0)
    steps = " + ".join(f"i{axis} × {stride}" for axis, stride in enumerate(info.stride))
    head = Text.assemble(
        (escape(info.tensor), "bold"),
        f"  {info.dtype}, shape {_numbers(info.shape)}, stride {_numbers(info.stride)}, offset "
        f"{info.storage_offset}, {'' if info.contiguous else 'not '}contiguous\n",
        ("storage element of an index = ", LABEL_STYLE),
        f"{info.storage_offset}{' + ' if steps else ''}{steps}\n",
    )
    if info.count == 0:
        return Group(head, Text("no elements"))
    table = Table(box=box.SQUARE, show_header=False, show_lines=True, padding=(0, 1))
    for row in range(min(rows, _DRAWN)):
        cells = []
        for column in range(min(columns, _DRAWN)):
            index = (*lead, row, column) if len(info.shape) > 1 else (column,) * len(info.shape)
            cells.append(str(report.place(index)))
        table.add_row(*cells, *(["…"] if columns > _DRAWN else []))
    parts: list[RenderableType] = [head, table, Text("…") if rows > _DRAWN else Text()]
    if info.stats is not None:
        parts += [_values([info]), *_histogram([info])]
    return Group(*parts)


def _table(*columns: str) -> Table:
    table = plain_table()
    for number, column in enumerate(columns):
        text = column in ("tensor", "dtype", "shape", "stride", "index", "contiguous", "storage")
        table.add_column(
            column,
            justify="left" if text else "right",
            overflow="fold",
            no_wrap=number > 0,
            min_width=None if number else 8,
        )
    return table


def _numbers(numbers: tuple[int, ...]) -> str:
    return f"[{', '.join(map(str, numbers))}]"


def _counted(count: int, style: str) -> Text:
    return Text(f"{count:,}", style if count else LABEL_STYLE)
