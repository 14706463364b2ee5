"""How results get to stdout."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from typing import Any

from fpx.errors import InputError
from fpx.report.base import Report, Reports


def show(
    reports: Report | Iterable[Report],
    how: str,
    draw: Callable[[Any], Any] | None = None,
) -> None:
    """Prints results on stdout.

    Args:
        reports: one report, or several of one schema, each shown as soon as it is there.
        how: the output form: a name of `fpx.render.writers.WRITERS`.
        draw: draws a report for the form `text`, where its own drawing is not what is wanted.
    """
    from fpx.render.registry import renderable
    from fpx.render.writers import WRITERS

    each = [reports] if isinstance(reports, Report) else reports
    WRITERS[how].write(each, sys.stdout, draw or renderable)


def collected(stream: Iterable[Report]) -> Reports:
    """All the reports of a stream in one: for a document that is whole or not there at all.

    Raises:
        InputError: there is none.
    """
    found = tuple(stream)
    if not found:
        raise InputError("no value: stdin is empty")
    return Reports(found)
