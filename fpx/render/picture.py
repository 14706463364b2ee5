"""Drawings as SVG."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from io import StringIO
from typing import TextIO

from rich.console import Console
from rich.text import Text

from fpx.render.text import AMPLE
from fpx.render.writers import Setting
from fpx.report.base import Report

_LEAST = 40  # columns
_USUAL = 100  # to which sentences wrap, unless a table is wider

# rich's own loads a font from the network and draws the buttons of a window
_FORMAT = """\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {{width}} {{height}}" role="img" \
aria-label="{title}">
<title>{title}</title>
<style>
.{{unique_id}}-matrix {{{{
  font-family: ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace;
  font-size: {{char_height}}px;
  line-height: {{line_height}}px;
}}}}
{{styles}}
</style>
<defs>
<clipPath id="{{unique_id}}-clip-terminal"><rect width="{{terminal_width}}" \
height="{{terminal_height}}"/></clipPath>
{{lines}}
</defs>
<rect width="100%" height="100%" rx="8" fill="#292929"/>
<text x="{{terminal_x}}" y="27" fill="#9a9a9a" font-family="sans-serif" font-size="15">\
{shown}</text>
<g transform="translate({{terminal_x}}, {{terminal_y}})" \
clip-path="url(#{{unique_id}}-clip-terminal)">
{{backgrounds}}
<g class="{{unique_id}}-matrix">{{matrix}}</g>
</g>
</svg>
"""


def write_svg(reports: Iterable[Report], out: TextIO, setting: Setting) -> None:
    """All drawings in one picture, as wide as their tables need it to be; sentences wrap."""
    wide = _console(AMPLE)
    lines: list[Text] = []
    for report in reports:
        picture = setting.draw(report)
        drawn = wide.render_lines(Text(picture) if isinstance(picture, str) else picture, pad=False)
        lines += (
            Text.assemble(*((part.text, part.style or "") for part in line if not part.control))
            for line in drawn
        )
    for line in lines:
        line.rstrip()
    # columns are two spaces apart, words are not
    tables = (line.cell_len for line in lines if "  " in line.plain.strip())
    columns = max(_LEAST, min(_USUAL, max((line.cell_len for line in lines), default=0)), *tables)
    console = _console(columns + 1, record=True)
    for line in lines:
        console.print(line)
    command = setting.command
    shown = command if len(command) <= columns else f"{command[: columns - 1]}…"
    form = _FORMAT.format(title=_text(command), shown=_text(shown))
    out.write(console.export_svg(title="", code_format=form))


def _console(columns: int, *, record: bool = False) -> Console:
    """One with colours, whatever the terminal here is."""
    return Console(
        record=record,
        file=StringIO(),
        width=columns,
        force_terminal=True,
        color_system="truecolor",
        no_color=False,
        legacy_windows=False,
        highlight=False,
        markup=False,
        emoji=False,
    )


def _text(text: str) -> str:
    """A text for a template of rich's, which takes braces for fields."""
    return escape(text).replace("{", "{{").replace("}", "}}")
