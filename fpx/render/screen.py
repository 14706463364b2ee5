"""Drawings as text: for a terminal, a pipe or a file."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from io import StringIO
from typing import TYPE_CHECKING, TextIO

from fpx.render.writers import Setting
from fpx.report.base import Report

if TYPE_CHECKING:
    from rich.console import Console, RenderableType


def plain_text(picture: RenderableType) -> str:
    """A drawing without colours, in the columns that stdout has for it."""
    return _drawn(picture, _console(StringIO(), _is_limited(sys.stdout)))


def _is_limited(out: TextIO) -> bool:
    """Whether lines of a stream must fit: on a terminal, and where `COLUMNS` says so."""
    return os.environ.get("COLUMNS", "").isdigit() or out.isatty()


def _console(out: TextIO, limited: bool) -> Console:
    from rich.console import Console

    from fpx.render.text import AMPLE

    return Console(
        file=out, width=None if limited else AMPLE, highlight=False, markup=False, emoji=False
    )


def _drawn(picture: RenderableType, console: Console) -> str:
    """A drawing as text; without blanks at the ends of lines but on a terminal."""
    with console.capture() as capture:
        console.print(picture)
    text = capture.get()
    if not console.is_terminal:
        text = "".join(f"{line.rstrip()}\n" for line in text.splitlines())
    return text


_ASCII_FOR = {"×": "x", "…": "...", "₂": "b", "─": "-", "│": "|", "└": "`", "┘": "'", "╭": "+",
              "╮": "+", "╰": "+", "╯": "+", "≥": ">=", "≤": "<=", "≈": "~", "█": "#",
              "░": "."}  # fmt: skip


def _spelled(text: str, out: TextIO) -> str:
    """The text, with what the stream cannot show spelled in ASCII."""
    encoding = out.encoding or "utf-8"
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        shown = (_ASCII_FOR.get(ch, ch) for ch in text)
        return "".join(shown).encode(encoding, "replace").decode(encoding)
    return text


def write_text(reports: Iterable[Report], out: TextIO, setting: Setting) -> None:
    """What people read on stdout: in colours and in the width of the terminal, if it is one."""
    _write(reports, out, setting, _is_limited(out))


def write_plain(reports: Iterable[Report], out: TextIO, setting: Setting) -> None:
    """The same for a file: without colours, and lines as long as they need to be."""
    _write(reports, out, setting, limited=False)


def _write(reports: Iterable[Report], out: TextIO, setting: Setting, limited: bool) -> None:
    console, draw = None, setting.draw
    for report in reports:
        picture = draw(report)
        if isinstance(picture, str):
            text = f"{picture}\n"
        else:
            console = console or _console(out, limited)
            text = _spelled(_drawn(picture, console), out)
        out.write(text)
        setting.shown(out)
