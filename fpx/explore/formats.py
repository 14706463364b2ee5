"""The formats to choose from, fewer as one types."""

from __future__ import annotations

from typing import NamedTuple

from rich.console import Group, RenderableType
from rich.text import Text

from fpx.core.blocks import BLOCK_FORMATS
from fpx.core.formats import FORMATS
from fpx.core.names import find_format
from fpx.core.spec import FormatSpec
from fpx.core.targets import Target, find_target
from fpx.errors import InputError
from fpx.explore.marks import CHOICE, marked


class Choice(NamedTuple):
    """A format that may be chosen.

    Attributes:
        target: the format.
        says: what it is, in a few words.
    """

    target: Target
    says: str


def choices(text: str) -> list[Choice]:
    """The formats that have a text in one of their names, those that are called so first.

    A custom format (`e5m7`, `binary8p4se`, `e4m3fn:block=32`) is found by its whole name.
    """
    wanted = text.strip().lower()
    listed: tuple[Target, ...] = (*FORMATS.values(), *BLOCK_FORMATS.values())
    found = [
        target
        for target in listed
        if any(wanted in name.lower() for name in (target.name, *target.aliases))
    ]
    try:
        named = find_target(wanted) if wanted else None
    except InputError:
        named = None
    if named is not None:
        found = [named, *(target for target in found if target != named)]
    return [Choice(target, says(target)) for target in found]


def choice_list(found: list[Choice], cursor: int) -> RenderableType:
    """The formats in lines, of which the cursor is on one; each may be clicked on."""
    width = max((len(choice.target.name) for choice in found), default=0)
    lines = []
    for at, choice in enumerate(found):
        line = Text.assemble((f"{choice.target.name:{width}}  ", "bold"), choice.says)
        line.stylize(marked(at == cursor, **{CHOICE: at}))
        lines.append(line)
    return Group(*lines)


def why_none(text: str) -> str:
    """Why no format is called so."""
    try:
        find_format(text)
    except InputError as error:
        return str(error)
    return ""


def says(target: Target) -> str:
    """Bits and fields of a format, or what its numbers share."""
    if not isinstance(target, FormatSpec):
        return target.says
    sign = "1 sign, " if target.signed else ""
    fields = f"{sign}{target.exponent_bits} exponent, {target.fraction_bits} fraction"
    return f"{target.bits} bits: {fields}"
