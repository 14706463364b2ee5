"""Output forms: what a program reads back is what a report says."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import pytest

import fpx
from fpx.render import renderable
from fpx.render.writers import OPTIONS, WRITERS, Setting
from fpx.report.base import Report, Reports
from fpx.words import escape
from tests.markdown import table


@dataclass(frozen=True, repr=False)
class Given(Report):
    """A report with results as given."""

    schema: ClassVar[str] = "given/1"

    entries: list[dict[str, Any]]
    more: dict[str, Any]

    def results(self) -> list[dict[str, Any]]:
        return self.entries

    def beside(self) -> dict[str, Any]:
        return self.more


NASTY = [
    {"text": 'a "quoted", | piped \\ one', "number": 1.5, "none": None, "yes": True},
    {"text": "two\nlines\r\nand é…", "number": -3, "none": None, "yes": False},
    {"text": "", "number": 10**30, "none": None, "yes": True},
]
NESTED = {
    "plain": 1, "in": {"list": [1, [2, {}], (3, {"deep": "},\n"})], "none": {}, "last": 0.5},
    "between": "é", "empty": [], "only": {"a": {"b": None}}, "end": True,
}  # fmt: skip


def written(form: str, *reports: Report) -> str:
    out = io.StringIO()
    WRITERS[form].write(reports, out, Setting(renderable))
    return out.getvalue()


@pytest.mark.parametrize(
    "report",
    [
        Given(NASTY, {}),
        Given([], {}),
        Given([{}], {"errors": [], "totals": [{"a": [1, 2]}], "partial": False}),
        Given([], {"errors": ["x"]}),
        Given([NESTED, {}, NESTED], {"beside": NESTED, "few": [[], [NESTED]]}),
        fpx.decode("nan", "bf16"),
        fpx.compare_ranges("fp16", "bf16"),
        fpx.bits(b"abcde", "fp32"),
    ],
    ids=repr,
)
def test_json_is_the_document(report: Report) -> None:
    text = written("json", report)
    assert text == json.dumps(report.to_dict(), indent=2, allow_nan=False) + "\n"
    assert text.isascii()


def test_json_of_a_stream_is_one_document() -> None:
    parts = [Given(NASTY[:1], {"left": 0}), Given([], {"left": 0}), Given(NASTY[1:], {"left": 2})]
    document = json.loads(written("json", *parts))
    assert document == Given(NASTY, {"left": 2}).to_dict()


@pytest.mark.parametrize("number", [math.inf, math.nan])
@pytest.mark.parametrize("form", ["json", "jsonl"])
def test_json_is_strict(form: str, number: float) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        written(form, Given([{"a": number}], {}))


def test_jsonl_has_a_line_for_each_entry() -> None:
    lines = written("jsonl", Given(NASTY, {"beside": 1}), Given(NASTY, {})).splitlines()
    assert [json.loads(line) for line in lines] == NASTY * 2


def test_csv_is_read_back() -> None:
    text = written("csv", Given(NASTY, {}), Given(NASTY, {}))
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    assert [row["text"] for row in rows[:3]] == [escape(str(entry["text"])) for entry in NASTY]
    assert rows[3:] == rows[:3]
    assert [row["number"] for row in rows[:3]] == ["1.5", "-3", "1" + "0" * 30]
    assert {row["none"] for row in rows} == {""}
    assert [row["yes"] for row in rows[:3]] == ["true", "false", "true"]
    assert text.startswith("text,number,none,yes\n")
    assert len(text.splitlines()) == 7


def test_markdown_escapes_what_would_end_a_cell() -> None:
    text = written("markdown", Given(NASTY, {}))
    assert text.startswith("| text | number | none | yes |\n| --- | --- | --- | --- |\n")
    assert table(text) == [
        list(NASTY[0]),
        ['a "quoted", | piped \\ one', "1.5", "", "true"],
        ["two\\nlines\\r\\nand é…", "-3", "", "false"],
        ["", "1" + "0" * 30, "", "true"],
    ]


@pytest.mark.parametrize("form", ["csv", "markdown"])
def test_rows_of_other_columns_are_refused(form: str) -> None:
    with pytest.raises(ValueError, match="columns"):
        written(form, Given([{"a": 1}], {}), Given([{"b": 1}], {}))


@pytest.mark.parametrize("form", ["text", *(form.name for form in OPTIONS)])
def test_a_report_is_written_before_the_next_is_asked_for(form: str) -> None:
    out = io.StringIO()
    seen = []

    def reports() -> Iterator[Report]:
        for number in (1, 2):
            seen.append(len(out.getvalue()))
            yield Given([{"a": number}], {})
        seen.append(len(out.getvalue()))

    WRITERS[form].write(reports(), out, Setting(renderable))
    assert 0 == seen[0] < seen[1] < seen[2]


def test_text_without_a_terminal() -> None:
    text = written("text", fpx.encode("1", "bf16"), fpx.format_info("bf16"))
    assert text.startswith("0x3f80\nbfloat16\n")
    assert "\x1b" not in text


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_a_terminal_gets_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "50")
    monkeypatch.delenv("NO_COLOR", raising=False)
    out = Terminal()
    WRITERS["text"].write([fpx.survey("1", ["float128", "fp8_e5m2"])], out, Setting(renderable))
    assert "\x1b[" in out.getvalue()
    assert "No room for: " in out.getvalue()


def test_what_a_stream_cannot_show_is_spelled_in_ascii() -> None:
    raw = io.BytesIO()
    out = io.TextIOWrapper(raw, encoding="ascii")
    WRITERS["text"].write([fpx.decode("1e-40", "fp32")], out, Setting(renderable))
    out.flush()
    assert b"2^(1-127) x 0." in raw.getvalue()


def test_several_in_one() -> None:
    reports = Reports((fpx.encode(1, "bf16"), fpx.encode(2, "bf16")))
    assert written("csv", reports) == written("csv", *reports)
