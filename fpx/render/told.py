"""What every report's JSON document may tell beside its results, as other forms show it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from fpx.report.base import Report


class Told(NamedTuple):
    """An answer on one source and target.

    Attributes:
        about: `float16`, or of several sources `model.safetensors: float16`.
        fits: whether it is a good one.
        text: it in words.
    """

    about: str
    fits: bool
    text: str


def command_of(report: Report) -> str:
    """The command whose report it is: `fpx cast-compare`."""
    return report.schema.partition("/")[0].replace(".", " ", 1)


def lines_of(report: Report, key: str) -> list[str]:
    """The lines that stand under a key beside the results, such as `errors`; none if none do."""
    return [str(line) for line in report.beside().get(key, ())]


def answers_of(report: Report) -> list[Told]:
    """The answers that a report gives, those that are no good first."""
    found = report.beside().get("answers", ())
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


def failing(reports: Iterable[Report]) -> list[str]:
    """What fails a check that was asked for, a line each."""
    return [failure.text for report in reports for failure in report.failures()]
