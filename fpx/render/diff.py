"""`fpx diff` as an answer, and tables of what differs."""

from __future__ import annotations

import math
from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from fpx.render.names import Name, least_of
from fpx.render.tables import plain_table
from fpx.render.text import BAD_STYLE, GOOD_STYLE, LABEL_STYLE, WARNING_STYLE
from fpx.report.diff import DiffReport
from fpx.report.diff_row import COMPARED, LOSSES, STRUCTURE, Change, Comparison, DiffRow, Side, Spot
from fpx.words import escape, percentage

ROWS = 20
"""Tensors of a table where nobody chose."""

_FIRST_OUT = ("max relative error", "mean codes", "SQNR dB", "is", "dtype", "NaN, inf, range")
_LEAST_NAME = 16  # columns of a name before numbers are left out
_STYLES = {
    Change.SAME_VALUES: GOOD_STYLE,
    Change.CONVERTED: GOOD_STYLE,
    Change.WITHIN_TOLERANCE: WARNING_STYLE,
    Change.RENAMED: WARNING_STYLE,
}
_WORDS = {
    Change.SAME_VALUES: "same values",
    Change.WITHIN_TOLERANCE: "tolerated",
}


def diff_tables(report: DiffReport, limit: int = ROWS) -> RenderableType:
    """The answer; what differs, the worst first; how many tensors are left to tell of."""
    failed = report.failures()
    style = "bold red" if failed else "bold"
    parts: list[RenderableType] = [
        Text(report.answer, style),
        Text.assemble(
            ("A ", LABEL_STYLE), escape(report.a), ("  B ", LABEL_STYLE), escape(report.b)
        ),
    ]
    rows = report.worst_first()
    values = [row for row in rows if row.outcome in COMPARED and row.outcome is not Change.EQUAL]
    others = [row for row in rows if row.outcome in STRUCTURE]
    if others:
        parts.append(_structure(others[:limit]))
    if values:
        parts += _compared(values[:limit])
        spots = [(row, spot) for row in values[:limit] for spot in _spots(row)]
        if spots:
            parts.append(_places(spots))
    parts += _rest(report, max(len(others) - limit, 0) + max(len(values) - limit, 0))
    return Group(*parts)


def _rest(report: DiffReport, hidden: int) -> list[RenderableType]:
    """What the tables do not show."""
    parts = []
    if hidden:
        parts.append(f"{hidden:,} more in --json or with --all.")
    equal = report.counts[Change.EQUAL]
    if equal and equal < len(report.rows):
        parts.append(
            f"{equal:,} {'tensor is' if equal == 1 else 'tensors are'} equal, bit for bit."
        )
    return [Text(" ".join(parts), LABEL_STYLE)] if parts else []


def _structure(rows: Sequence[DiffRow]) -> Table:
    """Tensors that are not there, not of that shape, or not of that name."""
    renamed = any(row.outcome is Change.RENAMED for row in rows)
    table = plain_table(first_out=("in B", "in A"))
    table.add_column("tensor", min_width=least_of([Name(row.tensor) for row in rows]))
    for heading in ("is", "in A", "in B"):
        table.add_column(heading, no_wrap=True)
    if renamed:
        table.add_column("name in B", min_width=_LEAST_NAME)
    for row in rows:
        word = Text(row.outcome.value, _STYLES.get(row.outcome, BAD_STYLE))
        moved = row.b if row.outcome is Change.RENAMED else None
        name = [Name(moved.tensor) if moved else ""] if renamed else []
        table.add_row(Name(row.tensor), word, _kind(row.a), _kind(row.b), *name)
    return table


def _kind(side: Side | None) -> str:
    return "-" if side is None else f"{side.kind} [{', '.join(map(str, side.shape))}]"


def _compared(rows: Sequence[DiffRow]) -> list[Table]:
    """Tables of tensors whose values were compared: plain ones, and those that are quantised."""
    plain = [row for row in rows if row.quantised is None]
    quantised = [row for row in rows if row.quantised is not None]
    return [*([_values(plain)] if plain else []), *([_quantised(quantised)] if quantised else [])]


def _quantised(rows: Sequence[DiffRow]) -> Table:
    """What quantising cost, and what fpx's own rules would have cost."""
    lossy = any(row.comparison is not None and row.comparison.loses_range for row in rows)
    table = plain_table("Quantised", first_out=("max relative error", "dtype", "NaN, inf, range"))
    table.add_column("tensor", min_width=least_of([Name(row.tensor) for row in rows]))
    table.add_column("dtype", no_wrap=True)
    if lossy:
        table.add_column("NaN, inf, range", no_wrap=True)
    table.add_column("max relative\nerror", justify="right", no_wrap=True)
    for heading in ("SQNR\ndB", "fpx's best\ndB", "that is\nmore by"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("rule", no_wrap=True)
    for row in rows:
        found, quantised = row.comparison, row.quantised
        assert found is not None
        assert quantised is not None
        best, short = quantised.best, row.shortfall_db
        table.add_row(
            Name(row.tensor),
            _dtypes(row),
            *([_lost(found)] if lossy else []),
            *_errors(found),
            "-" if best is None or best.sqnr_db is None else _decibels(best.sqnr_db),
            "-" if short is None or math.isinf(short) else f"{round(short, 2) + 0.0:+.2f}",
            "-" if best is None else best.rule,
        )
    return table


def _dtypes(row: DiffRow) -> str:
    assert row.a is not None
    assert row.b is not None
    return f"{row.a.kind}\nto {row.b.kind}" if row.converted else row.a.kind


def _lost(found: Comparison) -> Text:
    """What is lost of the range, a line each."""
    said = [text.format(f"{n:,}") for name, text in LOSSES if (n := getattr(found, name))]
    return Text("\n".join(said), BAD_STYLE)


def _errors(found: Comparison) -> tuple[str, str]:
    """The largest relative error, and the SQNR."""
    error, sqnr = found.max_rel_error, found.sqnr_db
    return "-" if error is None else _brief(error), "-" if sqnr is None else _decibels(sqnr)


def _values(rows: Sequence[DiffRow]) -> Table:
    """How far apart values are."""
    lossy = any(row.comparison is not None and row.comparison.loses_range for row in rows)
    measured = any(row.comparison and row.comparison.sqnr_db is not None for row in rows)
    table = plain_table(first_out=_FIRST_OUT)
    table.add_column("tensor", min_width=least_of([Name(row.tensor) for row in rows]))
    table.add_column("dtype", no_wrap=True)
    table.add_column("is", no_wrap=True)
    for heading in ("values\nthat differ", "max\ncodes", "mean\ncodes"):
        table.add_column(heading, justify="right", no_wrap=True)
    if lossy:
        table.add_column("NaN, inf, range", no_wrap=True)
    if measured:
        table.add_column("max relative\nerror", justify="right", no_wrap=True)
        table.add_column("SQNR\ndB", justify="right", no_wrap=True)
    for row in rows:
        table.add_row(*_cells(row, lossy, measured))
    return table


def _cells(row: DiffRow, lossy: bool, measured: bool) -> list[RenderableType]:
    found = row.comparison
    assert found is not None
    style = _STYLES.get(row.outcome, BAD_STYLE)
    share = f" ({percentage(found.differing_count, found.count)})" if found.differing_count else ""
    cells: list[RenderableType] = [
        Name(row.tensor),
        _dtypes(row),
        Text(_WORDS.get(row.outcome, row.outcome.value), style),
        f"{found.differing_count:,}{share}",
        "-" if found.max_distance is None else f"{found.max_distance:,}",
        "-" if found.mean_distance is None else _brief(found.mean_distance),
    ]
    if lossy:
        cells.append(_lost(found))
    if measured:
        cells += _errors(found)
    return cells


def _brief(value: float) -> str:
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    return f"{value:.3g}" if 1e-3 <= value < 1e6 else f"{value:.2e}"


def _decibels(value: float) -> str:
    if math.isnan(value):
        return "-"
    if math.isinf(value):
        return "exact" if value > 0 else "-inf"
    return f"{value:.2f}"


def _spots(row: DiffRow) -> list[Spot]:
    """Where a tensor differs most, and where it first loses range."""
    found = row.comparison
    if found is None:
        return []
    furthest = None if row.quantised else found.max_distance_spot  # codes of its values: no one's
    both = (found.first_lost_spot, furthest)
    return list(dict.fromkeys(spot for spot in both if spot is not None))


def _places(spots: Sequence[tuple[DiffRow, Spot]]) -> Table:
    """Elements: the value and the code in A, in A rounded to B's dtype, and in B."""
    table = plain_table("Where")
    names = [_element(row, spot) for row, spot in spots]
    table.add_column("tensor and index", min_width=_LEAST_NAME)
    table.add_column("in", no_wrap=True)
    for heading in ("value", "code"):
        table.add_column(heading, no_wrap=True)
    for name, (row, spot) in zip(names, spots, strict=True):
        lines: list[tuple[str, int | float | None, str | None]] = [
            ("A", spot.a, spot.a_code),
            ("B", spot.b, spot.b_code),
        ]
        if row.converted and row.b is not None:
            lines.insert(1, (f"A as {row.b.dtype}", spot.expected, spot.expected_code))
        table.add_row(
            Name(name),
            "\n".join(who for who, _, _ in lines),
            "\n".join(_shown(value, _digits(spot)) for _, value, _ in lines),
            "\n".join(code or "-" for _, _, code in lines),
        )
    return table


def _element(row: DiffRow, spot: Spot) -> str:
    index = f"[{', '.join(map(str, spot.index))}]" if spot.index else ""
    return f"{row.tensor}{index}"


def _digits(spot: Spot) -> int:
    """Significant digits that tell the two values apart."""
    few, all_ = 9, 17
    return few if spot.a == spot.b or _shown(spot.a, few) != _shown(spot.b, few) else all_


def _shown(value: float | None, digits: int) -> str:
    if value is None:
        return "none"
    return str(value) if isinstance(value, int) else f"{value:.{digits}g}"
