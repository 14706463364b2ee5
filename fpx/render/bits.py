"""`fpx bits` as lines: offset, codes, and what they stand for."""

from __future__ import annotations

from collections.abc import Sequence

from fpx.core.spec import FormatSpec
from fpx.render.table import EXACT_SHOWN, readable


class ByteLines:
    """Codes and their values as lines, an offset in front, as hex dumps have it.

    Args:
        spec: the codes' format.
        width: columns to stay within.
    """

    def __init__(self, spec: FormatSpec, width: int) -> None:
        self._spec = spec
        if spec.bits <= 8:
            self._value_width = max(len(readable(code, spec)) for code in range(1 << spec.bits))
        else:
            exponent_digits = len(str(abs(spec.quantum_exponent) * 3 // 10))
            self._value_width = max(spec.max_digits10 + len("-.e-") + exponent_digits, EXACT_SHOWN)
        room = (width - 10) // (spec.code_digits + self._value_width + 2)
        self.per_line = max(n for n in (1, 2, 4, 8, 16) if n <= max(room, 1))

    def line(self, offset: int, codes: Sequence[int]) -> str:
        """The line of some codes (at most `per_line`), the first at a byte offset."""
        spec = self._spec
        code_texts = (f"{code:0{spec.code_digits}x}" for code in codes)
        values = (f"{readable(code, spec):>{self._value_width}}" for code in codes)
        left = " ".join(code_texts).ljust(self.per_line * (spec.code_digits + 1) - 1)
        return f"{offset:08x}: {left} {' '.join(values)}"
