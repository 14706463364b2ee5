"""Output forms, a row each: what `--json` and the others print, and what `--save` writes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from importlib import import_module
from pathlib import PurePath
from typing import TYPE_CHECKING, NamedTuple, TextIO

from fpx.errors import InputError
from fpx.report.base import Report
from fpx.words import did_you_mean, listed, quoted_path

if TYPE_CHECKING:
    from rich.console import RenderableType

Draw = Callable[[Report], "RenderableType"]


class Setting(NamedTuple):
    """What reports are written with.

    Attributes:
        draw: draws one, for the forms that draw.
        command: the command line that made them, for the forms that tell how they were made.
        prompt: whether each report is to be seen before the next is asked for; if not, whoever
            makes them flushes the stream.
    """

    draw: Draw
    command: str = "fpx"
    prompt: bool = True

    def shown(self, out: TextIO) -> None:
        """A report is written: to be seen now, or with others."""
        if self.prompt:
            out.flush()


class Writer(NamedTuple):
    """One output form.

    Attributes:
        name: of the form; where it goes to stdout, of its option too.
        suffix: of the files that `--save` writes in it; empty where it writes none. One of two
            parts, such as `.keep.txt`, is also that of a file named `keep.txt`.
        help: what its option does, or what such a file holds, in one sentence.
        function: `module:function` in this room, loaded when it first writes.
        option: whether there is an option that prints it on stdout.
        command: the one command that has this form; empty where all have.
    """

    name: str
    suffix: str
    help: str
    function: str
    option: bool = True
    command: str = ""

    def write(self, reports: Iterable[Report], out: TextIO, setting: Setting) -> None:
        """Writes reports of one schema to a stream, each as it comes."""
        module, _, name = self.function.partition(":")
        function: Callable[[Iterable[Report], TextIO, Setting], None] = getattr(
            import_module(f"fpx.render.{module}"), name
        )
        function(reports, out, setting)

    def saves(self, name: str) -> bool:
        """Whether a file of that name is one of this form."""
        ending = self.suffix.removeprefix(".") if self.suffix.count(".") > 1 else self.suffix
        return bool(self.suffix) and (name == ending or name.endswith(self.suffix))


WRITERS = {
    writer.name: writer
    for writer in (
        Writer("text", "", "Draw the results for people.", "screen:write_text", option=False),
        Writer("json", ".json", "Print one JSON document instead.", "documents:write_json"),
        Writer(
            "jsonl",
            ".jsonl",
            "Print one JSON object per line, as results come.",
            "documents:write_jsonl",
        ),
        Writer("csv", ".csv", "Print CSV, a line of names first.", "grids:write_csv"),
        Writer("markdown", ".md", "Print a Markdown table.", "grids:write_markdown"),
        Writer("page", ".html", "A page for a browser.", "page:write_page", option=False),
        Writer("picture", ".svg", "The drawing as a picture.", "picture:write_svg", option=False),
        Writer("JUnit", ".xml", "JUnit's test results.", "junit:write_junit", option=False),
        Writer("drawing", ".txt", "The drawing as text.", "screen:write_plain", option=False),
        Writer(
            "keep-list",
            ".keep.txt",
            "The names of the tensors that fit none of the targets, one per line.",
            "keep_list:write_keep_list",
            option=False,
            command="cast-compare",
        ),
    )
}
"""Every output form by its name; `text` is what there is on stdout without an option."""


OPTIONS = tuple(writer for writer in WRITERS.values() if writer.option)
"""The forms that have an option."""


def savable(command: str) -> list[Writer]:
    """The forms in which a command saves files, those with the longest suffix first.

    Args:
        command: its name, such as `cast-compare`.
    """
    found = (row for row in WRITERS.values() if row.suffix and row.command in ("", command))
    return sorted(found, key=lambda row: -row.suffix.count("."))


def writer_for(path: str, command: str) -> Writer:
    """The form that a file's name asks for.

    Raises:
        InputError: none.
    """
    rows = savable(command)
    name = PurePath(path).name.lower()
    for row in rows:
        if row.saves(name):
            return row
    suffixes = [row.suffix for row in WRITERS.values() if row in rows]
    meant = did_you_mean(PurePath(name).suffix, suffixes)
    raise InputError(
        f"`save` cannot tell the form of {quoted_path(path)}: end it in {listed(suffixes)}{meant}"
    )
