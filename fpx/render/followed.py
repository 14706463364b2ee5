"""`fpx inspect --index` of a quantised weight: one element, from byte to number."""

from __future__ import annotations

from fractions import Fraction

from rich.console import Group, RenderableType
from rich.text import Text

from fpx.render.inspect_values import numbers_text
from fpx.render.listing import Cell, Listing
from fpx.render.quantised import labelled
from fpx.render.text import EXPONENT_STYLE, FRACTION_STYLE, LABEL_STYLE
from fpx.report.followed import Beside, ElementReport, PartInfo, first_digits
from fpx.report.quantised import EVIDENCE
from fpx.words import escape

_LONGEST = 24  # characters of an exact number that is shown whole
_RATIO = 60  # of one that is written p/q


def element_steps(report: ElementReport) -> RenderableType:
    """The code, its scales, the formula with their values, the result, and what is beside it."""
    title = Text.assemble(
        (f"{escape(report.tensor)}{numbers_text(report.index)}", "bold"),
        f"  {escape(report.dtype)}",
    )
    told = f"{escape(report.layout)}, recognised by {escape(report.recognised_by)} ({{}})"
    rows: list[tuple[str, Text | str]] = []
    for part in report.terms:
        rows += [(part.role, _value_of(part)), ("", Text(_place(part), LABEL_STYLE))]
    formula = report.formula.replace(" x ", " × ")
    rows += [("value", formula), ("", f"= {_substituted(report, formula)}")]
    rows.append(("", Text(f"= {report.decimal}", "bold")))
    if report.decimal.endswith("…") and len(report.value) <= _RATIO:
        rows.append(("", f"= {report.value}"))
    if report.hex_float is not None:
        rows.append(("hex float", report.hex_float))
    if report.lower is not None or report.upper is not None:
        rows.append(("neighbours", _next(report)))
    parts: list[RenderableType] = [
        title,
        Text(told.format(EVIDENCE[report.evidence]), LABEL_STYLE),
        labelled(rows),
    ]
    if len(report.around) > 1:
        parts.append(_row(report))
    return Group(*parts)


def _value_of(part: PartInfo) -> Text:
    code = "" if part.code is None else f"{part.code} of "
    return Text.assemble(
        (code, FRACTION_STYLE), escape(part.format), " = ", (_short(part.value), "bold")
    )


def _place(part: PartInfo) -> str:
    """Where a code lies: the tensor, the index there, and the bits of the byte or word."""
    place = f"{escape(part.tensor)}{numbers_text(part.index) if part.index else ''}"
    if part.stored is None:
        return f"at {place}"
    what = "byte" if len(part.stored) == 4 else "word"
    if part.first_bit is None:
        return f"in {what} {part.stored} at {place}"
    if part.bits == 4:
        digit = len(part.stored) - 1 - part.first_bit // 4
        marked = f"{part.stored[:digit]}[{part.stored[digit]}]{part.stored[digit + 1 :]}"
        nibble = {0: "low nibble", 4: "high nibble"}.get(part.first_bit) if what == "byte" else None
        return f"{nibble or f'nibble {part.first_bit // 4}'} of {what} {marked} at {place}"
    width = 4 * (len(part.stored) - 2)
    last = part.first_bit + part.bits - 1
    if last >= width:
        return f"from bit {part.first_bit} of {what} {part.stored} at {place} on into the next"
    return f"bits {part.first_bit} to {last} of {what} {part.stored} at {place}"


def _substituted(report: ElementReport, formula: str) -> str:
    """The formula with the values of the parts: `6 × 224 / 2688`."""
    names = sorted(report.terms, key=lambda part: -len(part.role))
    values = []
    for at, part in enumerate(names):  # by marks, lest a value be taken for a name
        formula = formula.replace(part.role, f"\0{at}\0")
        short = _short(part.value)
        values.append(f"({short})" if short.startswith("-") else short)
    for at, value in enumerate(values):
        formula = formula.replace(f"\0{at}\0", value)
    return formula


def _next(report: ElementReport) -> str:
    lower, upper = (
        "none" if exact is None else _short(exact) for exact in (report.lower, report.upper)
    )
    return f"{lower} below, {upper} above, at the same scales"


def _row(report: ElementReport) -> Listing:
    """The elements along the last axis, the one that is followed in bold."""
    rows: list[list[Cell]] = []
    for item in report.around:
        cells = _cells(item)
        own = item.index == report.index
        rows.append([Text(cell, EXPONENT_STYLE) for cell in cells] if own else [*cells])
    head = ("beside it", "code", "element", "scale", "value")
    return Listing(head, rows, first_out=("scale",))


def _cells(item: Beside) -> list[str]:
    numbers = (item.element, item.scale or "-", item.value)
    return [numbers_text(item.index), item.code or "-", *map(_short, numbers)]


def _short(exact: str) -> str:
    """A number in full where that is short, else to 17 digits."""
    if len(exact) <= _LONGEST:
        return exact if "/" not in exact else first_digits(Fraction(exact))
    return first_digits(Fraction(exact))
