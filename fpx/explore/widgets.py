"""The parts that the screen is made of."""

from __future__ import annotations

from textual import events
from textual.containers import VerticalScroll
from textual.message import Message
from textual.widgets import Static

from fpx.explore.pictures import LINE


class Clicked(Message):
    """A click on something that means something: see `fpx.explore.marks`."""

    def __init__(self, what: dict[str, int]) -> None:
        super().__init__()
        self.what = what


class Zoomed(Message):
    """A turn of the wheel over the number line."""

    def __init__(self, out: bool) -> None:
        super().__init__()
        self.out = out


class Middle(VerticalScroll, can_focus=False):
    """What scrolls where it is longer than the screen; keys go past it."""

    def scrolled(self, key: str) -> None:
        """After a key that scrolls; others do nothing."""
        scroll = {
            "up": self.scroll_up, "down": self.scroll_down, "home": self.scroll_home,
            "pageup": self.scroll_page_up, "pagedown": self.scroll_page_down,
            "end": self.scroll_end,
        }.get(key)  # fmt: skip
        if scroll is not None:
            scroll(animate=False)


class Picture(Static, can_focus=False):
    """A part of the screen. What was clicked on stands in its style."""

    def on_click(self, event: events.Click) -> None:
        """Hands on what the click means."""
        self.post_message(Clicked(event.style.meta))

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """Zooms in, on the number line."""
        self._zoom(event, out=False)

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """Zooms out, on the number line."""
        self._zoom(event, out=True)

    def _zoom(self, event: events.MouseEvent, out: bool) -> None:
        if self.id == LINE:
            event.stop()
            self.post_message(Zoomed(out))
