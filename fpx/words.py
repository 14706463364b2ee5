"""How messages name and quote things."""

from __future__ import annotations

from collections.abc import Iterable

_SHOWN = 60


def escape(text: str) -> str:
    """`text` with every character a terminal could act on (control, bidi, lone surrogate) escaped.

    User input and names out of files pass through here before they reach a screen.
    """
    if text.isprintable():  # false for all of Cc, Cf, Cs, Zl, Zp and every space but U+0020
        return text
    return "".join(
        ch if ch.isprintable() else ch.encode("unicode_escape").decode("ascii") for ch in text
    )


def quoted(text: str, limit: int = _SHOWN) -> str:
    """`text` in quotation marks, escaped and shortened to about `limit` characters."""
    if len(text) > limit:
        keep = limit // 2
        head, tail = escape(text[:keep]), escape(text[-keep // 2 :])
        return f"'{head}…{tail}' ({len(text):,} characters)"
    return f"'{escape(text)}'"


def quoted_path(path: object) -> str:
    """A path as `quoted` shows text, with room for the whole of most."""
    return quoted(str(path), 240)


def reason(error: BaseException, limit: int = 160) -> str:
    """Another library's message as part of a line: its first line, escaped and shortened."""
    lines = str(error).strip().splitlines()
    first = lines[0] if lines else type(error).__name__
    return escape(first if len(first) <= limit else f"{first[:limit]}…")


def listed(names: Iterable[object], limit: int = 12) -> str:
    """Names joined for a message, cut after `limit`."""
    items = [str(name) for name in names]
    more = f", … ({len(items) - limit} more)" if len(items) > limit else ""
    return ", ".join(items[:limit]) + more
