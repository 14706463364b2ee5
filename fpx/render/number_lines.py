"""The ranges of formats as lines over one axis of exponents."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Console, ConsoleOptions
from rich.text import Text

from fpx.core.spec import FormatSpec
from fpx.render.tables import picture_width
from fpx.render.text import GOOD_STYLE, LABEL_STYLE, WARNING_STYLE

_WIDEST_DRAWN = 8  # exponent bits, where many formats share an axis: wider ones leave it
_NEAREST_LABELS = 8  # columns from one to the next


class NumberLines:
    """Where the values of formats lie: normals and subnormals on one log2 axis.

    A line per format: `░` are binades of subnormals, `█` of normals; an arrow leaves the axis.

    Args:
        specs: the formats.
        binades: the exponents where the axis begins and ends; None takes all that the formats have,
            of three or more without the widest ones.
    """

    def __init__(self, specs: Sequence[FormatSpec], binades: tuple[int, int] | None = None) -> None:
        self._specs = specs
        drawn = specs
        if len(specs) > 2:
            drawn = [spec for spec in specs if spec.exponent_bits <= _WIDEST_DRAWN] or specs
        self._low, self._high = binades or (
            min(lowest(spec) for spec in drawn),
            max(spec.emax for spec in drawn) + 1,
        )

    @property
    def indent(self) -> int:
        """Columns before the axis."""
        return max(len(spec.name) for spec in self._specs) + 2

    def width(self, options: ConsoleOptions) -> int:
        """Columns of the axis."""
        return max(picture_width(options) - self.indent - 1, 10)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Text]:
        names, width = self.indent - 2, self.width(options)
        yield Text(f" {'':{names}} ") + self._axis(width)
        for spec in self._specs:
            yield Text.assemble(" ", (f"{spec.name:{names}} ", "bold"), self._line(spec, width))
        yield Text(" log2 of the value: █ normal, ░ subnormal, < > further", LABEL_STYLE)

    def at(self, exponent: int, width: int) -> int:
        """The column of an exponent; beyond the axis, -1 or `width`."""
        column = (exponent - self._low) * width // (self._high - self._low)
        return min(max(column, -1), width)

    def _line(self, spec: FormatSpec, width: int) -> Text:
        low, normal = self.at(lowest(spec), width), self.at(spec.emin, width)
        end = max(self.at(spec.emax + 1, width), normal + 1)
        cells = [" "] * width
        for column in range(max(low, 0), min(end, width)):
            cells[column] = "░" if column < normal else "█"
        if low < 0:
            cells[0] = "<"
        if end > width or (self.at(spec.emax + 1, width) == width and spec.emax >= self._high):
            cells[-1] = ">"
        line = Text("".join(cells))
        line.highlight_regex("█+", GOOD_STYLE)
        line.highlight_regex("░+", WARNING_STYLE)
        return line

    def _axis(self, width: int) -> Text:
        """Round exponents above their columns, whole and apart."""
        longest = max(len(str(self._low)), len(str(self._high)))
        room = max(longest + longest // 2 + 1, _NEAREST_LABELS)  # those at the ends move inward
        step = next(
            step
            for power in range(12)
            for step in (10**power, 2 * 10**power, 5 * 10**power)
            if self.at(self._low + step, width) >= room or step > self._high - self._low
        )
        cells = [" "] * width
        for exponent in range(-(-self._low // step) * step, self._high, step):
            label = str(exponent)
            middle = self.at(exponent, width) - len(label) // 2
            start = max(min(middle, width - len(label)), 0)
            cells[start : start + len(label)] = label
        return Text("".join(cells).rstrip(), LABEL_STYLE)


def lowest(spec: FormatSpec) -> int:
    """log2 of the smallest positive value."""
    return spec.smallest_positive.log2_floor
