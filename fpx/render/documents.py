"""Reports as JSON: one document, or a line for each entry."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import TYPE_CHECKING, TextIO

from fpx.render.writers import Setting
from fpx.report.base import Report

if TYPE_CHECKING:
    from json import JSONEncoder


def write_json(reports: Iterable[Report], out: TextIO, setting: Setting) -> None:
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


def write_jsonl(reports: Iterable[Report], out: TextIO, setting: Setting) -> None:
    """A line for each entry of the results."""
    encode = _encoder(indent=None).encode
    for report in reports:
        for line in report.lines(encode):
            out.write(line + "\n")
        setting.shown(out)


@cache
def _encoder(indent: int | None) -> JSONEncoder:
    import json  # here, because drawing does not need it

    return json.JSONEncoder(allow_nan=False, indent=indent)
