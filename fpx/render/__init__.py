"""Reports to what people and programs read: rich renderables and JSON. Nothing is computed here."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any

from fpx.report import Report

if TYPE_CHECKING:
    from rich.console import RenderableType

# report class -> "module:function"; the module loads when a report of that kind is first drawn
_DRAWN_BY = {
    "DecodeReport": "fpx.render.decode:decode_panel",
    "EncodeReport": "fpx.render.decode:encode_line",
    "Comparison": "fpx.render.decode:comparison",
    "FormatReport": "fpx.render.ranges:format_table",
    "RangeReport": "fpx.render.ranges:range_tables",
    "CastReport": "fpx.render.cast:cast_tables",
}

_ENCODER = json.JSONEncoder(allow_nan=False, separators=(", ", ": "))
_PRETTY_ENCODER = json.JSONEncoder(allow_nan=False, indent=2)


def renderable(report: Report) -> RenderableType:
    """What rich prints for a report."""
    module, _, name = _DRAWN_BY[type(report).__name__].partition(":")
    draw: Callable[[Report], RenderableType] = getattr(import_module(module), name)
    return draw(report)


def to_json_text(document: dict[str, Any]) -> str:
    """One strict JSON document, indented, in ASCII."""
    return _PRETTY_ENCODER.encode(document)


def to_json_line(entry: dict[str, Any]) -> str:
    """One JSON object on one line, in ASCII."""
    return _ENCODER.encode(entry)
