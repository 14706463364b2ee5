"""Reports as a page for a browser: one file that loads nothing, and runs its own script alone.

The page is `page.html` with `page.css` and `page.js` in it, and the report as JSON, which the
script draws. What a report's rows become is said by `Paged`.
"""

from __future__ import annotations

import hashlib
import json
import math
from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape as html
from importlib import import_module
from importlib.resources import files
from typing import Any, TextIO

from fpx.render.told import answers_of, command_of, failing, few, lines_of
from fpx.render.writers import Setting
from fpx.report.base import Report
from fpx.report.columns import Cell
from fpx.version import __version__
from fpx.words import escape

_PAGED_BY = {"fpx cast-compare": "cast_page:cast_rows"}
"""Command -> what makes the rows of its pages, where that is not `plain_rows`."""

_MOST_CHOICES = 12
_MOST_LINES = 200


@dataclass(frozen=True)
class Paged:
    """What of reports a page shows as a table, as JSON.

    Attributes:
        heading: above the table.
        columns: a mapping for each: `key`, `label`, `kind` (text, exact, count, decibels, number),
            `shown` (whether the table has it), and where they apply `says` (a sentence), `opens`
            (its cells open what is under the row), `choices` (a filter offers these values), `rate`
            (the number of the column with the share that a count is), `bad` (the class of a number
            above `above`), `digits` (significant ones; 6 without it).
        rows: a mapping for each: `cells`, one for each column, and `detail`: None, or what is under
            the row (`metrics`: numbers of entries of `metrics`, each with its value after it;
            `histogram`: the number of one of `histograms`, or None; `formats`: names of `ranges`;
            `places`: pairs of texts).
        metrics: `name` and `says` of each number under rows.
        histograms: exponents, each with its count after it.
        ranges: format -> exponents of its smallest value, smallest normal and largest one.
        same: what is the same in all rows, and no column.
    """

    heading: str
    columns: Sequence[Mapping[str, Any]]
    rows: Sequence[Mapping[str, Any]]
    metrics: Sequence[Mapping[str, str]] = ()
    histograms: Sequence[Sequence[int]] = ()
    ranges: Mapping[str, Sequence[int]] = field(default_factory=dict)
    same: Mapping[str, Any] = field(default_factory=dict)


def write_page(reports: Iterable[Report], out: TextIO, setting: Setting) -> None:
    """One page of all reports, which share their columns."""
    every = tuple(reports)
    title = command_of(every[0]) if every else "fpx"
    paged = plain_rows
    if title in _PAGED_BY:
        module, _, function = _PAGED_BY[title].partition(":")
        paged = getattr(import_module(f"fpx.render.{module}"), function)
    found = paged(every)
    data = {
        "title": title,
        "command": setting.command,
        "fpx": __version__,
        "environment": every[0].environment() if every else {},
        "answers": [answer._asdict() for report in every for answer in answers_of(report)],
        "failures": few(failing(every), _MOST_LINES),
        **{
            key: few([line for report in every for line in lines_of(report, key)], _MOST_LINES)
            for key in ("errors", "unchecked", "notes")
        },
        **{name: getattr(found, name) for name in Paged.__dataclass_fields__},
    }
    out.write(_page(title, json.dumps(_safe(data), separators=(",", ":"), allow_nan=False)))


def _safe(value: Any) -> Any:
    """JSON in which no text can act, and every number is one or a word for it."""
    if isinstance(value, str):
        return escape(value)
    if isinstance(value, Mapping):
        return {escape(str(key)): _safe(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_safe(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value


def _page(title: str, data: str) -> str:
    folder = files("fpx.render")
    form, style, script = (
        folder.joinpath(f"page.{kind}").read_text(encoding="utf-8")
        for kind in ("html", "css", "js")
    )
    policy = (
        f"default-src 'none'; script-src {_hash(script)}; style-src {_hash(style)}; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )
    return form.format(
        title=html(title),
        version=html(__version__),
        policy=policy,
        style=style,
        script=script,
        data=data.replace("<", "\\u003c"),  # no tag can end the script that holds it
    )


def _hash(text: str) -> str:
    """What a Content-Security-Policy calls an inline script or style."""
    return f"'sha256-{b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def plain_rows(reports: Sequence[Report]) -> Paged:
    """The tables of any reports, one below the other."""
    tables = [report.table() for report in reports]
    keys = tuple(dict.fromkeys(key for table in tables for key in table.columns))
    cells = [
        [dict(zip(table.columns, row, strict=True)).get(key) for key in keys]
        for table in tables
        for row in table.rows
    ]
    columns = []
    same = {}
    for at, key in enumerate(keys):
        if at and len(cells) > 1 and len({row[at] for row in cells}) == 1:
            if cells[0][at] not in (None, ""):
                same[key] = cells[0][at]
            continue
        values = [row[at] for row in cells if row[at] is not None]
        numbers = bool(values) and all(map(_is_number, values))
        column: dict[str, Any] = {"key": key, "label": key.replace("_", " "), "shown": True}
        column["kind"] = "exact" if numbers else "text"
        different = dict.fromkeys(map(str, values))
        if not numbers and 1 < len(different) <= _MOST_CHOICES and len(cells) >= 3 * len(different):
            column["choices"] = list(different)
        columns.append(column)
    kept = [keys.index(column["key"]) for column in columns]
    rows = [{"cells": [_cell(row[at]) for at in kept], "detail": None} for row in cells]
    return Paged("Results", columns, rows, same=same)


def _cell(cell: Cell) -> Cell:
    """A cell as JSON; true and false are words."""
    return str(cell).lower() if isinstance(cell, bool) else cell


def _is_number(cell: object) -> bool:
    if isinstance(cell, bool):
        return False
    try:
        float(cell)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return False
    return True
