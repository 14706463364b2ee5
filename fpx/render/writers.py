"""Output forms, a row each: what `--json`, `--csv` and the others print."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable
from functools import cache
from io import StringIO
from typing import TYPE_CHECKING, Any, NamedTuple, TextIO

from fpx.report.base import Report

if TYPE_CHECKING:
    from json import JSONEncoder

    from rich.console import Console, RenderableType

Draw = Callable[[Report], "RenderableType"]


class Writer(NamedTuple):
    """One output form.

    Attributes:
        name: of the form, and of its option.
        help: what the option does, in one sentence.
        write: writes reports of one schema to a stream, each as it comes; `Draw` draws one for the
            forms that draw.
    """

    name: str
    help: str
    write: Callable[[Iterable[Report], TextIO, Draw], None]


# -- text ------------------------------------------------------------------------------------------


def plain_text(picture: RenderableType) -> str:
    """A drawing without colours, in the columns that stdout has for it."""
    return _drawn(picture, _console(StringIO(), _is_limited(sys.stdout)))


def _is_limited(out: TextIO) -> bool:
    """Whether lines of a stream must fit: on a terminal, and where `COLUMNS` says so."""
    return os.environ.get("COLUMNS", "").isdigit() or out.isatty()


def _console(out: TextIO, limited: bool) -> Console:
    from rich.console import Console

    from fpx.render.text import AMPLE

    return Console(
        file=out, width=None if limited else AMPLE, highlight=False, markup=False, emoji=False
    )


def _drawn(picture: RenderableType, console: Console) -> str:
    """A drawing as text; without blanks at the ends of lines but on a terminal."""
    with console.capture() as capture:
        console.print(picture)
    text = capture.get()
    if not console.is_terminal:
        text = "".join(f"{line.rstrip()}\n" for line in text.splitlines())
    return text


_ASCII_FOR = {"×": "x", "…": "...", "₂": "b", "─": "-", "│": "|", "└": "`", "┘": "'", "╭": "+",
              "╮": "+", "╰": "+", "╯": "+", "≥": ">=", "≤": "<=", "≈": "~", "█": "#",
              "░": "."}  # fmt: skip


def _spelled(text: str, out: TextIO) -> str:
    """The text, with what the stream cannot show spelled in ASCII."""
    encoding = out.encoding or "utf-8"
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        shown = (_ASCII_FOR.get(ch, ch) for ch in text)
        return "".join(shown).encode(encoding, "replace").decode(encoding)
    return text


def _write_text(reports: Iterable[Report], out: TextIO, draw: Draw) -> None:
    console = None
    for report in reports:
        picture = draw(report)
        if isinstance(picture, str):
            text = f"{picture}\n"
        else:
            console = console or _console(out, _is_limited(out))
            text = _spelled(_drawn(picture, console), out)
        out.write(text)
        out.flush()


# -- JSON ------------------------------------------------------------------------------------------


def _write_json(reports: Iterable[Report], out: TextIO, draw: Draw) -> None:
    """One document: that of `Report.to_dict`, or of several reports all their results.

    Nothing is written before the first report is there. Of what stands beside the results, the
    last report's is told.
    """
    encode = _encoder(indent=2).encode
    separator, beside = "", {}
    for report in reports:
        if not separator:
            out.write(encode(report.head()).removesuffix("\n}") + ',\n  "results": [')
            separator = "\n    "
        for entry in report.results():
            out.write(separator + encode(entry).replace("\n", "\n    "))
            separator = ",\n    "
        beside = report.beside()
    if not separator:
        return
    out.write("\n  ]" if separator.startswith(",") else "]")
    for key, value in beside.items():
        out.write(f",\n  {encode(key)}: " + encode(value).replace("\n", "\n  "))
    out.write("\n}\n")


def _write_jsonl(reports: Iterable[Report], out: TextIO, draw: Draw) -> None:
    encode = _encoder(indent=None).encode
    for report in reports:
        for entry in report.results():
            out.write(encode(entry) + "\n")
        out.flush()


@cache
def _encoder(indent: int | None) -> JSONEncoder:
    import json  # here, because drawing does not need it

    return json.JSONEncoder(allow_nan=False, indent=indent)


# -- tables ----------------------------------------------------------------------------------------


def _write_csv(reports: Iterable[Report], out: TextIO, draw: Draw) -> None:
    import csv

    lines = csv.writer(out, lineterminator="\n")
    for columns, rows in _tables(reports):
        if columns:
            lines.writerow(columns)
        lines.writerows([_field(cell) for cell in row] for row in rows)
        out.flush()


def _write_markdown(reports: Iterable[Report], out: TextIO, draw: Draw) -> None:
    def line(cells: Iterable[str]) -> str:
        texts = (cell.replace("\\", "\\\\").replace("|", "\\|") for cell in cells)
        return f"| {' | '.join(' '.join(text.splitlines()) for text in texts)} |\n"

    for columns, rows in _tables(reports):
        if columns:
            out.write(line(columns))
            out.write(f"|{' --- |' * len(columns)}\n")
        for row in rows:
            out.write(line(map(_field, row)))
        out.flush()


def _tables(
    reports: Iterable[Report],
) -> Iterable[tuple[tuple[str, ...], Iterable[tuple[Any, ...]]]]:
    """(columns, rows) of each report; the columns, which all must share, come with the first."""
    columns: tuple[str, ...] | None = None
    for report in reports:
        table = report.table()
        if columns is None:
            columns = table.columns
            yield columns, table.rows
        elif table.columns == columns:
            yield (), table.rows
        else:
            raise ValueError(f"a report with columns {table.columns} after one with {columns}")


def _field(cell: object) -> str:
    """A cell as text: None as nothing, true and false as in JSON."""
    if cell is None:
        return ""
    if isinstance(cell, bool):
        return str(cell).lower()
    return str(cell)


WRITERS = {
    writer.name: writer
    for writer in (
        Writer("text", "Draw the results for people.", _write_text),
        Writer("json", "Print one JSON document instead.", _write_json),
        Writer("jsonl", "Print one JSON object per line, as results come.", _write_jsonl),
        Writer("csv", "Print CSV, a line of names first.", _write_csv),
        Writer("markdown", "Print a Markdown table.", _write_markdown),
    )
}
"""Every output form by its name; `text` is what there is without an option."""
