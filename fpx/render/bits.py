"""`fpx bits` as lines: offset, codes, and what they stand for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache

from rich.console import Console, ConsoleOptions
from rich.text import Text

from fpx.core.spec import FormatSpec
from fpx.render.table import EXACT_SHOWN, readable
from fpx.render.tables import picture_width
from fpx.report.bits import ROW, BitsReport
from fpx.report.table import CodeRow


class ByteLines:
    """Codes and their values as lines, an offset in front, as hex dumps have it."""

    def __init__(self, report: BitsReport) -> None:
        self._report = report

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Text]:
        report, spec = self._report, self._report.spec
        width = _value_width(spec)
        room = (picture_width(options) - 10) // (spec.code_digits + width + 2)
        per_line = max(n for n in (1, 2, 4, 8, ROW) if n <= max(room, 1))
        rows = report.parts()
        for start in range(0, len(rows), per_line):
            yield Text(self._line(start, rows[start : start + per_line], per_line, width))

    def _line(self, start: int, rows: Sequence[CodeRow], per_line: int, width: int) -> str:
        spec = self._report.spec
        code_texts = (f"{row.code:0{spec.code_digits}x}" for row in rows)
        values = (f"{readable(row):>{width}}" for row in rows)
        left = " ".join(code_texts).ljust(per_line * (spec.code_digits + 1) - 1)
        return f"{self._report.offset_of(start):08x}: {left} {' '.join(values)}"


def byte_lines(report: BitsReport) -> ByteLines:
    """The codes and values as a hex dump has them."""
    return ByteLines(report)


@lru_cache(maxsize=64)
def _value_width(spec: FormatSpec) -> int:
    """The characters of the longest value."""
    if spec.bits <= 8:
        return max(len(readable(CodeRow(spec, code))) for code in range(1 << spec.bits))
    exponent_digits = len(str(abs(spec.quantum_exponent) * 3 // 10))
    return max(spec.max_digits10 + len("-.e-") + exponent_digits, EXACT_SHOWN)
