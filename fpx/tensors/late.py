"""Functions that a table names: their modules are imported when they are needed."""

from __future__ import annotations

from importlib import import_module
from typing import Any


def load(where: str) -> Any:
    """The function at `module:name`."""
    module, _, name = where.partition(":")
    return getattr(import_module(module), name)
