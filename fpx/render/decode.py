"""`fpx decode` as panels and tables."""

from __future__ import annotations

from rich import box
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from fpx.core.codec import Classification
from fpx.core.interval import Interval
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
    table = Table(
        title=Text(quoted(first.input).strip("'")),
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        padding=(0, 1),
    )
    table.add_column("", style=LABEL_STYLE, no_wrap=True)
    for item in report.items:
        table.add_column(item.format, overflow="fold")
    columns = [dict(_short_details(item)) for item in report.items]
    for label in columns[0]:
        table.add_row(label, *(column[label] for column in columns))
    return table


# -- the parts -------------------------------------------------------------------------------------


def _fields(report: DecodeReport) -> list[tuple[str, str, tuple[str, ...]]]:
    """(bits, style, labels from long to short) of the fields that the format has."""
    spec, bits = report.spec, report.bits
    exponent_from = int(spec.signed)
    fraction_from = exponent_from + spec.exponent_bits
    parts = [
        (bits[:exponent_from], SIGN_STYLE, ("s",)),
        (bits[exponent_from:fraction_from], EXPONENT_STYLE, ("exponent", "exp", "e")),
        (bits[fraction_from:], FRACTION_STYLE, ("fraction", "frac", "f")),
    ]
    return [part for part in parts if part[0]]


def _bit_strip(report: DecodeReport) -> Text:
    """Bit positions, the bits, and a ruler that names the fields."""
    positions, strip, brackets, names = Text(), Text(), Text(), Text()
    top = report.spec.bits - 1
    for bits, style, labels in _fields(report):
        width = len(bits)
        first, last = str(top), str(top - width + 1)
        place = first.ljust(width - len(last)) + last if width > len(first) + len(last) else first
        cell = max(width, len(place))
        rule = "│" if width == 1 else f"└{'─' * (width - 2)}┘"
        label = next((name for name in labels if len(name) <= cell), labels[-1])
        positions.append(f"{place:>{cell}} ", LABEL_STYLE)
        strip.append(f"{bits:>{cell}} ", style)
        brackets.append(f"{rule:>{cell}} ", style)
        names.append(f"{label:^{cell}} " if cell > 2 else f"{label:>{cell}} ", style)
        top -= width
    return Text("\n").join((positions, strip, brackets, names))


def _formula(report: DecodeReport) -> Text:
    """(-1)^s × 2^(E - bias) × 1.f with the numbers filled in."""
    spec = report.spec
    kind = report.classification
    if kind is Classification.INFINITY:
        text = "the magnitude after the largest finite one"
        if spec.has_nan_payload:
            text = "exponent all ones, fraction zero"
        return Text(f"{text}: {'minus ' if report.sign else ''}infinity")
    if report.exponent is None:
        if not spec.has_nan_payload:
            return Text("the code reserved for NaN")
        payload = report.fraction & (spec.quiet_bit - 1)
        word = "quiet" if kind is Classification.QUIET_NAN else "signaling"
        return Text(f"exponent all ones, fraction not zero: {word} NaN, payload {payload:#x}")
    leading = int(kind is Classification.NORMAL)
    exponent_field = max(report.biased_exponent, 1) if spec.zero else report.biased_exponent
    fraction = f"{report.fraction:0{spec.fraction_bits}b}" if spec.fraction_bits else "0"
    sign = Text.assemble("(-1)^", (str(report.sign), SIGN_STYLE), " × ") if spec.signed else Text()
    return Text.assemble(
        sign,
        "2^(",
        (str(exponent_field), EXPONENT_STYLE),
        f"-{spec.bias})" if spec.bias >= 0 else f"+{-spec.bias})",
        f" × {leading}.",
        (fraction, FRACTION_STYLE),
        "₂",
    )


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
        exact = exact_text(report.dyadic, report.sign) or ""
        if len(exact) > _EXPANSION_SHOWN:
            exact = f"{brief(exact, 60)}  ({len(exact)} characters, all in --json)"
        rows.append(("exact value", exact))
    rows += [("shortest", report.shortest), ("hex float", report.hex_float)]
    rows.append(("rounding error", _error(report)))
    if report.ulp_dyadic is not None:
        rows.append(("ulp", f"{brief(report.ulp_dyadic.decimal)} = 2^{report.ulp_dyadic.exponent}"))
    rows.append(("neighbours", _neighbours(report)))
    rows.append(("rounds here", _interval(report.interval)))
    return rows


def _short_details(report: DecodeReport) -> list[tuple[str, RenderableType]]:
    exact = exact_text(report.dyadic, report.sign) or report.shortest
    error, ulps, lower, upper = (
        "-" if text is None else brief(text, digits)
        for text, digits in (
            (report.rounding_error, _COLUMN_DIGITS),
            (report.error_ulp, 6),
            (report.lower, _COLUMN_DIGITS),
            (report.upper, _COLUMN_DIGITS),
        )
    )
    sign, exponent, fraction = _fields(report)
    return [
        ("code", hex_code(report.code, report.spec)),
        ("sign", Text(sign[0], sign[1])),
        ("exponent", Text(exponent[0], exponent[1])),
        ("fraction", Text(fraction[0], fraction[1])),
        ("class", Text(_words(report).replace(", ", "\n"))),
        ("exact value", brief(exact, _COLUMN_DIGITS)),
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
