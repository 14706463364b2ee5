"""What every report's JSON document may tell beside its results, as other forms show it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from fpx.report.base import Report


class Told(NamedTuple):
    """An answer.

    Attributes:
        about: `float16`, or of several sources `model.safetensors: float16`; empty where it is the
            only one.
        fits: whether it is a good one.
        text: it in words.
    """

    about: str
    fits: bool
    text: str

    @property
    def line(self) -> str:
        """It on one line."""
        return f"{self.about}: {self.text}" if self.about else self.text


def command_of(report: Report) -> str:
    """The command whose report it is: `fpx cast-compare`."""
    return report.schema.partition("/")[0].replace(".", " ", 1)


def lines_of(report: Report, key: str) -> list[str]:
    """The lines that stand under a key beside the results, such as `errors`; none if none do."""
    return [str(line) for line in report.beside().get(key, ())]


def answers_of(report: Report) -> list[Told]:
    """The answers that a report gives, those that are no good first."""
    beside = report.beside()
    if "answer" in beside:
        good = not (report.failures() or beside.get("partial"))
        return [Told("", good, str(beside["answer"]))]
    found = beside.get("answers", ())
    several = len({answer["source"] for answer in found}) > 1
    told = [
        Told(
            f"{answer['source']}: {answer['to']}" if several else answer["to"],
            answer["fits"],
            answer["text"],
        )
        for answer in found
    ]
    return sorted(told, key=lambda answer: answer.fits)


def few(lines: Sequence[str], most: int) -> Sequence[str]:
    """So many of the lines, the last of which tells of the rest."""
    if len(lines) <= most:
        return lines
    return [*lines[: most - 1], f"and {len(lines) - most + 1:,} more"]


def failing(reports: Iterable[Report]) -> list[str]:
    """What fails a check that was asked for, a line each."""
    return [failure.text for report in reports for failure in report.failures()]
