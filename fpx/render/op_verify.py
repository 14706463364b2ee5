"""`fpx op-verify` as a table of verdicts, and what is behind them."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from fpx.render.tables import plain_table
from fpx.render.text import (
    BAD_STYLE,
    GOOD_STYLE,
    LABEL_STYLE,
    ROUNDED_HERE,
    WARNING_STYLE,
    Legible,
    grouped,
)
from fpx.report.op_verify import (
    BinadeCount,
    FunctionRow,
    FunctionsReport,
    OpVerifyReport,
    WrongResult,
)
from fpx.words import escape

_FEW = 4  # functions that are shown in full
_CAUSES = 16
_PLACES = 4  # stretches of binades
_SHOWN = 26  # characters of a value
_DIGITS = 20  # of longer ones
_LARGE = 1e4  # ulps that are written with an exponent
_MILD = ("one_step", "sign_of_zero")


def op_verify_tables(report: OpVerifyReport, limit: int = _CAUSES) -> RenderableType:
    """A line for each function, then the causes; of a few functions, every example instead."""
    parts: list[RenderableType] = []
    legible = Legible()
    for who in dict.fromkeys((row.backend, row.device) for row in report.rows):
        rows = [row for row in report.rows if (row.backend, row.device) == who]
        offered = [row for row in rows if row.offered]
        parts += [_heading(report, rows[0]), *([_lines(offered)] if offered else [])]
        parts += _absent(rows)
    if len(report.rows) <= _FEW:
        parts += [part for row in report.rows for part in _full(row, legible)]
    else:
        parts += _why(report.rows, limit)
    if any(row.inputs == "sampled" for row in report.rows):
        parts.append(Text("sampled: boundaries and seeded random inputs; all: every one."))
    if legible.rounds:
        parts.append(Text(ROUNDED_HERE, LABEL_STYLE))
    return Group(*parts)


def _heading(report: OpVerifyReport, row: FunctionRow) -> Text:
    how = f" ({', '.join(report.named)})" if report.named else ""
    who = f"{row.backend} {row.version} on {row.device}{how}"
    return Text(f"{escape(who)}, against correct rounding", LABEL_STYLE)


def _verdict(row: FunctionRow) -> Text:
    word = row.verdict if row.complete else f"{row.verdict}, part"
    return Text(word, _style(row.causes[0].cause) if row.causes else GOOD_STYLE)


def _style(cause: str) -> str:
    return WARNING_STYLE if cause in _MILD else BAD_STYLE


def _lines(rows: Sequence[FunctionRow]) -> Table:
    table = plain_table(first_out=("inputs", "checked"))
    for column in ("function", "format", "inputs"):
        table.add_column(column, no_wrap=True)
    for column in ("checked", "wrong", "share", "worst, ulps"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("mostly", no_wrap=True)
    for row in rows:
        table.add_row(
            row.function,
            row.format,
            row.inputs,
            grouped(row.checked_count),
            grouped(row.wrong_count),
            _share(row),
            _ulps(row.max_error_ulp),
            _verdict(row),
        )
    return table


def _share(row: FunctionRow) -> str:
    """A percentage that is 0 % or 100 % only where it is exactly that."""
    percent = 100 * row.wrong_count / (row.checked_count or 1)
    if 0 < percent < 0.1:
        return "<0.1 %"
    if 99.9 < percent < 100:
        return ">99.9 %"
    return f"{percent:.1f} %" if percent % 100 else f"{percent:.0f} %"


def _ulps(error: float | None) -> str:
    if error is None:
        return "-"
    if error >= _LARGE:
        return f"{error:.1e}"
    shown = f"{error:.4g}"
    return f">{shown}" if shown == "0.5" and error > 0.5 else shown  # 0.5 is that of a tie


def _absent(rows: Sequence[FunctionRow]) -> list[RenderableType]:
    absent = [f"{row.function} ({row.format})" for row in rows if not row.offered]
    return [Text(f"{rows[0].backend} has no {', '.join(absent)}.\n")] if absent else []


def _why(rows: Sequence[FunctionRow], limit: int) -> list[RenderableType]:
    causes = [(row, cause) for row in rows for cause in row.causes]
    causes.sort(key=lambda pair: (pair[1].cause in _MILD, -pair[1].count))
    if not causes:
        return []
    several = len({row.format for row in rows}) > 1
    who = len({(row.backend, row.device) for row in rows}) > 1
    table = plain_table(Text("Why"))
    table.add_column("function", overflow="fold")
    table.add_column("got", overflow="fold")
    table.add_column("count", justify="right", no_wrap=True)
    table.add_column("such as", no_wrap=True)
    for row, cause in causes[:limit]:
        of = f" of {row.format}" if several else ""
        by = f" ({row.backend}, {row.device})" if who else ""
        table.add_row(
            f"{row.function}{of}{by}",
            Text(cause.reason, _style(cause.cause)),
            grouped(cause.count),
            _short(cause.examples[0]),
        )
    more = len(causes) - limit
    left = [Text(f"The worst {limit} causes; {more} more in --json.\n")] if more > 0 else []
    return [table, *left]


def _short(example: WrongResult) -> str:
    operands = ", ".join(operand.code for operand in example.operands)
    return f"{operands} -> {example.got_code}"


def _full(row: FunctionRow, legible: Legible) -> list[RenderableType]:
    """Where results are wrong, and each cause with its examples as a report of a bug needs them."""
    if not row.causes:
        return []
    parts: list[RenderableType] = [
        Text.assemble((row.title, "bold"), f": {row.definition}"),
        *(Text(f"  {line}") for line in _places(row)),
        Text(""),
    ]
    for cause in row.causes:
        parts.append(
            Text.assemble(
                (f"{cause.word} ({cause.count:,})", _style(cause.cause)), f": got {cause.reason}"
            )
        )
        for example in cause.examples:
            parts += _example(example, legible)
    return parts


def _example(example: WrongResult, legible: Legible) -> list[RenderableType]:
    grid = Table.grid(padding=(0, 2))
    for _ in range(3):
        grid.add_column(overflow="fold")
    names = ("x", "y") if len(example.operands) > 1 else ("x",)
    for name, operand in zip(names, example.operands, strict=True):
        grid.add_row(f"  {name}", operand.code, legible(operand.value, _DIGITS, _SHOWN))
    grid.add_row("  exact", "", example.exact)
    for name, code, value in (
        ("expected", example.expected_code, example.expected),
        ("got", example.got_code, example.got),
    ):
        error = ""
        if name == "got" and example.error_ulp is not None:
            error = f"  ({_ulps(example.error_ulp)} ulps off)"
        grid.add_row(f"  {name}", code, legible(value, _DIGITS, _SHOWN) + error)
    line = [] if example.reproduction is None else [Text(f"  {example.reproduction}", LABEL_STYLE)]
    return [grid, *line, Text("")]


def _places(row: FunctionRow) -> list[str]:
    """The stretches of binades in which results are wrong, those with the most first."""
    stretches: list[list[BinadeCount]] = []
    last: BinadeCount | None = None
    for binade in row.binades:
        if last is not None and _alike(last, binade):
            stretches[-1].append(binade)
        else:
            stretches.append([binade])
        last = binade
    stretches.sort(key=lambda stretch: -sum(binade.wrong_count for binade in stretch))
    lines = [
        f"x from {_low(stretch[0])} to {_high(stretch[-1])}: "
        f"{sum(binade.wrong_count for binade in stretch):,} of "
        f"{sum(binade.count for binade in stretch):,} wrong"
        for stretch in stretches[:_PLACES]
    ]
    more = len(stretches) - _PLACES
    return [*lines, f"and {more} more such (--json has all)"] if more > 0 else lines


def _alike(a: BinadeCount, b: BinadeCount) -> bool:
    """Whether b is the next binade up, and both are wrong for the most part or neither."""
    mostly = [2 * binade.wrong_count > binade.count for binade in (a, b)]
    next_up = a.exponent + (-1 if a.negative else 1)
    return (a.negative, next_up, mostly[0]) == (b.negative, b.exponent, mostly[1])


def _low(binade: BinadeCount) -> str:
    """Its lower end."""
    if binade.negative:
        return f"-2^{binade.exponent + 1}"
    return "0" if binade.kind == "subnormal" else f"2^{binade.exponent}"


def _high(binade: BinadeCount) -> str:
    """Its upper end."""
    if not binade.negative:
        return f"2^{binade.exponent + 1}"
    return "0" if binade.kind == "subnormal" else f"-2^{binade.exponent}"


def functions_table(report: FunctionsReport) -> RenderableType:
    """Names and definitions, and what the libraries call them."""
    table = plain_table(first_out=("numpy", "torch"))
    for column in ("function", "definition"):
        table.add_column(column, overflow="fold")
    for column in ("torch", "numpy"):
        table.add_column(column, no_wrap=True)
    for row in report.rows:
        name = row.function if row.operands == 1 else f"{row.function}(x, y)"
        table.add_row(name, row.definition, row.torch or "-", row.numpy or "-")
    return table
