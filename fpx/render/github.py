"""What GitHub shows of a command in a workflow: annotations, and the job's summary.

Annotations are workflow commands, lines that the runner reads in a step's output; see
https://docs.github.com/en/actions/reference/workflow-commands-for-github-actions
"""

from __future__ import annotations

from collections.abc import Sequence
from io import StringIO

from fpx.render.escapes import code_block, command_data, command_property, markdown
from fpx.render.screen import write_plain
from fpx.render.told import answers_of, command_of, failing, few, lines_of
from fpx.render.writers import Setting
from fpx.report.base import Report

_SHOWN = 10  # annotations of a kind that GitHub shows of a step
_FAILURES = 50  # lines of a summary
_DRAWING = 100_000  # characters; GitHub refuses a summary beyond 1 MiB


def annotate(reports: Sequence[Report]) -> list[str]:
    """Lines for the runner: errors for what fails, warnings for answers that are no good.

    Of a kind there are as many as GitHub shows; the last then says how many more there would be.
    """
    title = command_of(reports[0]) if reports else "fpx"
    answers = [answer for report in reports for answer in answers_of(report)]
    found = {
        "error": [
            *failing(reports),
            *(line for report in reports for line in lines_of(report, "errors")),
        ],
        "warning": [
            *(answer.line for answer in answers if not answer.fits),
            *(line for report in reports for line in lines_of(report, "unchecked")),
        ],
        "notice": [answer.line for answer in answers if answer.fits],
    }
    return [
        annotation(kind, title, line)
        for kind, lines in found.items()
        for line in few(lines, _SHOWN)
    ]


def annotation(kind: str, title: str, message: str) -> str:
    """One line for the runner.

    Args:
        kind: `error`, `warning` or `notice`.
        title: what stands above the message.
        message: in one line.
    """
    return f"::{kind} title={command_property(title)}::{command_data(message)}"


def summary(reports: Sequence[Report], setting: Setting) -> str:
    """Markdown for the job's summary: the answers, what fails, and the drawing."""
    title = command_of(reports[0]) if reports else "fpx"
    parts = [f"### {markdown(title)}\n"]
    answers = [answer for report in reports for answer in answers_of(report)]
    if answers:
        parts.append(
            "".join(
                f"- {'✅' if answer.fits else '❌'} {markdown(answer.line)}\n"
                for answer in answers[:_FAILURES]
            )
        )
    errors = [line for report in reports for line in lines_of(report, "errors")]
    unchecked = [line for report in reports for line in lines_of(report, "unchecked")]
    for heading, lines in (
        ("Checks that fail", failing(reports)),
        ("Errors", errors),
        ("Not checked", unchecked),
    ):
        if lines:
            shown = "".join(f"- {markdown(line)}\n" for line in few(lines, _FAILURES))
            parts.append(f"**{heading}**\n\n{shown}")
    drawing = StringIO()
    write_plain(reports, drawing, setting)
    text = drawing.getvalue()
    if len(text) > _DRAWING:
        text = f"{text[:_DRAWING].rpartition(chr(10))[0]}\n…"
    drawn = code_block(text)
    if answers:  # which say what matters
        drawn = f"<details><summary>Report</summary>\n\n{drawn}\n</details>\n"
    return "\n".join([*parts, drawn, code_block(setting.command)]) + "\n"
