"""Who hears how far long work is."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Hears how far the work is."""

    def start(self, total: int) -> None:
        """The number of elements to come."""

    def advance(self, count: int) -> None:
        """That many more are done."""


class Silent:
    """Progress that nobody listens to."""

    def start(self, total: int) -> None:
        """Nobody listens."""

    def advance(self, count: int) -> None:
        """Nobody listens."""
