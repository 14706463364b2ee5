"""The table of a small format's codes, in which the cursor is the code."""

from __future__ import annotations

from functools import lru_cache

from rich.console import Group, RenderableType
from rich.style import Style
from rich.text import Text

from fpx.core.spec import FormatSpec
from fpx.explore.marks import CODE, marked
from fpx.explore.state import State
from fpx.render.table import CodeGrid, readable
from fpx.render.text import LABEL_STYLE
from fpx.report.table import CodeRow, Grid, TableReport

WIDEST = 8
"""Bits of a format whose codes are shown all at once."""

_AROUND = 15  # values of a wider one


def codes(state: State) -> RenderableType:
    """All codes of a format of few bits; of a wider one those around the value."""
    spec, code = state.lead, state.code
    if spec.bits > WIDEST:
        return _around(state)
    sign = code & spec.sign_mask

    def mark(row: CodeRow) -> Style:
        return marked(row.code | sign == code, **{CODE: row.code | sign})

    says = "Codes with the sign bit set: the values below, negative." if sign else ""
    return Group(CodeGrid(spec, _grid(spec), mark), *([Text(says, LABEL_STYLE)] if says else ()))


@lru_cache(maxsize=8)
def _grid(spec: FormatSpec) -> Grid:
    return TableReport.whole(spec).grid


def beside(state: State, across: int, down: int) -> State:
    """The code that many places further in the table; at its edges the state itself."""
    spec, code = state.lead, state.code
    if spec.bits > WIDEST:
        return state
    grid = _grid(spec)
    magnitude = code & spec.magnitude_mask
    at = {row.code: (y, x) for y, line in enumerate(grid.rows) for x, row in enumerate(line)}
    y, x = at[magnitude]
    y, x = y + down, x + across
    if not (0 <= y < len(grid.rows) and 0 <= x < len(grid.rows[0])):
        return state
    return state.with_code(grid.rows[y][x].code | code & spec.sign_mask)


def _around(state: State) -> RenderableType:
    report = state.report
    if report.number is None and report.dyadic is None and not report.shortest.endswith("inf"):
        return Text("a NaN is beside no value", LABEL_STYLE)
    says = f"{report.format} has 2^{report.spec.bits} codes; those around the value:"
    lines = [Text(says, LABEL_STYLE)]
    for row in TableReport.around(report, _AROUND).rows:
        line = Text(f" {row.hex}  {row.split_bits}  {readable(row)}")
        line.stylize(marked(row.code == state.code, **{CODE: row.code}))
        lines.append(line)
    return Group(*lines)
