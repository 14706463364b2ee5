"""`fpx encode` as lines."""

from __future__ import annotations

from rich.console import RenderableType
from rich.text import Text

from fpx.report.base import hex_code
from fpx.report.encode import EncodeReport


def encode_line(report: EncodeReport) -> RenderableType:
    """The code alone."""
    return Text(hex_code(report.code, report.spec))
