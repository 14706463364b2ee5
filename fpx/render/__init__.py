"""Reports to what people and programs read: drawings and files. Nothing is computed here."""

from __future__ import annotations

from io import StringIO

from fpx.render.registry import renderable
from fpx.report.base import Report

__all__ = ["notebook", "plain_text", "renderable"]


def plain_text(report: Report) -> str:
    """The drawing without colours, as a pipe gets it."""
    picture = renderable(report)
    if isinstance(picture, str):
        return picture
    from fpx.render import screen

    return screen.plain_text(picture).rstrip("\n")


def notebook(report: Report) -> dict[str, str]:
    """A report as a notebook shows it: HTML, and plain text for where that is not shown."""
    from rich.console import Console

    console = Console(record=True, file=StringIO(), width=100, force_jupyter=False)
    console.print(renderable(report), highlight=False, markup=False, emoji=False)
    style = "font-family: monospace; line-height: normal"
    html = console.export_html(
        inline_styles=True, code_format=f'<pre style="{style}">{{code}}</pre>', clear=False
    )
    return {"text/plain": console.export_text(), "text/html": html}
