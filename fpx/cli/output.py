"""Where results go: consoles, JSON on stdout."""

from __future__ import annotations

import codecs
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from fpx.report.base import Report
from fpx.version import __version__

if TYPE_CHECKING:
    from rich.console import Console

_ASCII_FOR = {"×": "x", "…": "...", "₂": "b", "─": "-", "│": "|", "└": "`", "┘": "'", "╭": "+",
              "╮": "+", "╰": "+", "╯": "+", "≥": ">=", "≤": "<=", "█": "#", "░": "."}  # fmt: skip


def _spell_in_ascii(error: UnicodeError) -> tuple[str, int]:
    """Codec error handler: what a terminal cannot show is spelled in ASCII."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end]
    return "".join(_ASCII_FOR.get(ch, "?") for ch in text), error.end


def console() -> Console:
    """The console for results: stdout, without wrapping of its own accord or highlighting."""
    from rich.console import Console

    codecs.register_error("fpx.ascii", _spell_in_ascii)
    reconfigure = getattr(sys.stdout, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="fpx.ascii")
    return Console(highlight=False, markup=False, emoji=False)


def print_report(report: Report) -> None:
    """Draws a report on stdout."""
    console().print(report)


def print_json(report: Report) -> None:
    """Prints a report as one JSON document on stdout."""
    from fpx.render import to_json_text

    sys.stdout.write(to_json_text(report.to_dict(__version__)) + "\n")


def stream_json(schema: str, entries: Iterable[dict[str, Any]]) -> None:
    """Prints one JSON document whose results come one by one and may be endless."""
    from fpx.render import to_json_line

    head = to_json_line({"schema": schema, "fpx": __version__, "environment": {}})
    sys.stdout.write(head.removesuffix("}") + ', "results": [')
    separator = "\n"
    for entry in entries:
        sys.stdout.write(separator + to_json_line(entry))
        separator = ",\n"
    sys.stdout.write("\n]}\n")


def note(message: str) -> None:
    """One line on stderr about something that is no failure."""
    sys.stderr.write(f"fpx: note: {message}\n")
