"""Patterns of tensor names: globs, and regular expressions."""

from __future__ import annotations

import re
from collections.abc import Callable
from fnmatch import translate

from fpx.errors import InputError
from fpx.words import quoted

REGULAR = "re:"
"""What regular expressions begin with."""


def matcher(pattern: str) -> Callable[[str], object]:
    """A function that tells by its truth whether a name matches.

    Args:
        pattern: a glob of the whole name (`layers.*.weight`; `*` takes dots too) or, after `re:`,
            a regular expression that is searched for in it.

    Raises:
        InputError: not a regular expression.
    """
    if not pattern.startswith(REGULAR):
        return re.compile(translate(pattern)).match
    try:
        return re.compile(pattern.removeprefix(REGULAR)).search
    except re.error as error:
        raise InputError(f"{quoted(pattern)} is no regular expression: {error}") from None
