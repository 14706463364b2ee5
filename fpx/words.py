"""How messages name and quote things."""

from __future__ import annotations

from collections.abc import Iterable

_SHOWN = 60
_ALIKE = 0.65  # of 1, how alike a name must be to be meant; 2/3 is three letters of six
_LONGEST_NAME = 200  # characters of a name that is compared: the time goes with their square


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
    return _shortened(text, limit, "'")


def shortened(text: str, limit: int = _SHOWN) -> str:
    """As `quoted`, without the marks."""
    return _shortened(text, limit, "")


def _shortened(text: str, limit: int, mark: str) -> str:
    if len(text) <= limit:
        return f"{mark}{escape(text)}{mark}"
    keep = limit // 2
    head, tail = escape(text[:keep]), escape(text[-keep // 2 :])
    return f"{mark}{head}…{tail}{mark} ({len(text):,} characters)"


def quoted_path(path: object) -> str:
    """A path as `quoted` shows text, with room for the whole of most."""
    return quoted(str(path), 240)


def reason(error: BaseException, limit: int = 160) -> str:
    """Another library's message as part of a line: its first line, escaped and shortened."""
    lines = str(error).strip().splitlines()
    first = lines[0] if lines else type(error).__name__
    return escape(first if len(first) <= limit else f"{first[:limit]}…")


def cause(error: BaseException) -> str:
    """Why a file cannot be read: what the system says, or else as `reason`."""
    return str(getattr(error, "strerror", None) or reason(error))


def listed(names: Iterable[object], limit: int = 12) -> str:
    """Names joined for a message, cut after `limit`."""
    items = [str(name) for name in names]
    more = f", … ({len(items) - limit} more)" if len(items) > limit else ""
    return ", ".join(items[:limit]) + more


def nearest(name: str, names: Iterable[str]) -> str | None:
    """Which of `names` somebody may have meant by `name`; None if none is like it.

    Case, `-` and `_` do not count. Of several equally alike, the first.
    """
    from difflib import SequenceMatcher  # here, because most commands never ask

    wanted, best, found = _bare(name), _ALIKE, None
    if len(wanted) > _LONGEST_NAME:
        return None
    matcher = SequenceMatcher(b=wanted, autojunk=False)
    for candidate in names:
        matcher.set_seq1(_bare(candidate)[:_LONGEST_NAME])
        # the quick ones are bounds from above
        if matcher.real_quick_ratio() <= best or matcher.quick_ratio() <= best:
            continue
        alike = matcher.ratio()
        if alike > best:
            best, found = alike, candidate
    return found


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """The end of a message about a name that is none: `; did you mean 'bf16'?`, or nothing."""
    meant = nearest(name, names)
    return "" if meant is None else f"; did you mean {quoted(meant, _LONGEST_NAME)}?"


def _bare(name: str) -> str:
    return name.lower().replace("-", "").replace("_", "")


def counted(number: int, noun: str) -> str:
    """`1 code`, `1,200 codes`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def percentage(part: int, whole: int) -> str:
    """A share that never says 0% of some nor 100% of not quite all."""
    if part == whole:
        return "100%"
    share = 100 * part / whole
    if 0 < share < 0.01:
        return "<0.01%"
    return f"{share:.2g}%" if share < 10 else f"{min(share, 99.9):.3g}%"


def with_share(part: int, whole: int) -> str:
    """`7,626 (93.1%)`; of none, `0`."""
    return f"{part:,} ({percentage(part, whole)})" if part else "0"
