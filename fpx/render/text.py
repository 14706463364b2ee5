"""Small pieces of text that several renderers share."""

from __future__ import annotations

from decimal import MAX_EMAX, MIN_EMIN, Context, Decimal, InvalidOperation
from fractions import Fraction

AMPLE = 1_000_000
"""Columns of a stream that has no limit: rich wants a number."""

_MORE_DIGITS = 4  # at a time, of an error that is close to half an ulp


_MOST_DIGITS = 40


_HALF = Fraction(1, 2)


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


def rounded(number: str, digits: int = 7) -> str:
    """An exact decimal or fraction `p/q` to that many significant digits, ties to even.

    What is no number (`inf`, `nan`, an error written as two terms) stays as it is, cut.
    """
    over, slash, under = number.partition("/")
    if len(number) <= digits + 2 and not slash:
        return number
    try:
        context = Context(prec=digits, Emax=MAX_EMAX, Emin=MIN_EMIN)
        value = context.divide(Decimal(over), Decimal(under or 1))
    except InvalidOperation:
        return brief(number, digits)
    power = value.adjusted()
    if -4 <= power < digits:
        text = f"{value:f}"
        return text.rstrip("0").rstrip(".") if "." in text else text
    mantissa = f"{value:e}".partition("e")[0]
    mantissa = mantissa.rstrip("0").rstrip(".") if "." in mantissa else mantissa
    return f"{mantissa}e{power:+03d}"


class Legible:
    """Writes exact numbers for the eye: whole where that is short, else rounded.

    Attributes:
        rounds: whether any number had to be rounded, which is then to be said somewhere.
    """

    def __init__(self) -> None:
        self.rounds = False

    def __call__(self, exact: str, digits: int, longest: int = 12) -> str:
        """The number in full up to `longest` characters, else to that many significant digits."""
        if len(exact) <= longest:
            return exact
        shown = rounded(exact, digits)
        self.rounds |= shown != exact
        return shown

    def signed(self, exact: str | None, digits: int, longest: int = 12) -> str:
        """The same with a sign unless it is 0; `-` for what there is not."""
        if exact is None:
            return "-"
        shown = self(exact, digits, longest)
        return shown if exact.startswith("-") or exact == "0" else f"+{shown}"

    def ulps(self, exact: str | None, digits: int, longest: int = 8) -> str:
        """An error in ulps, with a sign; never rounded to the half of a tie that it is not."""
        shown = self.signed(exact, digits, longest)
        while exact is not None and shown[1:] == "0.5" and abs(Fraction(exact)) != _HALF:
            if digits > _MOST_DIGITS:
                return f"≈ {shown}"
            digits += _MORE_DIGITS
            shown = self.signed(exact, digits, longest)
        return shown


ROUNDED_HERE = "(long numbers are rounded, exact in --json)"
"""What is said where `Legible` had to round."""


def _cut(number: str, digits: int) -> str:
    if len(number) <= digits + 2:
        return number
    whole, point, _ = number.partition(".")
    if len(whole) > digits + 2:  # digits before the point are counted, not dropped
        return f"{whole[:digits]}…({len(whole) - digits} more digits)"
    leading = len(number) - len(number.lstrip("+-0."))
    return f"{number[: max(leading + digits, len(whole) + 2)]}…" if point else number


def grouped(count: int) -> str:
    """A count with thousands separators."""
    return f"{count:,}"
