"""`fpx inspect`: lists of tensors, a histogram, and a tensor's values or places as a grid."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from rich.console import Console, ConsoleOptions, Group, RenderableType
from rich.text import Text

from fpx.render.listing import Cell, Listing
from fpx.render.text import BAD_STYLE, GOOD_STYLE, LABEL_STYLE, WARNING_STYLE
from fpx.report.inspect import (
    Channel,
    Element,
    ExtremesReport,
    InspectReport,
    LayoutReport,
    TensorGroup,
    TensorInfo,
    TensorReport,
    dtype_totals,
    groups,
)
from fpx.words import escape

_BAR = 40  # columns of the longest bar
_GAP = 3  # empty binades in a row beyond which they are left out
_DRAWN = 8  # rows and columns of a tensor whose places are drawn
_KEYS = 40  # lines of metadata, unless all are asked for
_TEXT = ("tensor", "dtype", "shape", "stride", "storage", "index", "key", "value")


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
        parts.append(_dtypes(tensors))
        if report.metadata.get(source):
            parts.append(_metadata(report.metadata[source], every))
        parts.append(_tensors(tensors, every))
        if any(tensor.stats is not None for tensor in tensors):
            parts += [_values(tensors), *_channels(tensors), *_histogram(tensors)]
    parts.append(_sizes(report))
    return Group(*parts)


# -- what there is ---------------------------------------------------------------------------------


def _dtypes(tensors: Sequence[TensorInfo]) -> RenderableType:
    rows = [
        (
            escape(total.dtype),
            f"{total.tensors:,}",
            f"{total.elements:,}",
            "?" if total.bytes is None else f"{total.bytes:,}",
        )
        for total in dtype_totals(tensors)
    ]
    return Listing(("dtype", "tensors", "elements", "bytes"), rows)


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
    columns["shape"] = [_numbers(first.shape) for first in firsts]
    columns["bytes"] = [_bytes(group) for group in found]
    said: dict[str, Callable[[TensorInfo], str]] = {
        "stride": lambda item: "" if item.contiguous else _numbers(item.stride),
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
        f"\n{_counted('tensor', len(report.tensors))}, {_counted('element', report.elements)}, "
        f"{_counted('byte', report.bytes)}"
    )
    saved = report.bytes - report.storage_bytes
    if saved or report.storage_count != len(report.tensors):
        text.append(
            f" in {_counted('storage', report.storage_count)} of "
            f"{_counted('byte', report.storage_bytes)}"
        )
    if saved > 0:
        text.append(f": sharing saves {_counted('byte', saved)}", GOOD_STYLE)
    elif saved < 0:
        text.append(f": {_counted('byte', -saved)} belong to no tensor", WARNING_STYLE)
    return text


def _counted(what: str, count: int) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


# -- values ----------------------------------------------------------------------------------------


_COUNTS = {"zeros": ("zero_count", LABEL_STYLE), "subnormal": ("subnormal_count", WARNING_STYLE),
           "NaN": ("nan_count", BAD_STYLE), "inf": ("inf_count", BAD_STYLE)}  # fmt: skip
_PLURALS = {"subnormal": "subnormals", "inf": "infinities"}
_MOMENTS = {"min": "min", "max": "max", "min |x|": "min_abs", "mean": "mean", "std": "std"}


def _values(tensors: Sequence[TensorInfo]) -> RenderableType:
    """Extremes and moments of each tensor, and those counts that any of them has."""
    read = [item for item in tensors if item.stats is not None]
    counts = [
        name for name, (key, _) in _COUNTS.items() if any(getattr(t.stats, key) for t in read)
    ]
    rows: list[list[Cell]] = []
    for item in read:
        row: list[Cell] = [escape(item.tensor)]
        row += [_number(getattr(item.stats, key)) for key in _MOMENTS.values()]
        for name in counts:
            key, style = _COUNTS[name]
            count = getattr(item.stats, key)
            row.append(Text(f"{count:,}", style if count else LABEL_STYLE))
        rows.append(row)
    absent = [_PLURALS.get(name, name) for name in _COUNTS if name not in counts]
    last = absent[-1:]
    said = " or ".join([", ".join(absent[:-1]), *last] if len(absent) > 1 else last)
    return Listing(
        ("tensor", *_MOMENTS, *counts),
        rows,
        first_out=("zeros", "subnormal", "min |x|", "mean", "std", "min", "max"),
        note=f"no {said}" if said else "",
    )


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.6g}"


def _channels(tensors: Sequence[TensorInfo]) -> list[RenderableType]:
    """The channel of each tensor that sticks out, the most striking first."""
    found = [(item.stats.channel, item) for item in tensors if item.stats and item.stats.channel]
    if not found:
        return []
    found.sort(key=lambda pair: -_prominence(pair[0]))
    rows = [
        (
            escape(item.tensor), str(channel.axis), f"{channel.index:,} of {channel.channels:,}",
            _number(channel.max_abs), _number(channel.median),
            _ratio(channel),
        )
        for channel, item in found
    ]  # fmt: skip
    head = ("tensor", "axis", "channel", "max |x|", "median of channels", "ratio")
    return [Listing(head, rows, first_out=("axis", "median of channels", "max |x|"))]


def _ratio(channel: Channel) -> str:
    if channel.ratio is not None:
        return f"{channel.ratio:.4g}"
    return "inf" if channel.max_abs else "-"


def _prominence(channel: Channel) -> float:
    """How far it sticks out; where all others are zero, most of all."""
    if channel.ratio is not None:
        return channel.ratio
    return float("inf") if channel.max_abs else 0.0


def _histogram(tensors: Sequence[TensorInfo]) -> list[RenderableType]:
    """How many values of a file lie in each binade, as bars."""
    counts: dict[int, int] = {}
    for item in tensors:
        histogram: Mapping[int, int] = item.stats.exponent_histogram if item.stats else {}
        for exponent, count in histogram.items():
            counts[exponent] = counts.get(exponent, 0) + count
    if not counts:
        return []
    most = max(counts.values())
    lines = Text("\nValues by exponent (|x| from 2^e to 2^(e+1))\n", LABEL_STYLE)
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
    lines.right_crop(1)
    return [lines]


def extremes_table(report: ExtremesReport) -> RenderableType:
    """The most extreme elements."""
    return Group(
        Text.assemble((escape(report.tensor), "bold"), (f"  {report.dtype}", LABEL_STYLE)),
        _Extremes(report),
    )


class _Extremes:
    """The most extreme elements: side by side where there is room, else below each other."""

    def __init__(self, report: ExtremesReport) -> None:
        self._lists = {
            "largest": report.largest,
            "smallest": report.smallest,
            "closest to 0": report.closest_to_zero,
        }

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Listing]:
        every = list(self._lists.values())
        rows = [
            [cell for elements in every for cell in _element(elements, row)]
            for row in range(max(map(len, every)))
        ]
        head = [name for which in self._lists for name in (which, "index")]
        beside = Listing(head, rows, left=_TEXT)
        if beside.need() <= options.max_width:
            yield beside
            return
        for which, elements in self._lists.items():
            below = [_element(elements, row) for row in range(len(elements))]
            yield Listing((which, "index"), below, left=_TEXT)


def _element(elements: Sequence[Element], row: int) -> tuple[str, str]:
    if row >= len(elements):
        return "", ""
    return elements[row].shortest, _numbers(elements[row].index)


# -- one tensor ------------------------------------------------------------------------------------


def tensor_values(report: TensorReport) -> RenderableType:
    """The values of a tensor, a grid for each index of all axes but the last two."""
    info = report.info
    values = {item.index: item.shortest for item in report.elements}
    parts: list[RenderableType] = [_heading(info)]
    if not values:
        parts.append(Text("\nno elements"))
    parts += _grids(info.shape, report.indexes, values)
    if report.elements and not report.whole:
        parts.append(
            Text(
                f"{len(report.elements):,} of {info.count:,} elements: --index and --top show "
                "others",
                LABEL_STYLE,
            )
        )
    if info.stats is not None:
        parts += [_values([info]), *_channels([info]), *_histogram([info])]
    return Group(*parts)


def layout_drawing(report: LayoutReport) -> RenderableType:
    """Which element of the storage each index is, for a corner of the last two axes."""
    info = report.info
    steps = " + ".join(f"i{axis} × {stride}" for axis, stride in enumerate(info.stride))
    parts: list[RenderableType] = [
        _heading(info),
        Text(
            f"stride {_numbers(info.stride)}, offset {info.storage_offset}, "
            f"{'' if info.contiguous else 'not '}contiguous"
        ),
        Text.assemble(
            ("storage element of an index = ", LABEL_STYLE),
            f"{info.storage_offset}{' + ' if steps else ''}{steps}",
        ),
    ]
    if info.shares_with:
        others = ", ".join(map(escape, info.shares_with[:_DRAWN]))
        more = ", …" if len(info.shares_with) > _DRAWN else ""
        parts.append(Text(f"storage {info.storage}, shared with {others}{more}"))
    if info.count == 0:
        parts.append(Text("no elements"))
    else:
        lead = len(info.shape) - 2
        indexes = [
            tuple(range(min(length, 1 if axis < lead else _DRAWN)))
            for axis, length in enumerate(info.shape)
        ]
        places = {index: f"{report.place(index):,}" for index in _all(indexes)}
        parts += _grids(info.shape, indexes, places)
    if info.stats is not None:
        parts += [_values([info]), *_channels([info]), *_histogram([info])]
    return Group(*parts)


def _heading(info: TensorInfo) -> Text:
    return Text.assemble(
        (escape(info.tensor), "bold"),
        (f"  {info.dtype}, shape {_numbers(info.shape)}, {_counted('element', info.count)}"),
    )


def _all(indexes: Sequence[Sequence[int]]) -> Iterator[tuple[int, ...]]:
    if not indexes:
        yield ()
        return
    for at in indexes[0]:
        for rest in _all(indexes[1:]):
            yield (at, *rest)


def _grids(
    shape: Sequence[int], indexes: Sequence[Sequence[int]], cells: Mapping[tuple[int, ...], str]
) -> list[RenderableType]:
    """A grid of rows and columns for each index of the axes before them."""
    if not cells:
        return []
    if not shape:
        return [Text(f"\n {cells[()]}")]
    parts: list[RenderableType] = []
    rows = _with_gaps(indexes[-2], shape[-2]) if len(shape) > 1 else [0]
    columns = _with_gaps(indexes[-1], shape[-1])
    for lead in _all(indexes[:-2]):
        if lead:
            parts.append(Text(f"\n[{', '.join(map(str, lead))}, :, :]", LABEL_STYLE))
        if len(shape) == 1:  # one below the other: values have any length
            listed = [("…", "") if at is None else (str(at), cells[(at,)]) for at in columns]
            parts.append(Listing(("index", "value"), listed))
            continue
        grid = [
            [
                "…" if row is None or column is None else cells[(*lead, row, column)]
                for column in columns
            ]
            for row in rows
        ]
        heads = ["…" if column is None else str(column) for column in columns]
        parts.append(_Grid(heads, ["…" if row is None else str(row) for row in rows], grid))
    return parts


def _with_gaps(indexes: Sequence[int], length: int) -> list[int | None]:
    """Indexes in order, with None where some are left out."""
    found: list[int | None] = []
    following = 0
    for at in indexes:
        if at != following:
            found.append(None)
        found.append(at)
        following = at + 1
    return found if following == length else [*found, None]


class _Grid:
    """Cells under and beside their indexes; columns in the middle go where there is no room."""

    def __init__(
        self, columns: Sequence[str], rows: Sequence[str], cells: Sequence[Sequence[str]]
    ) -> None:
        self._columns, self._rows, self._cells = columns, rows, cells

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Listing]:
        kept = list(range(len(self._columns)))
        grid = self._listing(kept, None)
        while grid.need() > options.max_width and kept:
            middle = len(kept) // 2
            del kept[middle]
            grid = self._listing(kept, middle)
        yield grid

    def _listing(self, kept: Sequence[int], gap: int | None) -> Listing:
        """The grid of some columns, with a mark where others were."""

        def line(cells: Sequence[str]) -> list[str]:
            found = [cells[at] for at in kept]
            if gap is not None:
                found.insert(gap, "…")
            # one mark is enough where columns were left out at either side
            return [
                cell
                for at, cell in enumerate(found)
                if not (heads[at] == "…" and at and heads[at - 1] == "…")
            ]

        heads = [self._columns[at] for at in kept]
        if gap is not None:
            heads.insert(gap, "…")
        rows = [[name, *line(cells)] for name, cells in zip(self._rows, self._cells, strict=True)]
        return Listing(["", *line(self._columns)], rows)


def _numbers(numbers: Sequence[int]) -> str:
    return f"[{', '.join(map(str, numbers))}]"
