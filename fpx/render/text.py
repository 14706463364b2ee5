"""Small pieces of text that several renderers share."""

from __future__ import annotations

SIGN_STYLE = "bold red"
EXPONENT_STYLE = "bold green"
FRACTION_STYLE = "bold blue"
LABEL_STYLE = "dim"
GOOD_STYLE = "green"
WARNING_STYLE = "yellow"
BAD_STYLE = "bold red"


def brief(number: str, digits: int = 20) -> str:
    """A decimal cut to about `digits` digits of its significand; `…` marks the cut."""
    mantissa, e, exponent = number.partition("e")
    if " " in number:  # an error written as two terms
        return number if len(number) <= 2 * digits else f"{number[: 2 * digits]}…"
    if "/" in number:
        over, _, under = number.partition("/")
        return f"{_cut(over, digits)}/{_cut(under, digits)}"
    return f"{_cut(mantissa, digits)}{e}{exponent}"


def _cut(number: str, digits: int) -> str:
    if len(number) <= digits + 2:
        return number
    whole, point, _ = number.partition(".")
    if len(whole) > digits + 2:  # digits before the point are counted, not dropped
        return f"{whole[:digits]}…({len(whole) - digits} more digits)"
    leading = len(number) - len(number.lstrip("-0."))
    return f"{number[: max(leading + digits, len(whole) + 2)]}…" if point else number


def grouped(count: int) -> str:
    """A count with thousands separators."""
    return f"{count:,}"
