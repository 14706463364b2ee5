"""`fpx distance`: formats side by side."""

from __future__ import annotations

from rich.console import RenderableType
from rich.text import Text

from fpx.core.dyadic import integer_text
from fpx.render.side_by_side import SideBySide, code_pieces
from fpx.render.text import LABEL_STYLE, ROUNDED_HERE, Legible
from fpx.report.base import exact_text, hex_code
from fpx.report.decode import DecodeReport
from fpx.report.distance import DistanceReport, Distances
from fpx.words import shortened

_EXACT_SHOWN = 24  # characters of a difference
_DIGITS = 17  # of a longer one, at most
_COMMAS = 10**21

_LABELS = ("from", "", "to", "", "steps", "values between", "difference")


def distances_table(report: Distances) -> RenderableType:
    """A column for each format."""
    first = report.items[0]
    legible = Legible()
    columns: dict[str, list[RenderableType]] = {
        item.format: [
            *_end(item.first),
            *_end(item.second),
            _signed(item.steps),
            _grouped(item.between),
            _difference(item, legible),
        ]
        for item in report.items
    }
    title = Text.assemble(
        ("from ", LABEL_STYLE), shortened(first.first.input),
        (" to ", LABEL_STYLE), shortened(first.second.input),
    )  # fmt: skip
    if legible.rounds:
        title.append(f"  {ROUNDED_HERE}", LABEL_STYLE)
    return SideBySide(title, _LABELS, columns)


def _end(item: DecodeReport) -> tuple[RenderableType, RenderableType]:
    """The value and the code of one of the numbers.

    Where the exact value is long it is the shortest decimal, which no other code has.
    """
    exact, shortest = item.value_text, item.shortest
    value = exact if len(exact) <= max(len(shortest), 12) else shortest
    return value, code_pieces(hex_code(item.code, item.spec))


def _signed(steps: int) -> str:
    return ("+" if steps > 0 else "") + _grouped(steps)


def _grouped(count: int) -> str:
    """A count in full, with commas while that helps to read it."""
    return f"{count:,}" if abs(count) < _COMMAS else integer_text(count)


def _difference(item: DistanceReport, legible: Legible) -> str:
    exact = exact_text(item.difference)
    if exact is None:
        return "infinite"
    digits = min(max(item.first.spec.max_digits10, 4), _DIGITS)
    return legible(exact, digits, _EXACT_SHOWN)


def distance_table(report: DistanceReport) -> RenderableType:
    """One format."""
    return distances_table(Distances((report,)))
