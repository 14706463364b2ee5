"""A number among its neighbours, and among the ranges of the formats."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from typing import NamedTuple

from rich.console import Console, ConsoleOptions
from rich.text import Text

from fpx.core.dyadic import Dyadic
from fpx.core.interval import Interval
from fpx.core.numbers import as_fraction
from fpx.explore.state import LEVELS, State
from fpx.render.decode import value_of
from fpx.render.number_lines import NumberLines, lowest
from fpx.render.tables import picture_width
from fpx.render.text import GOOD_STYLE, LABEL_STYLE, WARNING_STYLE, Legible
from fpx.report.decode import DecodeReport
from fpx.report.table import CodeRow, TableReport

_NEAR = 6  # levels with neighbours; those after show binades
_LEAST = 2  # values of a line
_SHOWN = 12  # characters of a value
_FINER = 16  # binades that the unit of a line is below the spacing of values
_GAP = 2  # columns between two


class NumberLine:
    """The line at the zoom of a state: neighbours, or ranges."""

    def __init__(self, state: State) -> None:
        self._state = state

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Text]:
        state = self._state
        if state.zoom >= _NEAR:
            yield from ranges(state, state.zoom, console, options)
        else:
            yield from neighbours(state.report, 1 << state.zoom, picture_width(options))


class WholeLine:
    """The neighbours of a number, and under them the whole range of each format."""

    def __init__(self, state: State) -> None:
        self._state = state

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Text]:
        state = self._state
        yield from neighbours(state.report, 1 << min(state.zoom, _NEAR - 1), picture_width(options))
        yield Text()
        level = state.zoom if state.zoom >= _NEAR else LEVELS
        yield from ranges(state, level, console, options)


# -- neighbours ------------------------------------------------------------------------------------


class _Scale(NamedTuple):
    """Where numbers are on a line of some columns, in integers of a small unit.

    Attributes:
        unit: log2 of the unit.
        low, high: the ends of the line in units.
        width: columns.
    """

    unit: int
    low: int
    high: int
    width: int

    @classmethod
    def around(cls, value: Dyadic, others: Iterable[Dyadic], width: int) -> _Scale:
        """The line with a value in its middle, a margin beyond the furthest of some others."""
        others = tuple(others)
        unit = min(value.exponent, *(other.exponent for other in others)) - _FINER
        middle = _units(value, unit)
        reach = max(abs(_units(other, unit) - middle) for other in others) * 5 // 4
        return cls(unit, middle - reach, middle + reach, width)

    def column(self, number: Dyadic) -> int:
        """The column of a number; -1 or `width` beyond the line."""
        return self._column(_units(number, self.unit))

    def column_of(self, number: Fraction) -> int:
        """The same of any number, rounded down to a unit."""
        over, under = number.as_integer_ratio()
        shift = max(self.unit, 0)
        return self._column((over << shift - self.unit) // (under << shift))

    def _column(self, units: int) -> int:
        if units < self.low:
            return -1
        if units > self.high:
            return self.width
        span = self.high - self.low
        return (2 * (units - self.low) * (self.width - 1) + span) // (2 * span)


def _units(number: Dyadic, unit: int) -> int:
    return number.significand << number.exponent - unit


def neighbours(report: DecodeReport, count: int, width: int) -> Iterator[Text]:
    """A value between `count` others on each side, what rounds to it, and its ulp."""
    value = report.dyadic
    if value is None:
        yield Text(f"{report.shortest} has no place on the line of numbers", LABEL_STYLE)
        return
    rows = [(row, row.dyadic) for row in TableReport.around(report, 2 * count + 1).rows]
    places = [(row, place) for row, place in rows if place is not None]
    if len(places) < _LEAST:
        yield Text(f"{report.shortest} is the only value", LABEL_STYLE)
        return
    scale = _Scale.around(value, (place for _, place in places), width)
    middle = scale.column(value)
    marks = [(row, scale.column(place)) for row, place in places]
    marks.sort(key=lambda mark: abs(mark[1] - middle))
    yield _labels(report, marks, width)
    line = ["─"] * width
    for _, column in marks:
        line[column] = "┼"
    line[middle] = "●"
    drawn = Text("".join(line))
    drawn.stylize("bold", middle, middle + 1)
    yield drawn
    yield _interval(report, scale)
    yield _ulp(report, scale)


def _labels(report: DecodeReport, marks: Sequence[tuple[CodeRow, int]], width: int) -> Text:
    """Values above their columns, the first ones before others for which there is no room."""
    cells = [" "] * width

    def free(start: int, end: int) -> bool:
        return not "".join(cells[max(start - _GAP, 0) : end + _GAP]).strip()

    # about half a label, for to write one of a wide format takes a while
    half = report.spec.max_digits10 // 2
    for row, column in marks:
        if not free(column - half, column + half + 1):
            continue
        label = value_of(report, row.value, Legible(), _SHOWN)
        start = min(max(column - len(label) // 2, 0), width - len(label))
        if start >= 0 and free(start, start + len(label)):
            cells[start : start + len(label)] = label
    return Text("".join(cells).rstrip())


def _interval(report: DecodeReport, scale: _Scale) -> Text:
    """What rounds to the value, and where the number is that was given."""
    interval = report.interval
    if interval is None:
        return Text("no other number rounds here", LABEL_STYLE)
    low, high = _ends(interval, scale)
    cells = [" "] * scale.width
    for column in range(max(low, 0), min(high + 1, scale.width)):
        cells[column] = "━"
    if low >= 0:
        cells[low] = "[" if interval.low_closed else "("
    if high < scale.width:
        cells[high] = "]" if interval.high_closed else ")"
    given = as_fraction(report.number) if report.number and report.rounded.inexact else None
    at = -1 if given is None else scale.column_of(given)
    says = "rounds here"
    if 0 <= at < scale.width:
        cells[at] = "▲"
        says += f", ▲ {report.input if len(report.input) <= _SHOWN else 'the number'}"
    text = Text.assemble(("".join(cells), GOOD_STYLE))
    if 0 <= at < scale.width:
        text.stylize(WARNING_STYLE, at, at + 1)
    return _beside(text, says)


def _ends(interval: Interval, scale: _Scale) -> tuple[int, int]:
    low = -1 if interval.low is None else scale.column(interval.low)
    high = scale.width if interval.high is None else scale.column(interval.high)
    return low, high


def _ulp(report: DecodeReport, scale: _Scale) -> Text:
    """The ulp as a length, from the value away from zero; an infinite number has none."""
    value, ulp = report.dyadic, report.ulp_dyadic
    assert value is not None
    if ulp is None:
        return Text()
    says = f"1 ulp = 2^{ulp.exponent}"
    ends = scale.column(value), scale.column(value.minus(ulp) if report.sign else value.plus(ulp))
    start, end = min(ends), max(ends)
    inside = end - start - 1
    if start < 0 or end >= scale.width or inside < len(says) + 4:
        return Text(f"{' ' * max(ends[0], 0)}└ {says}", LABEL_STYLE)
    return Text(f"{' ' * start}└{f' {says} ':─^{inside}}┘", LABEL_STYLE)


def _beside(text: Text, says: str) -> Text:
    """Some words at the end of a line that has room for them, else at its beginning, or nowhere."""
    width, plain, needed = text.cell_len, text.plain, len(says) + 2
    if len(plain.rstrip()) + needed <= width:
        text.right_crop(len(says))
        return text.append(says, LABEL_STYLE)
    if len(plain) - len(plain.lstrip()) >= needed:
        return Text(says, LABEL_STYLE).append_text(text[len(says) :])
    return text


# -- ranges ----------------------------------------------------------------------------------------


def ranges(state: State, level: int, console: Console, options: ConsoleOptions) -> Iterator[Text]:
    """The formats' ranges under each other, around the value's binade or whole."""
    specs = state.formats
    low, high = min(map(lowest, specs)), max(spec.emax for spec in specs) + 1
    value = state.report.dyadic
    exponent = None if value is None or not value.significand else value.log2_floor
    if level < LEVELS and exponent is not None:
        half = 4 << (level - _NEAR)
        low, high = max(low, exponent - half), min(high, exponent + half)
    lines = NumberLines(specs, (low, max(high, low + 1)))
    yield from lines.__rich_console__(console, options)
    if exponent is None:
        yield Text(f" {state.report.shortest} has no exponent", LABEL_STYLE)
        return
    column = min(max(lines.at(exponent, lines.width(options)), 0), lines.width(options) - 1)
    says = f"2^{exponent}: {state.report.shortest}"
    place = lines.indent + column
    if place + 2 + len(says) <= options.max_width:
        yield Text(f"{' ' * place}▲ {says}", WARNING_STYLE)
    else:
        yield Text(f"{' ' * max(place - len(says) - 1, 0)}{says} ▲", WARNING_STYLE)
