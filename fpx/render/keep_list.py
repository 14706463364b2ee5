"""The tensors that are best kept as they are, as a list for other tools."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TextIO

from fpx.render.writers import Setting
from fpx.report.base import Report
from fpx.report.cast_compare import CastReport
from fpx.words import escape


def write_keep_list(reports: Iterable[Report], out: TextIO, setting: Setting) -> None:
    """A name per line; of several sources, under a line `# source` for each that has any."""
    for report in reports:
        if not isinstance(report, CastReport):
            raise TypeError(f"{type(report).__name__} recommends nothing")
        several = len({row.source for row in report.rows}) > 1
        last = None
        for source, tensor in report.keep:
            if several and source != last:
                out.write(f"# {escape(source)}\n")
                last = source
            out.write(f"{escape(tensor)}\n")
