"""Rows over all tensors: what they are called, and how they name what is not the same for all."""

from __future__ import annotations

from collections.abc import Collection

TOTAL = "(total)"
"""The source and the tensor of a row over all of them."""


MIXED = "mixed"
"""In such a row, the format of tensors of several, or the backend of casts by several."""


def common(names: Collection[str]) -> str:
    """The one name that all have, or MIXED."""
    return next(iter(names)) if len(names) == 1 else MIXED
