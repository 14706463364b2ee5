"""Where results go: consoles, JSON on stdout, values from arguments or stdin."""

from __future__ import annotations

import codecs
import sys
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from fpx import __version__
from fpx.core.formats import FORMATS
from fpx.core.literals import Literal, ReadAs, parse_literal
from fpx.errors import FpxError, InputError, quoted
from fpx.report import Report

if TYPE_CHECKING:
    from rich.console import Console

_LONGEST_LINE = 64 << 20  # bytes of stdin that one value may take

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


def read_values(values: Iterable[str], read_as: ReadAs) -> Iterator[Literal]:
    """The literals of the arguments; `-` stands for the lines of stdin, read as they come.

    Raises:
        InputError: not a literal; for a line of stdin it names the line.
    """
    # arguments are all read before the first result, so that a typo among them costs no output
    given = [None if value == "-" else _read_argument(value, read_as) for value in values]
    for literal in given:
        if literal is None:
            yield from _read_stdin(read_as)
        else:
            yield literal


def _read_argument(value: str, read_as: ReadAs) -> Literal:
    try:
        return parse_literal(value, read_as)
    except InputError:
        # unknown options reach the values, because -3.14 and -inf look like options
        if value.startswith("--") or (value.startswith("-") and value[1:2].isalpha()):
            raise InputError(
                f"no such option: {quoted(value)}; see --help for those there are"
            ) from None
        raise


def _read_stdin(read_as: ReadAs) -> Iterator[Literal]:
    readline = sys.stdin.buffer.readline
    number = 0
    while line := readline(_LONGEST_LINE):
        number += 1
        if len(line) == _LONGEST_LINE:
            raise InputError(f"line {number} of stdin is longer than {_LONGEST_LINE >> 20} MiB")
        try:
            yield parse_literal(line.decode("utf-8", "backslashreplace"), read_as)
        except FpxError as error:
            raise type(error)(f"line {number} of stdin: {error}") from None


def complete_format(incomplete: str) -> list[str]:
    """Shell completion: format names that start so."""
    return [name for name in FORMATS if name.startswith(incomplete)]
