"""What is typed: a number, a code, the numbers of a block; or why it is none yet."""

from __future__ import annotations

import re

from fpx.core.literals import parse_literal
from fpx.errors import InputError
from fpx.explore.state import State

_PARAMETER = re.compile(r"`[a-z_]+(?:=[^`]*)?`")


def typed(text: str, state: State, *, second: bool = False) -> State:
    """The state with what was typed.

    Args:
        text: what `fpx decode` reads; where numbers share a scale, some of them with blanks
            between.
        state: that before.
        second: whether it is the other operand.

    Raises:
        InputError: it is no number, or none that the format can hold.
    """
    if second:
        return state.with_second(parse_literal(text))
    if state.block is not None:
        from fpx.explore.block import block_of_text

        return state.with_block(block_of_text(text, state.block.target))
    return state.with_literal(parse_literal(text))


def reason(error: InputError) -> str:
    """What an error says, without what only programs and command lines have."""
    said, _, remedy = str(error).partition(": ")
    first, *rest = re.split(r"([,;] (?:or )?)", remedy)
    parts = [("", first), *zip(rest[::2], rest[1::2], strict=True)]
    kept = [sign + part for sign, part in parts if not _PARAMETER.search(part)]
    return f"{said}: {''.join(kept)}" if "".join(kept) else said
