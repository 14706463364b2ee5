"""`fpx explore` as a program on the terminal."""

from __future__ import annotations

import os
from typing import ClassVar

from textual.app import App
from textual.binding import Binding

from fpx.explore.screen import ExploreScreen
from fpx.explore.state import State

_CHECKED = 5  # seconds between looks whether the server is still there


class ExploreApp(App[None]):
    """The program: one screen, in the terminal's own colours.

    Args:
        state: what it begins with.
    """

    CSS = """
    Screen { layers: base; }
    Middle { height: 1fr; scrollbar-size-vertical: 1; }
    .whole Middle { scrollbar-size-vertical: 0; }
    Picture { height: auto; }
    .roomy Picture { margin-bottom: 1; }
    .bottom { height: auto; max-height: 4; }
    """
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar = [Binding("ctrl+c", "exit", show=False, priority=True)]

    def __init__(self, state: State) -> None:
        # the terminal's own colours, be it light or dark; said here because of NO_COLOR too
        super().__init__(ansi_color=True)
        self.theme = "ansi-dark"
        self._first = ExploreScreen(state)
        self._server = 0  # its process

    def get_default_screen(self) -> ExploreScreen:
        """The one screen."""
        return self._first

    @property
    def state(self) -> State:
        """What is shown."""
        return self._first.state

    def on_mount(self) -> None:
        """Behind a page, ends with its server, however that ends."""
        if self.is_web:
            self._server = os.getppid()
            self.set_interval(_CHECKED, self._look_for_server)

    def _look_for_server(self) -> None:
        if os.getppid() != self._server:
            self.exit()

    def action_exit(self) -> None:
        """Leaves."""
        self.exit()
