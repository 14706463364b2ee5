"""`fpx decode` as panels and tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.text import Text

from fpx.core.codec import Classification
from fpx.core.interval import is_out_of_range
from fpx.core.policy import Overflow, Rounding
from fpx.render.panel import FIELDS, BitStrip, Labelled, Titled
from fpx.render.text import (
    BAD_STYLE,
    EXPONENT_STYLE,
    FRACTION_STYLE,
    GOOD_STYLE,
    LABEL_STYLE,
    ROUNDED_HERE,
    SIGN_STYLE,
    WARNING_STYLE,
    Legible,
    rounded,
)
from fpx.report.base import Report, exact_text, hex_code
from fpx.report.decode import Comparison, DecodeReport
from fpx.words import shortened

if TYPE_CHECKING:
    from fpx.render.lines import Lines

_EXPANSION_SHOWN = 300  # characters of an exact value; what is longer is rounded
_PANEL_SHOWN = 24  # of other numbers in a panel
_ERROR_DIGITS = 6
_LONGEST_INPUT = 24  # characters that a column begins with


def decode_panel(report: DecodeReport) -> RenderableType:
    """Everything about one number in one format."""
    title = Text.assemble(named(report), " as ", (report.format, "bold"))
    return Titled(title, Group(BitStrip(report.bit_fields), Text(), details(report)))


def details(report: DecodeReport) -> Labelled:
    """What there is to say of a number in a format beside its bits, a line for each."""
    return Labelled(_details(report))


def named(report: DecodeReport) -> str:
    """The number as it was given."""
    return shortened(report.input)


def comparison(report: Comparison) -> RenderableType:
    """One number in several formats, side by side."""
    from fpx.render.side_by_side import SideBySide  # a panel has no need of it

    first = report.items[0]
    title = Text(named(first), "bold")
    for name, value in unusual_modes(first):
        title.append(f"  {name} {value}", LABEL_STYLE)
    legible = Legible()
    columns = {item.format: _short_details(item, legible) for item in report.items}
    if legible.rounds:
        title.append(f"  {ROUNDED_HERE}", LABEL_STYLE)
    labels = [label for label, _ in next(iter(columns.values()))]
    cells = {name: [cell for _, cell in column] for name, column in columns.items()}
    return SideBySide(title, labels, cells)


class DecodeRows:
    """Draws the numbers of a stream in the same formats, a line for each number and format.

    Args:
        inputs: those of the numbers that are known before the first is drawn.
    """

    def __init__(self, inputs: Sequence[str] = ()) -> None:
        self._lines: Lines | None = None
        self._longest = min(max(map(len, inputs), default=0), _LONGEST_INPUT)

    def __call__(self, report: Report) -> RenderableType:
        """The lines of one number: a `DecodeReport`, or several of them."""
        items: list[DecodeReport] = list(report)
        if self._lines is None:
            self._lines = _rows_of(items, self._longest)
        return Group(*(self._lines.row(_cells_of(item)) for item in items))


def _rows_of(items: Sequence[DecodeReport], longest: int) -> Lines:
    """The empty table for numbers in the formats of these, whose inputs are about that long."""
    from fpx.render.lines import Lines

    title = Text(", ".join(item.format for item in items), "bold")
    columns = {"input": max(longest, 8)}
    if len(items) > 1:
        columns["format"] = max(len(item.format) for item in items)
    for name, value in unusual_modes(items[0]):
        title.append(f"  {name} {value}", LABEL_STYLE)
    title.append(f"  {ROUNDED_HERE}", LABEL_STYLE)
    columns |= {
        "code": max(2 + item.spec.code_digits for item in items),
        # sign, point and exponent beside the digits
        "value": max(max(item.spec.max_digits10 for item in items) + len("-.e-999"), 12),
        "error": 12, "in ulps": 10, "result": 9,
    }  # fmt: skip
    return Lines(title, columns, first_out=("error", "in ulps", "result", "code"))


def _cells_of(item: DecodeReport) -> dict[str, Text | str]:
    legible = Legible()
    return {
        "input": named(item),
        "format": item.format,
        "code": hex_code(item.code, item.spec),
        "value": value_of(item, item.value_text, legible),
        "error": legible.signed(item.rounding_error, 5, 8),
        "in ulps": legible.ulps(item.error_ulp, 4),
        "result": happened(item),
    }


def value_of(report: DecodeReport, exact: str, legible: Legible, longest: int = 12) -> str:
    """A value of the report's format: short, or with digits that tell it from its neighbours."""
    return legible(exact, max(report.spec.max_digits10, 4), longest)


def happened(item: DecodeReport) -> Text:
    """The flags that say more than `exact` and `inexact`, or one of those."""
    flags = [flag for flag in item.flags if flag not in ("exact", "inexact")] or [item.flags[0]]
    text = ", ".join(flags)
    if item.rounded.overflow or item.rounded.invalid or item.flags[-1] == "underflow":
        return Text(text, BAD_STYLE)
    return Text(text, GOOD_STYLE if text == "exact" else WARNING_STYLE)


# -- the parts -------------------------------------------------------------------------------------


def _formula(report: DecodeReport) -> Text:
    """(-1)^s × 2^(E - bias) × 1.f with the numbers filled in."""
    formula = report.formula
    if formula is None:
        return Text(_special(report))
    sign = Text()
    if formula.sign is not None:
        sign = Text.assemble("(-1)^", (str(formula.sign), SIGN_STYLE), " × ")
    return Text.assemble(
        sign,
        "2^(",
        (str(formula.exponent), EXPONENT_STYLE),
        f"-{formula.bias})" if formula.bias >= 0 else f"+{-formula.bias})",
        f" × {formula.leading}.",
        (formula.fraction, FRACTION_STYLE),
        "₂",
    )


def _special(report: DecodeReport) -> str:
    """What makes a code an infinity or a NaN."""
    has_payload = report.spec.has_nan_payload
    if report.classification is Classification.INFINITY:
        where = "the magnitude after the largest finite one"
        if has_payload:
            where = "exponent all ones, fraction zero"
        return f"{where}: {'minus ' if report.sign else ''}infinity"
    if report.nan_payload is None:
        return "the code reserved for NaN"
    kind = report.classification.value.replace("_", " ").replace("nan", "NaN")
    return f"exponent all ones, fraction not zero: {kind}, payload {report.nan_payload:#x}"


def unusual_modes(report: DecodeReport) -> list[tuple[str, str]]:
    """Rounding and overflow, where they are not what everybody expects."""
    found = []
    if report.rounding is not Rounding.TIES_TO_EVEN:
        found.append(("rounding", report.rounding.value))
    if report.overflow is not Overflow.IEEE:
        found.append(("overflow", report.overflow.value))
    return found


def _details(report: DecodeReport) -> list[tuple[str, Text | str]]:
    legible = Legible()
    rows: list[tuple[str, Text | str]] = [
        ("code", f"{hex_code(report.code, report.spec)}  ({words_of(report)})"),
        ("formula", _formula(report)),
    ]
    if report.dyadic is not None:
        significand = exact_text(report.significand_dyadic) or ""
        shown = value_of(report, significand, legible, _PANEL_SHOWN)
        rows.append(
            (
                "",
                f"{'=' if shown == significand else '≈'} {'-' if report.sign else ''}"
                f"2^{report.exponent} × {shown}",
            )
        )
        rows.append(_exact_value(report))
    rows += [("shortest", report.shortest), ("hex float", report.hex_float)]
    rows += unusual_modes(report)
    rows.append(("rounding error", _error(report, legible)))
    if report.ulp_dyadic is not None:
        power, exact = f"2^{report.ulp_dyadic.exponent}", report.ulp_dyadic.decimal
        shown = legible(exact, _ERROR_DIGITS, _PANEL_SHOWN)
        rows.append(
            ("ulp", f"{exact} = {power}" if shown == exact else f"{power} ≈ {shown}"),
        )
    rows.append(("neighbours", _neighbours(report, legible)))
    rows.append(("rounds here", _interval(report, legible)))
    if legible.rounds:
        rows.append(("", Text(ROUNDED_HERE, LABEL_STYLE)))
    return rows


def _exact_value(report: DecodeReport) -> tuple[str, str]:
    """The exact value where that is no endless row of digits."""
    exact = report.value_text
    if len(exact) <= _EXPANSION_SHOWN:
        return "exact value", exact
    shown = rounded(exact, report.spec.max_digits10 + 3)
    return "value", f"{shown}  (of {len(exact):,} characters, exact in --json)"


def _short_details(report: DecodeReport, legible: Legible) -> list[tuple[str, RenderableType]]:
    from fpx.render.side_by_side import Pieces, code_pieces

    bits = {field.name: field.bits for field in report.bit_fields}
    lower, upper = (
        "-" if exact is None else value_of(report, exact, legible)
        for exact in (report.lower, report.upper)
    )
    return [
        ("code", code_pieces(hex_code(report.code, report.spec))),
        *(
            (name, Pieces(bits.get(name, "-"), 4, 12, style=style))
            for name, (style, _) in FIELDS.items()
        ),
        ("class", Text(words_of(report).replace(", ", "\n"))),
        ("value", value_of(report, report.value_text, legible)),
        ("shortest", report.shortest),
        ("rounding error", legible.signed(report.rounding_error, _ERROR_DIGITS)),
        ("... in ulps", legible.ulps(report.error_ulp, _ERROR_DIGITS, 12)),
        ("ulp", "-" if report.ulp_dyadic is None else f"2^{report.ulp_dyadic.exponent}"),
        ("next lower", lower),
        ("next upper", upper),
    ]


def words_of(report: DecodeReport) -> str:
    words = [report.classification.value.replace("_", " ")]
    words += [flag for flag in report.flags if flag != words[0]]
    return ", ".join(words)


def _error(report: DecodeReport, legible: Legible) -> Text:
    error, ulps = report.rounding_error, report.error_ulp
    if error is None or ulps is None:
        return Text("none: a NaN has no value")
    if error == "0":
        return Text("0 (exact)", GOOD_STYLE)
    style = BAD_STYLE if report.dyadic is None else WARNING_STYLE
    shown = legible.signed(error, _ERROR_DIGITS, _PANEL_SHOWN)
    if report.dyadic is None:
        return Text(f"{shown}: overflow", style)
    off = legible.ulps(ulps, _ERROR_DIGITS, 12).removeprefix("+")
    return Text(f"{shown}  ({off} ulp)", style)


def _neighbours(report: DecodeReport, legible: Legible) -> str:
    texts = []
    for code, value in zip(report.neighbours, (report.lower, report.upper), strict=True):
        if code is None or value is None:
            texts.append("none")
        else:
            shown = value_of(report, value, legible, _PANEL_SHOWN)
            texts.append(f"{shown} ({hex_code(code, report.spec)})")
    return f"{texts[0]} below, {texts[1]} above"


def _interval(report: DecodeReport, legible: Legible) -> str:
    interval = report.interval
    if interval is None:
        outside = is_out_of_range(report.code, report.spec, report.rounding, report.overflow)
        return "every number out of range" if outside else "no other number"
    digits = max(report.spec.max_digits10, 4) + 1  # the ends are half an ulp from the value
    low, high = (
        endless if end is None else legible(end.decimal, digits, _PANEL_SHOWN)
        for end, endless in ((interval.low, "-inf"), (interval.high, "inf"))
    )
    return (
        f"{'[' if interval.low_closed else '('}{low}, {high}{']' if interval.high_closed else ')'}"
    )
