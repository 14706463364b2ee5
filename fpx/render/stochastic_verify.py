"""`fpx cast-verify --with … --rounding stochastic` on the screen."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from fpx.render.text import BAD_STYLE, GOOD_STYLE, LABEL_STYLE, Legible, grouped, rounded
from fpx.report.stochastic_verify import ENUMERATED, RoundingExample, RoundingReport, RoundingRow
from fpx.words import escape

_DIGITS = 6
_SHOWN = 24  # characters of a number


def rounding_tables(report: RoundingReport) -> RenderableType:
    """What was tried, what is wrong, and examples."""
    row = report.row
    title = Text.assemble(
        (escape(row.implementation), "bold"), f": {row.from_} -> {row.to}, against {row.rounding}"
    )
    if row.overflow != "ieee":
        title.append(f", overflow {row.overflow}")
    parts: list[RenderableType] = [title, _tried(row), Text(), _verdict(row)]
    legible = Legible()
    for cause in row.causes:
        parts.append(Text())
        inputs = f" ({grouped(cause.count)} of {grouped(row.input_count)} inputs)"
        parts.append(Text.assemble((cause.reason, BAD_STYLE), inputs if cause.examples else ""))
        parts += [_example(example, legible) for example in cause.examples]
    return Group(*parts)


def _tried(row: RoundingRow) -> RenderableType:
    count = grouped(row.trials_per_input)
    what = f"{count} draws"
    if row.how == ENUMERATED:
        what = f"all {count} words of {row.random_bits} bits"
    elif row.random_bits is not None:
        what = f"{count} random words of {row.random_bits} bits, which are too many to try all"
    inputs = grouped(row.input_count)
    if row.left_out_count:
        inputs += f" of {grouped(row.input_count + row.left_out_count)}, of every kind some"
    rows = Table.grid(padding=(0, 2))
    rows.add_column(style=LABEL_STYLE, no_wrap=True)
    rows.add_column(overflow="fold")
    rows.add_row("inputs", f"{inputs}, each with {what}")
    counts = (
        (row.representable_count, "that the format has"),
        (row.chance_count, "between two values"),
        (row.subnormal_count, "below the normal numbers"),
        (row.carry_count, "below a power of two"),
        (row.overflow_count, "that may overflow"),
        (row.nan_count, "NaNs"),
        (row.infinity_count, "infinities"),
    )
    rows.add_row("of these", "; ".join(f"{grouped(n)} {says}" for n, says in counts if n))
    if row.max_bias_ulp is not None and row.mean_bias_ulp is not None:
        most, mean = (rounded(bias, _DIGITS) for bias in (row.max_bias_ulp, row.mean_bias_ulp))
        seen = "" if row.how == ENUMERATED else ", as drawn"
        rows.add_row("bias", f"at most {most} ulp, {mean} on average{seen}")
    if row.p_value_min is not None and row.significance is not None:
        rows.add_row(
            "p-values", f"{row.p_value_min:.3g} at the least, rejected below {row.significance:.3g}"
        )
    return rows


def _verdict(row: RoundingRow) -> Text:
    if row.causes:
        right = f"{grouped(row.exact_count)} of {grouped(row.input_count)} inputs are right"
        return Text.assemble(("wrong", BAD_STYLE), f": {right}")
    if row.how == ENUMERATED:
        return Text.assemble(("right", GOOD_STYLE), ": every probability is exact")
    return Text.assemble(("not rejected", GOOD_STYLE), ": the draws may come of a right function")


def _example(example: RoundingExample, legible: Legible) -> RenderableType:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    value = legible(example.value, _DIGITS + 3, _SHOWN)
    grid.add_row("  source", f"{example.code}  {value}")
    grid.add_row("  expected", example.expected)
    grid.add_row("  got", example.got)
    if example.p_value is not None:
        grid.add_row("  p-value", f"{example.p_value:.3g}")
    return grid
