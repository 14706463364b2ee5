"""`fpx decode` as panels and tables."""

from __future__ import annotations

from rich import box
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from fpx.core.codec import Classification
from fpx.core.interval import Interval
from fpx.core.policy import Overflow, Rounding
from fpx.render.text import (
    BAD_STYLE,
    EXPONENT_STYLE,
    FRACTION_STYLE,
    GOOD_STYLE,
    LABEL_STYLE,
    SIGN_STYLE,
    WARNING_STYLE,
    brief,
)
from fpx.report.base import exact_text, hex_code
from fpx.report.decode import Comparison, DecodeReport
from fpx.words import quoted

_EXPANSION_SHOWN = 300  # characters of an exact value; the rest is in --json
_COLUMN_DIGITS = 12  # digits shown where several formats stand side by side


def decode_panel(report: DecodeReport) -> RenderableType:
    """Everything about one number in one format."""
    rows = Table.grid(padding=(0, 2))
    rows.add_column(style=LABEL_STYLE, no_wrap=True)
    rows.add_column(overflow="fold")
    for label, cell in _details(report):
        rows.add_row(label, cell)
    title = Text.assemble(quoted(report.input).strip("'"), " as ", (report.format, "bold"))
    return Panel(
        Group(_bit_strip(report), Text(), rows),
        title=title,
        title_align="left",
        box=box.ROUNDED,
        expand=False,
        padding=(0, 1),
    )


def comparison(report: Comparison) -> RenderableType:
    """One number in several formats, side by side."""
    first = report.items[0]
    title = Text(quoted(first.input).strip("'"), "bold")
    for name, value in unusual_modes(first):
        title.append(f"  {name} {value}", LABEL_STYLE)
    table = Table(
        title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1)
    )
    table.add_column("", style=LABEL_STYLE, no_wrap=True)
    for item in report.items:
        table.add_column(item.format, overflow="fold")
    columns = [dict(_short_details(item)) for item in report.items]
    for label in columns[0]:
        table.add_row(label, *(column[label] for column in columns))
    return table


# -- the parts -------------------------------------------------------------------------------------


# field -> its style, and its names from long to short
_FIELDS = {
    "sign": (SIGN_STYLE, ("s",)),
    "exponent": (EXPONENT_STYLE, ("exponent", "exp", "e")),
    "fraction": (FRACTION_STYLE, ("fraction", "frac", "f")),
}


def _bit_strip(report: DecodeReport) -> Text:
    """Bit positions, the bits, and a ruler that names the fields."""
    positions, strip, brackets, names = Text(), Text(), Text(), Text()
    for field in report.bit_fields:
        style, labels = _FIELDS[field.name]
        width = len(field.bits)
        first, last = str(field.top), str(field.top - width + 1)
        place = first.ljust(width - len(last)) + last if width > len(first) + len(last) else first
        cell = max(width, len(place))
        rule = "│" if width == 1 else f"└{'─' * (width - 2)}┘"
        label = next((name for name in labels if len(name) <= cell), labels[-1])
        positions.append(f"{place:>{cell}} ", LABEL_STYLE)
        strip.append(f"{field.bits:>{cell}} ", style)
        brackets.append(f"{rule:>{cell}} ", style)
        names.append(f"{label:^{cell}} " if cell > 2 else f"{label:>{cell}} ", style)
    return Text("\n").join((positions, strip, brackets, names))


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


def _details(report: DecodeReport) -> list[tuple[str, RenderableType]]:
    rows: list[tuple[str, RenderableType]] = [
        ("code", f"{hex_code(report.code, report.spec)}  ({_words(report)})"),
        ("formula", _formula(report)),
    ]
    if report.dyadic is not None:
        significand = exact_text(report.significand_dyadic)
        rows.append(
            ("", f"= {'-' if report.sign else ''}2^{report.exponent} × {brief(significand or '')}")
        )
        exact = report.value_text
        if len(exact) > _EXPANSION_SHOWN:
            exact = f"{brief(exact, 60)}  ({len(exact)} characters, all in --json)"
        rows.append(("exact value", exact))
    rows += [("shortest", report.shortest), ("hex float", report.hex_float)]
    rows += unusual_modes(report)
    rows.append(("rounding error", _error(report)))
    if report.ulp_dyadic is not None:
        rows.append(("ulp", f"{brief(report.ulp_dyadic.decimal)} = 2^{report.ulp_dyadic.exponent}"))
    rows.append(("neighbours", _neighbours(report)))
    rows.append(("rounds here", _interval(report.interval)))
    return rows


def _short_details(report: DecodeReport) -> list[tuple[str, RenderableType]]:
    error, ulps, lower, upper = (
        "-" if text is None else brief(text, digits)
        for text, digits in (
            (report.rounding_error, _COLUMN_DIGITS),
            (report.error_ulp, 6),
            (report.lower, _COLUMN_DIGITS),
            (report.upper, _COLUMN_DIGITS),
        )
    )
    bits = {field.name: field.bits for field in report.bit_fields}
    return [
        ("code", hex_code(report.code, report.spec)),
        *((name, Text(bits.get(name, "-"), style)) for name, (style, _) in _FIELDS.items()),
        ("class", Text(_words(report).replace(", ", "\n"))),
        ("exact value", brief(report.value_text, _COLUMN_DIGITS)),
        ("shortest", report.shortest),
        ("rounding error", error),
        ("... in ulps", ulps),
        ("ulp", "-" if report.ulp_dyadic is None else f"2^{report.ulp_dyadic.exponent}"),
        ("next lower", lower),
        ("next upper", upper),
    ]


def _words(report: DecodeReport) -> str:
    words = [report.classification.value.replace("_", " ")]
    words += [flag for flag in report.flags if flag != words[0]]
    return ", ".join(words)


def _error(report: DecodeReport) -> Text:
    error, ulps = report.rounding_error, report.error_ulp
    if error is None or ulps is None:
        return Text("none: a NaN has no value")
    if error == "0":
        return Text("0 (exact)", GOOD_STYLE)
    style = BAD_STYLE if report.dyadic is None else WARNING_STYLE
    signed = error if error.startswith("-") else f"+{error}"
    if report.dyadic is None:
        return Text(f"{signed}: overflow", style)
    return Text(f"{brief(signed)}  ({brief(ulps, 8)} ulp)", style)


def _neighbours(report: DecodeReport) -> str:
    texts = []
    for code, value in zip(report.neighbours, (report.lower, report.upper), strict=True):
        if code is None or value is None:
            texts.append("none")
        else:
            texts.append(f"{brief(value)} ({hex_code(code, report.spec)})")
    return f"{texts[0]} below, {texts[1]} above"


def _interval(interval: Interval | None) -> str:
    if interval is None:
        return "no other number"
    low = "-inf" if interval.low is None else brief(interval.low.decimal)
    high = "inf" if interval.high is None else brief(interval.high.decimal)
    return (
        f"{'[' if interval.low_closed else '('}{low}, {high}{']' if interval.high_closed else ')'}"
    )
