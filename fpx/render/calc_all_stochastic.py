"""`fpx calc --all --rounding stochastic` as tables."""

from __future__ import annotations

from fractions import Fraction

from rich.console import Group, RenderableType
from rich.text import Text

from fpx.render.calc_all import heading
from fpx.render.tables import plain_table
from fpx.render.text import LABEL_STYLE, ROUNDED_HERE, grouped
from fpx.report.calc_all_stochastic import COUNTS, AllOutcomesReport, VariableChances

_ERRORS = (("bias", "bias_ulp"), ("error", "error_ulp"), ("variance", "variance_ulp"))


def all_outcomes_tables(report: AllOutcomesReport) -> RenderableType:
    """What is counted, how far results are off, and how often they equal each variable."""
    table = plain_table()
    table.add_column("of all combinations", no_wrap=True)
    table.add_column("count", no_wrap=True, justify="right")
    for name in COUNTS:
        if report.counts[name] or name == "count":
            says = name.removesuffix("_count").replace("_result", " possible")
            table.add_row(says.replace("_", " "), grouped(report.counts[name]))
    errors = [_errors(report)] if report.largest else []
    kept, note = _kept(report.variables), Text(ROUNDED_HERE, LABEL_STYLE)
    return Group(*heading(report), table, *errors, kept, note)


def _errors(report: AllOutcomesReport) -> RenderableType:
    table = plain_table(Text("measured, in ulps of the exact value (variance in ulps squared)"))
    table.add_column("", no_wrap=True)
    for name in ("on average", "largest"):
        table.add_column(name, no_wrap=True, justify="right")
    table.add_column("at", overflow="fold")
    for label, name in _ERRORS:
        largest = report.largest[f"max_{name}"].number
        table.add_row(
            label,
            _number(report.means[f"mean_{name}"]),
            _number(largest),
            report.where(f"max_{name}") if largest else "",
        )
    return table


def _kept(variables: tuple[VariableChances, ...]) -> RenderableType:
    table = plain_table(Text("unchanged"))
    table.add_column("", no_wrap=True)
    for name in ("numbers", "expected", "always", "never"):
        table.add_column(name, no_wrap=True, justify="right")
    for item in variables:
        for kind, kept in item.kinds.items():
            if kept.count:
                table.add_row(
                    f"{item.name}, {kind}",
                    grouped(kept.count),
                    _number(kept.expected),
                    grouped(kept.always),
                    grouped(kept.never),
                )
    return table


def _number(number: Fraction) -> str:
    return f"{float(number):,.6g}"
