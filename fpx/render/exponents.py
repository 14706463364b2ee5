"""The exponents of a tensor's values as a chart over the ranges of formats."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from rich.console import Console, ConsoleOptions, RenderableType
from rich.text import Text

from fpx.core.formats import FORMATS
from fpx.core.spec import FormatSpec
from fpx.core.targets import find_target
from fpx.render.number_lines import NumberLines, lowest
from fpx.render.text import GOOD_STYLE, LABEL_STYLE

_ROWS = 5  # of characters, each of eight steps
_NEAR = 12  # binades beyond the values that are still drawn if a format ends there
_STEPS = " ▁▂▃▄▅▆▇█"


class ExponentChart:
    """How many values have which exponent, above a line for the range of each format.

    Heights are logarithms of counts: one value in a billion is what people look for here.

    Args:
        exponents: unbiased exponent -> count of values.
        formats: names of targets; those without scales have ranges, which are drawn. Where all
            have scales, that is float32's.
    """

    def __init__(self, exponents: Mapping[int, int], formats: Sequence[str]) -> None:
        self._exponents = exponents
        self._formats = formats

    def __rich_console__(
        self, console: Console, options: ConsoleOptions
    ) -> Iterator[RenderableType]:
        if not self._exponents:
            yield Text(" no finite values but zeros", LABEL_STYLE)
            return
        targets = [find_target(name) for name in self._formats]
        specs = [target for target in targets if isinstance(target, FormatSpec)]
        specs = specs or [FORMATS["float32"]]
        lines = NumberLines(specs, self._binades(specs))
        width, indent = lines.width(options), lines.indent
        counts = [0] * width
        for exponent, count in self._exponents.items():
            first, last = lines.at(exponent, width), lines.at(exponent + 1, width)
            for column in range(max(first, 0), min(max(last, first + 1), width)):
                counts[column] = max(counts[column], count)
        top = math.log2(max(counts) + 1)
        heights = [math.ceil(math.log2(n + 1) / top * 8 * _ROWS) if n else 0 for n in counts]
        for row in reversed(range(_ROWS)):
            cells = (_STEPS[min(max(height - 8 * row, 0), 8)] for height in heights)
            label = f"{max(counts):,}" if row == _ROWS - 1 else "1" if row == 0 else ""
            yield Text.assemble(
                (f"{label:>{indent - 1}} ", LABEL_STYLE), ("".join(cells).rstrip(), GOOD_STYLE)
            )
        yield lines

    def _binades(self, specs: Sequence[FormatSpec]) -> tuple[int, int]:
        """The axis: all values, and the ends of formats that are near."""
        low, high = min(self._exponents), max(self._exponents) + 1
        ends = [end for spec in specs for end in (lowest(spec), spec.emin, spec.emax + 1)]
        near = [end for end in ends if low - _NEAR <= end <= high + _NEAR]
        return min([low, *near]) - 1, max([high, *near]) + 1
