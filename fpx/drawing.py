"""Who draws reports. The room of reports may not import the one that draws: it is told here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

_load: list[Callable[[], Any]] = []


def draw_with(load: Callable[[], Any]) -> None:
    """Tells all reports who draws them; the package does, once, when it is imported.

    Args:
        load: gives the `fpx.report.base.Renderer`; called when a report is first drawn.
    """
    _load[:] = [load]


def renderer() -> Any:
    """Who draws reports: a `fpx.report.base.Renderer`."""
    (load,) = _load
    return load()
