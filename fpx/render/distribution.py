"""`fpx decode --rounding stochastic` as panels and lines."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from fpx.core.dyadic import Dyadic
from fpx.core.numbers import fraction_text
from fpx.core.policy import Change, Overflow
from fpx.core.shortest import value_text
from fpx.core.stochastic import Outcome
from fpx.render.panel import Titled
from fpx.render.text import (
    BAD_STYLE,
    GOOD_STYLE,
    LABEL_STYLE,
    ROUNDED_HERE,
    WARNING_STYLE,
    Legible,
)
from fpx.report.base import Report, hex_code
from fpx.report.distribution import DistributionReport, flags
from fpx.words import shortened

if TYPE_CHECKING:
    from fpx.render.lines import Lines

_DIGITS = 6
_SHOWN = 24  # characters of a number in a panel
_LONGEST_INPUT = 24  # characters that a column begins with


def distribution_panel(report: DistributionReport) -> RenderableType:
    """One number in one format: the outcomes, then what follows from them."""
    legible = Legible()
    rows = Table.grid(padding=(0, 2))
    rows.add_column(style=LABEL_STYLE, no_wrap=True)
    rows.add_column(overflow="fold")
    for label, cell in _details(report, legible):
        rows.add_row(label, cell)
    if legible.rounds:
        rows.add_row("", Text(ROUNDED_HERE, LABEL_STYLE))
    title = Text.assemble(_named(report), " as ", (report.format, "bold"))
    return Titled(title, Group(_outcomes(report, legible), Text(), rows))


def _named(report: DistributionReport) -> str:
    return shortened(report.input)


def _outcomes(report: DistributionReport, legible: Legible) -> RenderableType:
    table = Table.grid(padding=(0, 2))
    for _ in range(4):
        table.add_column(no_wrap=True)
    table.add_row(*(Text(name, LABEL_STYLE) for name in ("becomes", "code", "probability", "")))
    for item in report.outcomes:
        table.add_row(
            _value(report, item, legible, _SHOWN),
            hex_code(item.rounded.code, report.spec),
            probability_text(item.probability, legible),
            _happened(item),
        )
    return table


def _value(report: DistributionReport, item: Outcome, legible: Legible, longest: int) -> str:
    exact = value_text(item.rounded.code, report.spec)
    return legible(exact, max(report.spec.max_digits10, 4), longest)


def probability_text(probability: Fraction, legible: Legible) -> str:
    """A probability: a fraction of a power of two as such, where that is short."""
    exact = fraction_text(probability)
    if len(exact) > _SHOWN // 2 and probability.denominator & (probability.denominator - 1) == 0:
        over, power = probability.numerator, probability.denominator.bit_length() - 1
        if len(str(over)) <= _SHOWN // 2:
            return f"{over:,} / 2^{power}"
    return legible(exact, _DIGITS, _SHOWN // 2)


def _happened(item: Outcome) -> Text:
    more = [name for name in flags(item) if name != "inexact"]
    return Text(", ".join(more), BAD_STYLE if "exact" not in more else GOOD_STYLE)


def _details(report: DistributionReport, legible: Legible) -> Iterator[tuple[str, RenderableType]]:
    found, rounding = report.distribution, report.rounding
    yield "rounding", rounding.value
    if report.overflow is not Overflow.IEEE:
        yield "overflow", report.overflow.value
    if found.expectation is None or found.variance is None:
        yield "expectation", Text("none: it may be infinite or NaN", WARNING_STYLE)
    else:
        yield "expectation", legible(fraction_text(found.expectation), _DIGITS, _SHOWN)
        yield "bias", _bias(report, legible)
        yield "variance", legible(fraction_text(found.variance), _DIGITS, _SHOWN)
    if report.ulp_dyadic is not None:
        yield "ulp", f"2^{report.ulp_dyadic.exponent}"
    if rounding.bits is not None and report.ulp_dyadic is not None:
        yield "growth", _survives(rounding.growth, report.ulp_dyadic, legible)
        yield "shrinking", _survives(rounding.shrinking, report.ulp_dyadic, legible)


def _bias(report: DistributionReport, legible: Legible) -> Text:
    bias, ulps = report.distribution.bias, report.distribution.bias_ulp
    if not bias or ulps is None:
        return Text("0", GOOD_STYLE)
    shown = legible.signed(fraction_text(bias), _DIGITS, _SHOWN)
    off = legible.signed(fraction_text(ulps), _DIGITS).removeprefix("+")
    return Text(f"{shown}  ({off} ulp)", WARNING_STYLE)


def _survives(change: Change, ulp: Dyadic, legible: Legible) -> str:
    """From which size on a change of a value has a chance."""
    if not change.ulps:
        return "every change may survive"
    size = change.ulps * ulp.fraction
    power = 1 - change.ulps.denominator.bit_length()
    where = "changes survive from" if change.counts else "changes survive beyond"
    shown = legible(fraction_text(size), _DIGITS, _SHOWN)
    return f"{where} 2^{power} ulp{' on' if change.counts else ''} ({shown})"


class DistributionRows:
    """Draws numbers of a stream, a line for each outcome.

    Args:
        inputs: the numbers that are known before the first is drawn.
    """

    def __init__(self, inputs: Sequence[str] = ()) -> None:
        self._lines: Lines | None = None
        self._longest = min(max(map(len, inputs), default=0), _LONGEST_INPUT)

    def __call__(self, report: Report) -> RenderableType:
        """The lines of one number: a `DistributionReport`, or several of them."""
        items: list[DistributionReport] = list(report)
        if self._lines is None:
            self._lines = _rows_of(items, self._longest)
        rows = (cells for item in items for cells in _cells_of(item))
        return Group(*map(self._lines.row, rows))


def _rows_of(items: Sequence[DistributionReport], longest: int) -> Lines:
    from fpx.render.lines import Lines

    first = items[0]
    title = Text(first.rounding.value, "bold")
    if first.overflow is not Overflow.IEEE:
        title.append(f"  overflow {first.overflow.value}", LABEL_STYLE)
    title.append(f"  {ROUNDED_HERE}", LABEL_STYLE)
    columns = {
        "input": max(longest, 8),
        "format": max(len(item.format) for item in items),
        "code": max(2 + item.spec.code_digits for item in items),
        "becomes": max(max(item.spec.max_digits10 for item in items) + len("-.e-999"), 12),
        "probability": 12, "bias in ulps": 12, "result": 8,
    }  # fmt: skip
    return Lines(title, columns, first_out=("result", "bias in ulps", "code"))


def _cells_of(report: DistributionReport) -> Iterator[dict[str, Text | str]]:
    legible = Legible()
    bias = report.distribution.bias_ulp
    for item in report.outcomes:
        yield {
            "input": _named(report),
            "format": report.format,
            "code": hex_code(item.rounded.code, report.spec),
            "becomes": _value(report, item, legible, 12),
            "probability": probability_text(item.probability, legible),
            "bias in ulps": legible.signed(None if bias is None else fraction_text(bias), 4),
            "result": _happened(item),
        }
