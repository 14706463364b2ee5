"""`fpx inspect --tensor`: a tensor's values, or its places in a storage, as a grid."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from rich.console import Console, ConsoleOptions, Group, RenderableType
from rich.text import Text

from fpx.render.inspect_values import exponent_bars, numbers_text, stats_tables
from fpx.render.listing import Listing
from fpx.render.quantised import stored_panel
from fpx.render.text import LABEL_STYLE, ROUNDED_HERE, Legible
from fpx.report.inspect import LayoutReport, TensorReport
from fpx.report.inspect_row import TensorInfo
from fpx.words import counted, escape

_DIGITS = 7  # of the values of quantised weights, which have up to 17
_DRAWN = 8  # rows and columns of a tensor whose places are drawn


def tensor_values(report: TensorReport) -> RenderableType:
    """The values of a tensor, a grid for each index of all axes but the last two."""
    info = report.info
    legible = Legible()
    values = {item.index: item.shortest for item in report.elements}
    parts: list[RenderableType] = [_heading(info)]
    if info.quantised is not None:  # its values are products, of up to 17 digits
        values = {index: legible(text, _DIGITS) for index, text in values.items()}
        parts += [stored_panel(info), Text("\nDequantised", LABEL_STYLE)]
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
    if legible.rounds:
        parts.append(Text(ROUNDED_HERE, LABEL_STYLE))
    return Group(*parts, *_stats(info))


def layout_drawing(report: LayoutReport) -> RenderableType:
    """Which element of the storage each index is, for a corner of the last two axes.

    Of a quantised weight: which tensors it is stored in, and how.
    """
    info = report.info
    if info.quantised is not None:
        drawn: list[RenderableType] = [_heading(info), stored_panel(info)]
        return Group(*drawn, *_stats(info))
    steps = " + ".join(f"i{axis} × {stride}" for axis, stride in enumerate(info.stride))
    parts: list[RenderableType] = [
        _heading(info),
        Text(
            f"stride {numbers_text(info.stride)}, offset {info.storage_offset}, "
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
    return Group(*parts, *_stats(info))


def _stats(info: TensorInfo) -> list[RenderableType]:
    """What values it has, and which scales, if those were asked for."""
    if info.stats is None:
        return []
    counts = None if info.quantised is None else info.quantised.scale_counts
    scales = {} if counts is None else counts.exponent_histogram
    return [*stats_tables([info]), *exponent_bars("Scales", scales)]


def _heading(info: TensorInfo) -> Text:
    return Text.assemble(
        (escape(info.tensor), "bold"),
        (f"  {info.dtype}, shape {numbers_text(info.shape)}, {counted(info.count, 'element')}"),
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
