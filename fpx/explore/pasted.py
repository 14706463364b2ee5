"""The `fpx decode` line that shows what is explored: play ends in something to paste."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from fpx.core.policy import Overflow, Rounding
from fpx.explore.state import Refused, State
from fpx.report.decode import DecodeReport

if TYPE_CHECKING:
    from fpx.explore.block import Block

_COMMAND = "fpx decode"


def command_line(state: State) -> str:
    """The command that shows a number in the same formats, the same codes in the same order.

    Formats that cannot hold it are left out. A code that no number becomes (a NaN with a payload)
    is shown in the format that leads alone.
    """
    if state.block is not None:
        return _of_block(state.block)
    again = DecodeReport.of(state.number, state.lead, state.rounding, state.overflow)
    kept = again.code == state.code
    held = [item.spec for item in state.others if not isinstance(item, Refused)] if kept else []
    names = [spec.name for spec in (state.lead, *held)]
    given = state.number.text if kept else state.literal.text
    words = [_COMMAND, shlex.quote(given), "--dtype", ",".join(names)]
    if state.rounding is not Rounding.TIES_TO_EVEN:
        words += ["--rounding", state.rounding.value]
    if state.overflow is not Overflow.IEEE:
        words += ["--overflow", state.overflow.value]
    return " ".join(words)


def _of_block(block: Block) -> str:
    target = block.target
    words = [_COMMAND, "--dtype", shlex.quote(target.name)]
    if block.literals:
        return " ".join([*words, shlex.quote(" ".join(literal.text for literal in block.literals))])
    words += ["--codes", block.packed.hex(), "--scale-code", block.report.scale_hex]
    if block.global_ is not None:
        words += ["--global-scale", block.global_.text]
    if block.packing is not block.report.packings[0]:
        words += ["--packing", block.packing.value]
    return " ".join(words)
