"""Reports as JSON: one document, or a line for each entry."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import TYPE_CHECKING, TextIO

from fpx.render.writers import Setting
from fpx.report.base import JsonValue, Report

if TYPE_CHECKING:
    from json import JSONEncoder


def write_json(reports: Iterable[Report], out: TextIO, setting: Setting) -> None:
    """One document: that of `Report.to_dict`, or of several reports all their results.

    Nothing is written before the first report is there. Of what stands beside the results, lists
    are joined, and of others the last report's is told.
    """
    encode = _indented
    separator = ""
    beside: dict[str, JsonValue] = {}
    for report in reports:
        if not separator:
            out.write(encode(report.head()).removesuffix("\n}") + ',\n  "results": [')
            separator = "\n    "
        for entry in report.results():
            out.write(separator + encode(entry, "    "))
            separator = ",\n    "
        for key, value in report.beside().items():
            beside[key] = [*beside.get(key, ()), *value] if isinstance(value, list) else value
    if not separator:
        return
    out.write("\n  ]" if separator.startswith(",") else "]")
    for key, value in beside.items():
        out.write(f",\n  {encode(key)}: " + encode(value, "  "))
    out.write("\n}\n")


def write_jsonl(reports: Iterable[Report], out: TextIO, setting: Setting) -> None:
    """A line for each entry of the results."""
    encode = _encoder().encode
    for report in reports:
        for line in report.lines(encode):
            out.write(line + "\n")
        setting.shown(out)


_NESTED = (dict, list, tuple)


def _indented(value: JsonValue, margin: str = "") -> str:
    """A value as JSON of many lines, all but the first behind a margin.

    As `json.dumps(value, indent=2)` has it, which does without the fast encoder: here that gets
    what holds nothing that takes lines of its own.
    """
    inner = f"{margin}  "
    encode = _encoder(f",\n{inner}").encode
    if not value or not isinstance(value, _NESTED):
        return encode(value)
    if not isinstance(value, dict):
        items = f",\n{inner}".join(_indented(item, inner) for item in value)
        return f"[\n{inner}{items}\n{margin}]"
    members: list[str] = []
    plain: dict[str, JsonValue] = {}
    for key, item in value.items():
        if item and isinstance(item, _NESTED):
            if plain:
                members.append(encode(plain)[1:-1])
                plain = {}
            members.append(f"{encode(key)}: {_indented(item, inner)}")
        else:
            plain[key] = item
    if plain:
        members.append(encode(plain)[1:-1])
    return f"{{\n{inner}" + f",\n{inner}".join(members) + f"\n{margin}}}"


@cache
def _encoder(between: str = ", ") -> JSONEncoder:
    """The encoder that writes that between members."""
    import json  # here, because drawing does not need it

    return json.JSONEncoder(allow_nan=False, separators=(between, ": "))
