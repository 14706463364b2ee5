"""`fpx encode` as lines."""

from __future__ import annotations

from fpx.report.encode import EncodeReport


def encode_line(report: EncodeReport) -> str:
    """The code alone."""
    return report.text()
