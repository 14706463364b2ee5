"""`fpx cast-verify` as a matrix of verdicts, and what is behind them."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console, ConsoleOptions, Group, RenderableType
from rich.table import Table
from rich.text import Text

from fpx.render.tables import plain_table
from fpx.render.text import BAD_STYLE, GOOD_STYLE, LABEL_STYLE, ROUNDED_HERE, WARNING_STYLE, Legible
from fpx.report.cast_verify import (
    KINDS,
    NAN_BITS,
    POLICY,
    WRONG_ROUNDING,
    CauseCount,
    VerifyReport,
    VerifyRow,
)
from fpx.words import escape

_STYLES = {WRONG_ROUNDING: BAD_STYLE, POLICY: WARNING_STYLE, NAN_BITS: LABEL_STYLE}
_AGAINST = {"exact": "correct rounding", "codec": "correct rounding, one number at a time"}
_EXACTLY = f"{_AGAINST['exact']} ("
_EXACT_SHOWN = 26  # characters of a value: with its code, what 60 columns hold
_DIGITS = 20  # of longer ones: more than tell two float64 apart
_LEAST = 11  # columns of a source in a matrix: a verdict takes lines of ten characters
_FEW = 4  # casts that are shown in full
_CAUSES = 16


def verify_tables(report: VerifyReport, limit: int = _CAUSES) -> RenderableType:
    """A matrix for each implementation and the causes; of a few casts, every example instead."""
    few = len(report.rows) <= _FEW
    parts: list[RenderableType] = []
    for who in dict.fromkeys((row.backend, row.device) for row in report.rows):
        rows = [row for row in report.rows if (row.backend, row.device) == who]
        parts.append(_heading(report, rows[0]))
        parts += [_lines(rows)] if few else [_Matrix(rows), *_absent(rows)]
    if few:
        parts += [text for row in report.rows for text in _examples(row)]
        return Group(*parts)
    causes = [(row, cause) for row in report.rows for cause in row.causes]
    causes.sort(key=lambda pair: (KINDS.index(pair[1].kind), -pair[1].count))
    if causes:
        parts.append(_why(causes[:limit]))
    if len(causes) > limit:
        parts.append(Text(f"The worst {limit} causes; {len(causes) - limit} more in --json.\n"))
    sampled = dict.fromkeys(row.from_ for row in report.rows if row.codes == "sampled")
    if sampled:
        parts.append(
            Text(f"Boundaries and random codes of {', '.join(sampled)}; every code of the rest.")
        )
    return Group(*parts)


def _heading(report: VerifyReport, row: VerifyRow) -> Text:
    against = _AGAINST.get(row.against) or escape(row.against).replace("exact (", _EXACTLY)
    how = f" ({', '.join(report.options.named)})" if report.options.named else ""
    version = f" {row.version}" if row.version else ""
    who = f"{escape(row.backend)}{version} on {row.device}{how}"
    return Text(f"{who}, against {against}", LABEL_STYLE)


def _verdict(row: VerifyRow) -> Text:
    if not row.offered:
        return Text(row.verdict, LABEL_STYLE)
    word = row.verdict if row.complete else f"{row.verdict}, part"
    return Text(word, _STYLES[row.causes[0].kind] if row.causes else GOOD_STYLE)


def _table(title: str = "") -> Table:
    return plain_table(Text(title) if title else None)


class _Matrix:
    """Verdicts by target and source, as many sources beside each other as there is room for."""

    def __init__(self, rows: list[VerifyRow]) -> None:
        self._cells = {(row.from_, row.to): row for row in rows}
        self._sources = list(dict.fromkeys(row.from_ for row in rows))
        self._targets = list(dict.fromkeys(row.to for row in rows if row.offered))

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Table]:
        room = options.max_width - max(map(len, self._targets), default=0) - 2
        across = min(max(room // _LEAST, 1), len(self._sources))
        if self._targets:
            for start in range(0, len(self._sources), across):
                yield self._block(self._sources[start : start + across])

    def _block(self, sources: list[str]) -> Table:
        table = _table()
        table.add_column("to \\ from", no_wrap=True)
        for source in sources:
            table.add_column(source, overflow="fold")
        for target in self._targets:
            line = [self._cells.get((source, target)) for source in sources]
            table.add_row(target, *(Text("-") if row is None else _verdict(row) for row in line))
        return table


def _absent(rows: list[VerifyRow]) -> list[RenderableType]:
    """A line about the targets that are not offered at all."""
    offered = {row.to for row in rows if row.offered}
    absent = [name for name in dict.fromkeys(row.to for row in rows) if name not in offered]
    if not absent:
        return []
    who = rows[0].backend
    lack = (
        f"{who} offers no cast"
        if rows[0].against in _AGAINST
        else f"{who} and {escape(rows[0].against)} do not both offer a cast"
    )
    return [Text(f"{lack} to {', '.join(absent)}.\n")]


def _lines(rows: list[VerifyRow]) -> Table:
    table = plain_table(first_out=("equal", "checked", "codes", "different"))
    for column in ("from", "to", "codes", "verdict"):
        table.add_column(column, no_wrap=True)
    for column in ("checked", "equal", "different"):
        table.add_column(column, justify="right", no_wrap=True)
    for row in rows:
        counts = (row.checked_count, row.equal_count, row.checked_count - row.equal_count)
        shown = [f"{count:,}" for count in counts] if row.offered else ["", "", ""]
        table.add_row(row.from_, row.to, row.codes, _verdict(row), *shown)
    return table


def _why(causes: list[tuple[VerifyRow, CauseCount]]) -> Table:
    table = _table("Why")
    several = len({(row.backend, row.device) for row, _ in causes}) > 1
    table.add_column("cast", overflow="fold")
    table.add_column("cause", overflow="fold")
    table.add_column("count", justify="right", no_wrap=True)
    table.add_column("first", no_wrap=True)
    for row, cause in causes:
        who = f" ({row.backend}, {row.device})" if several else ""
        first = cause.examples[0]
        table.add_row(
            f"{row.from_} -> {row.to}{who}",
            Text(cause.reason, _STYLES[cause.kind]),
            f"{cause.count:,}",
            f"{first.code} -> {first.got_code}",
        )
    return table


def _examples(row: VerifyRow) -> list[RenderableType]:
    """Each cause with its examples in full, as a report of a bug needs them."""
    parts: list[RenderableType] = []
    legible = Legible()
    for cause in row.causes:
        parts.append(
            Text.assemble(
                f"{row.from_} -> {row.to} by {row.backend} on {row.device}: ",
                (cause.reason, _STYLES[cause.kind]),
                f" ({cause.count:,})",
            )
        )
        grid = Table.grid(padding=(0, 2))
        for _ in range(3):
            grid.add_column(overflow="fold")
        is_exact = row.against in _AGAINST or row.against.startswith("exact (")
        expected = "expected" if is_exact else row.against
        for number, found in enumerate(cause.examples):
            if number:
                grid.add_row("")
            for name, code, value in (
                ("source", found.code, found.value),
                (expected, found.expected_code, found.expected),
                ("got", found.got_code, found.got),
            ):
                grid.add_row(f"  {name}", code, legible(value, _DIGITS, _EXACT_SHOWN))
        parts += [grid, Text("")]
    if legible.rounds:
        parts.append(Text(f"{ROUNDED_HERE}\n", LABEL_STYLE))
    return parts
