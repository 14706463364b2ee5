"""Progress of long work."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from fpx.cli.interrupts import check_interrupts

if TYPE_CHECKING:
    from rich.progress import Progress as Bars


class ProgressBar:
    """A bar on stderr where that is a terminal; nothing where it is not.

    Its methods raise a KeyboardInterrupt that somebody swallowed.

    Args:
        label: what is being done.
    """

    def __init__(self, label: str) -> None:
        self._label = label
        self._bars: Bars | None = None

    def __enter__(self) -> ProgressBar:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bars is not None:
            self._bars.stop()

    def start(self, total: int) -> None:
        """The number of elements to come."""
        check_interrupts()
        if not sys.stderr.isatty():
            return
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TimeRemainingColumn

        self._bars = Progress(
            self._label,
            BarColumn(),
            TaskProgressColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
        )
        self._bars.start()
        self._task = self._bars.add_task(self._label, total=total)

    def advance(self, count: int) -> None:
        """That many more are done."""
        check_interrupts()
        if self._bars is not None:
            self._bars.advance(self._task, count)
