"""How results get to stdout, into files, and to GitHub."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from copy import copy
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from fpx.cli.saving import check_writable, replacing
from fpx.errors import InputError
from fpx.report.base import Report, Reports
from fpx.words import escape, quoted_path

if TYPE_CHECKING:
    from fpx.render.writers import Setting, Writer

NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
"""What an OSError's number is where a disk is full."""

_SUMMARY = "GITHUB_STEP_SUMMARY"
_typed = ["fpx"]  # the command line


def remember_command_line(arguments: Sequence[str]) -> None:
    """From here on, files tell that they were made by that."""
    _typed[1:] = arguments


def command_line() -> str:
    """What the user typed, quoted for a shell where that is needed."""
    import shlex  # here, because what goes to stdout does not tell it

    return escape(shlex.join(_typed))


class Save(NamedTuple):
    """A file that is asked for, and the form that its name says."""

    path: str
    writer: Writer


class Output(NamedTuple):
    """Where results go.

    Attributes:
        form: what goes to stdout: a name of `fpx.render.writers.WRITERS`.
        saves: files that get the results too.
        github: whether GitHub's workflow is told of what failed, and gets a summary.
    """

    form: str = "text"
    saves: tuple[Save, ...] = ()
    github: bool = False

    @classmethod
    def of(cls, form: str, paths: Iterable[str], github: bool, command: str) -> Output:
        """The output that a command's options ask for.

        Raises:
            InputError: a file of no known form, or one that cannot be written.
        """
        from fpx.render.writers import writer_for

        saves = []
        for path in paths:
            if path == "-":
                raise InputError(
                    "`save` takes a file's name: what goes to stdout, --json, --csv and the like "
                    "choose"
                )
            saves.append(Save(path, writer_for(path, command)))
        for save in saves:
            check_writable(save.path)
        return cls(form, tuple(saves), github)


SCREEN = Output()
"""Drawings on stdout, and nothing else."""


def show(
    reports: Report | Iterable[Report],
    how: Output,
    draw: Callable[[Any], Any] | None = None,
    prompt: bool = True,
) -> None:
    """Prints results on stdout, and saves them where that is asked for.

    Args:
        reports: one report, or several of one schema, each shown as soon as it is there.
        how: where they go.
        draw: draws a report, where its own drawing is not what is wanted.
        prompt: whether each is flushed; if not, what they are made from sees to that.

    Raises:
        InputError: a file cannot be written.
    """
    problems = deliver(reports, how, draw, prompt)
    if problems:
        raise InputError("; ".join(problems))


def deliver(
    reports: Report | Iterable[Report],
    how: Output,
    draw: Callable[[Any], Any] | None = None,
    prompt: bool = True,
) -> list[str]:
    """`show`, but that what could not be saved is told: a line for each file."""
    from fpx.render.registry import renderable
    from fpx.render.writers import WRITERS, Setting

    def setting() -> Setting:
        # what draws a stream may keep the head that it drew: in each output it begins anew
        return Setting(copy(draw or renderable), command_line(), prompt)

    each = iter([reports] if isinstance(reports, Report) else reports)
    kept: list[Report] = []
    if not (how.saves or how.github):
        WRITERS[how.form].write(each, sys.stdout, Setting(draw or renderable, prompt=prompt))
        return []
    try:
        WRITERS[how.form].write(_keeping(each, kept), sys.stdout, setting())
        sys.stdout.flush()
    except OSError as error:
        if error.errno not in {errno.EPIPE, *NO_ROOM}:
            raise
        kept.extend(each)  # who reads stdout has had enough; files get everything
        for problem in _save(kept, how, setting):
            sys.stderr.write(f"fpx: {problem}\n")
        raise
    return _save(kept, how, setting)


def _keeping(reports: Iterator[Report], kept: list[Report]) -> Iterator[Report]:
    for report in reports:
        kept.append(report)
        yield report


def _save(reports: Sequence[Report], how: Output, setting: Callable[[], Setting]) -> list[str]:
    """Writes all files, and tells GitHub; what went wrong, a line for each."""
    if how.saves and not reports:
        raise InputError(_NO_VALUE)
    problems = []
    for path, writer in how.saves:
        try:
            with replacing(path) as out:
                writer.write(reports, out, setting())
        except OSError as error:
            problems.append(f"{quoted_path(path)} cannot be written: {error.strerror}")
    if how.github:
        problems += _tell_github(reports, setting())
    return problems


def _tell_github(reports: Sequence[Report], setting: Setting) -> list[str]:
    """Annotations on stderr, which a workflow's runner reads as it reads stdout; the summary."""
    from fpx.render.github import annotate, summary

    sys.stdout.flush()
    for line in annotate(reports):
        sys.stderr.write(f"{line}\n")
    sys.stderr.flush()
    path = os.environ.get(_SUMMARY)
    if not path:
        return []
    try:
        with Path(path).open("a", encoding="utf-8") as out:
            out.write(summary(reports, setting))
    except OSError as error:
        return [f"the summary cannot be written to {quoted_path(path)}: {error.strerror}"]
    return []


_NO_VALUE = "no value: stdin is empty"


def collected(stream: Iterable[Report], how: Output, schema: str) -> Iterable[Report]:
    """The reports of a stream; for a document, which is whole or not there at all, when all are.

    Args:
        stream: the reports.
        how: where they go.
        schema: theirs, for a document of none.

    Raises:
        InputError: there is none to save.
    """
    if how.form != "json":
        return stream
    found = tuple(stream)
    if not found and how.saves:
        raise InputError(_NO_VALUE)
    return found or (Reports((), schema),)


def tell_github_of_error(command: str, message: str) -> None:
    """An annotation on why a command gave up."""
    from fpx.render.github import annotation

    sys.stderr.write(annotation("error", command, message) + "\n")
