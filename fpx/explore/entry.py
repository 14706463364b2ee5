"""A line that one types into."""

from __future__ import annotations

from dataclasses import dataclass, replace

from rich.text import Text

from fpx.render.text import LABEL_STYLE

_LONGEST = 10_000  # characters


@dataclass(frozen=True)
class Entry:
    """A text, and the place in it where the next character goes.

    Attributes:
        text: what was typed.
        at: the place, from 0 to its length.
        asks: what is asked for, which shows until something is typed.
    """

    text: str = ""
    at: int = 0
    asks: str = ""

    def inserted(self, text: str) -> Entry:
        """With a text at the place, of which nothing is kept that cannot be seen."""
        new = "".join(each for each in text if each.isprintable())[: _LONGEST - len(self.text)]
        whole = self.text[: self.at] + new + self.text[self.at :]
        return replace(self, text=whole, at=self.at + len(new))

    def edited(self, key: str, character: str | None) -> Entry:
        """After a key, by Textual's name for it, and the character that it types, if any."""
        text, at = self.text, self.at
        if key == "backspace" and at:
            return replace(self, text=text[: at - 1] + text[at:], at=at - 1)
        if key == "delete":
            return replace(self, text=text[:at] + text[at + 1 :])
        if key == "ctrl+u":
            return replace(self, text=text[at:], at=0)
        place = {"left": at - 1, "right": at + 1, "home": 0, "end": len(text)}.get(key)
        if place is not None:
            return replace(self, at=min(max(place, 0), len(text)))
        return self.inserted(character) if character is not None else self

    def drawn(self) -> Text:
        """The text with its cursor."""
        text = Text(f"> {self.text} ")
        text.stylize("reverse", 2 + self.at, 3 + self.at)
        return text if self.text else text.append(self.asks, LABEL_STYLE)
