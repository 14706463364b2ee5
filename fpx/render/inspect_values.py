"""`fpx inspect --stats` and `--top`: values of tensors, their channels, a histogram, extremes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from rich.console import Console, ConsoleOptions, Group, RenderableType
from rich.text import Text

from fpx.render.listing import Cell, Listing
from fpx.render.text import BAD_STYLE, GOOD_STYLE, LABEL_STYLE, WARNING_STYLE
from fpx.report.inspect import ExtremesReport
from fpx.report.inspect_row import Channel, Element, TensorInfo
from fpx.words import escape

_BAR = 40  # columns of the longest bar
_GAP = 3  # empty binades in a row beyond which they are left out


def stats_tables(tensors: Sequence[TensorInfo]) -> list[RenderableType]:
    """What values tensors have, as far as they were read."""
    return [_values(tensors), *_channels(tensors), *_histogram(tensors)]


def numbers_text(numbers: Sequence[int]) -> str:
    """A shape, an index or strides: `[3, 4]`."""
    return f"[{', '.join(map(str, numbers))}]"


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
    return exponent_bars("Values", counts)


def exponent_bars(what: str, counts: Mapping[int, int]) -> list[RenderableType]:
    """How many numbers have each exponent, as bars; nothing of none."""
    if not counts:
        return []
    most = max(counts.values())
    lines = Text(f"\n{what} by exponent (|x| from 2^e to 2^(e+1))\n", LABEL_STYLE)
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
        beside = Listing(head, rows, left=("index",))
        if beside.need() <= options.max_width:
            yield beside
            return
        for which, elements in self._lists.items():
            below = [_element(elements, row) for row in range(len(elements))]
            yield Listing((which, "index"), below, left=("index",))


def _element(elements: Sequence[Element], row: int) -> tuple[str, str]:
    if row >= len(elements):
        return "", ""
    return elements[row].shortest, numbers_text(elements[row].index)
