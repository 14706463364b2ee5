"""Under which circumstances something is added: sizes, threads, layout, compiler and flags."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from fpx.report.base import JsonValue


class Size(NamedTuple):
    """How large a reduction is: an (m, k) matrix times a (k, n) one; of a vector, k elements.

    Attributes:
        m, n: rows and columns of the result.
        k: leaves of each sum.
        matrix: whether there are matrices.
    """

    m: int
    k: int
    n: int
    matrix: bool = True

    @property
    def text(self) -> str:
        """`32x64x32`, or `64`."""
        return f"{self.m}x{self.k}x{self.n}" if self.matrix else f"{self.k}"


@dataclass(frozen=True)
class Case:
    """One set of circumstances.

    Attributes:
        size: of the operands.
        threads: that torch uses.
        layout: how the operands lie in memory.
        compiled: whether torch.compile made the operation.
        flags: names of torch's settings -> what they were set to.
    """

    size: Size
    threads: int
    layout: str = "contiguous"
    compiled: bool = False
    flags: tuple[tuple[str, str], ...] = ()

    def to_dict(self) -> dict[str, JsonValue]:
        """Its parts."""
        size = self.size
        return {
            "shape": [size.m, size.k, size.n] if size.matrix else [size.k],
            "threads": self.threads,
            "layout": self.layout,
            "compiled": self.compiled,
            "flags": dict(self.flags),
        }

    def columns(self) -> dict[str, str]:
        """What tells it from others, as text: name -> value."""
        return {
            "shape": self.size.text,
            "threads": str(self.threads),
            "layout": self.layout,
            "compile": "yes" if self.compiled else "no",
            **dict(self.flags),
        }


def ranges(numbers: Sequence[int], every: Sequence[int]) -> str:
    """Numbers as ranges: `1`, `2-3`, `4-256`; a range holds no other of those that were tried.

    Args:
        numbers: some.
        every: all that were tried.
    """
    order = sorted(set(every))
    places = [order.index(number) for number in sorted(set(numbers))]
    runs: list[list[int]] = []
    for place in places:
        if runs and place == runs[-1][-1] + 1:
            runs[-1].append(place)
        else:
            runs.append([place])
    texts = []
    for run in runs:
        first, last = order[run[0]], order[run[-1]]
        texts.append(f"{first}" if first == last else f"{first}-{last}")
    return ", ".join(texts)
