"""What a click means: it stands in the style of what is clicked on."""

from __future__ import annotations

from rich.style import Style

BIT, LEAD, CODE, PLACE, CHOICE = "bit", "lead", "code", "place", "choice"
"""A bit's position; a format's place among those shown; a code; the scale or element of a block; a
format's place in the list of those to choose from."""

_CURSOR = Style(reverse=True)


def clickable(**what: int) -> Style:
    """A style that changes nothing but what a click means."""
    return Style(meta=what)


def marked(cursor: bool, **what: int) -> Style:
    """The same, turned over where the cursor is."""
    style = clickable(**what)
    return style + _CURSOR if cursor else style
