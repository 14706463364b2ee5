"""What the screen shows of a state: its parts from top to bottom, and the lines at the bottom."""

from __future__ import annotations

from rich.console import RenderableType
from rich.text import Text

from fpx.explore.bits import Others, strip, title
from fpx.explore.number_line import NumberLine, WholeLine
from fpx.explore.pasted import command_line
from fpx.explore.state import State, View
from fpx.render.decode import details
from fpx.render.text import LABEL_STYLE

TITLE, BITS, LINE, OTHERS, FACTS = PARTS = ("title", "bits", "line", "others", "facts")
"""The parts of the screen; a view has some of them."""

_HINTS = (
    "space flips", "←→ bits", "↑↓ values", "PgUp PgDn binades", "v type", "f format", "tab lead",
    "? all keys",
)  # fmt: skip
_GAP = "  "
_LINES = 2  # of the command


def pictures(state: State) -> dict[str, RenderableType]:
    """The parts that a view has."""
    if state.block is not None:
        from fpx.explore.blocks import block_bits, block_facts  # most formats have no scale

        return {BITS: block_bits(state.block), FACTS: block_facts(state.block)}
    found: dict[str, RenderableType] = {TITLE: title(state)}
    if state.view is View.CALC:
        from fpx.explore.arithmetic import arithmetic

        return found | {FACTS: arithmetic(state)}
    if state.view is View.TABLE:
        from fpx.explore.codes import codes

        return found | {FACTS: codes(state)}
    found[BITS] = strip(state)
    if state.view is View.LINE:
        return found | {LINE: WholeLine(state)}
    if state.others:
        found[OTHERS] = Others(state)
    return found | {LINE: NumberLine(state), FACTS: details(state.report)}


def modes(state: State, width: int) -> Text:
    """How numbers are rounded, and what helps and leaves; the long names where there is room."""
    if state.block is not None:
        how = [f"rounding and scales as {state.block.target.name} has them"]
    else:
        how = [f"rounding {state.rounding.value} (r)", f"overflow {state.overflow.value} (o)"]
    end = "? keys  q leaves"
    text = _GAP.join(how)
    if len(text) + len(_GAP) + len(end) > width and state.block is None:
        text = f"{state.rounding.value}{_GAP}{state.overflow.value}"
    if len(text) + len(_GAP) + len(end) > width:
        return Text(text, "bold")
    return Text.assemble((text, "bold"), (f"{end:>{width - len(text)}}", LABEL_STYLE))


def hints(width: int) -> Text:
    """The first keys that one needs, as many as there is room for."""
    text = _HINTS[-1]
    for at in range(1, len(_HINTS)):
        longer = _GAP.join((*_HINTS[:at], _HINTS[-1]))
        if len(longer) > width:
            break
        text = longer
    return Text(text, LABEL_STYLE)


def pasted(state: State, width: int) -> Text:
    """The command that shows the same, if a few lines hold it."""
    line = f"$ {command_line(state)}"
    fits = len(line) <= _LINES * width
    return Text(line if fits else "C copies the fpx decode line", LABEL_STYLE, overflow="fold")
