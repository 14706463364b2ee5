"""Reports to what people and programs read: rich renderables and JSON. Nothing is computed here."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

from fpx.report.base import Report

if TYPE_CHECKING:
    from json import JSONEncoder

    from rich.console import RenderableType

# report class -> "module:function"; the module loads when a report of that kind is first drawn
_DRAWN_BY = {
    "DecodeReport": "fpx.render.decode:decode_panel",
    "LibraryReport": "fpx.render.libraries:libraries_panel",
    "EncodeReport": "fpx.render.encode:encode_line",
    "Comparison": "fpx.render.decode:comparison",
    "Survey": "fpx.render.survey:survey_table",
    "FormatReport": "fpx.render.ranges:format_table",
    "RangeComparison": "fpx.render.ranges:comparison_table",
    "FormatsReport": "fpx.render.formats:formats_tables",
    "TableReport": "fpx.render.table:table_report",
    "DistanceReport": "fpx.render.distance:distance_table",
    "Distances": "fpx.render.distance:distances_table",
    "RangeReport": "fpx.render.ranges:range_tables",
    "InspectReport": "fpx.render.inspect:inspect_tables",
    "ExtremesReport": "fpx.render.inspect:extremes_table",
    "LayoutReport": "fpx.render.inspect:layout_drawing",
    "CastReport": "fpx.render.cast_compare:cast_tables",
    "DevicesReport": "fpx.render.devices:devices_tables",
    "VerifyReport": "fpx.render.cast_verify:verify_tables",
}


def renderable(report: Report) -> RenderableType:
    """What rich prints for a report."""
    module, _, name = _DRAWN_BY[type(report).__name__].partition(":")
    draw: Callable[[Report], RenderableType] = getattr(import_module(module), name)
    return draw(report)


def notebook(report: Report) -> dict[str, str]:
    """A report as a notebook shows it: HTML, and plain text for where that is not shown."""
    from io import StringIO

    from rich.console import Console

    console = Console(record=True, file=StringIO(), width=100, force_jupyter=False)
    console.print(report)
    style = "font-family: monospace; line-height: normal"
    html = console.export_html(
        inline_styles=True, code_format=f'<pre style="{style}">{{code}}</pre>', clear=False
    )
    return {"text/plain": console.export_text(), "text/html": html}


def to_json_text(document: dict[str, Any]) -> str:
    """One strict JSON document, indented, in ASCII."""
    return _encoder(indent=2).encode(document)


def to_json_line(entry: dict[str, Any]) -> str:
    """One JSON object on one line, in ASCII."""
    return _encoder(indent=None).encode(entry)


@cache
def _encoder(indent: int | None) -> JSONEncoder:
    import json  # here, because drawing does not need it

    return json.JSONEncoder(allow_nan=False, indent=indent)
