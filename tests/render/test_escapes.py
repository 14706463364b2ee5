"""Hostile text, read back by who reads each language."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from fpx.render.escapes import code_block, command_data, command_property, csv_cell, markdown
from fpx.words import escape

HOSTILE = [
    "=cmd|' /C calc'!A0", "+1+cmd", "-2+3+cmd|' /C calc'!A0", "@SUM(1,1)", "\t=1+1", "\r=1+1",
    "＝1+1", "a\nb", "a\r\nb", "\u202eevil", "\x1b[31m", "\x00", "\ud800", "\u2028",
    "a|b", "`code`", "``", "**bold**", "_it_", "__init__", "a_b_c", "[x](http://evil)", "![x](y)",
    "<script>alert(1)</script>", "</script>", "<!--", "&lt;", "&amp;", "https://evil.example",
    "www.evil.example", "a@b.example", "~~x~~", "\\", "\\|", "a\\", "$x$", "# head", "- item",
    "1. item", "> quote", "::error::x", "%0A", "100%", "a:b,c", '"quoted"', "'", "---", "| --- |",
]  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE)
def test_markdown_shows_the_text_and_nothing_else(text: str) -> None:
    _shows_itself(text)


@given(st.text(st.sampled_from("\\`*_[]()<>&|~$@!#:/.-+ aw1\n\u202e"), max_size=12))
def test_markdown_of_any_mixture(text: str) -> None:
    _shows_itself(text)


def _shows_itself(text: str) -> None:
    """In a cell, where fpx writes it."""
    reader = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    tokens = reader.parse(f"| a |\n| --- |\n| {markdown(text)} |\n")
    cells = [token for token in tokens if token.type == "inline"]
    assert len(cells) == 2
    children = cells[1].children or []
    assert {child.type for child in children} <= {"text", "text_special"}
    assert "".join(child.content for child in children) == escape(text).strip(" ")


@pytest.mark.parametrize("text", ["overflow_count", "ties_to_even", "0x3c00", "-1.5e-07", "a.b"])
def test_markdown_leaves_keys_and_numbers_alone(text: str) -> None:
    assert markdown(text) == text


@pytest.mark.parametrize("text", ["http://x", "https://x", "www.x.org", "WWW.x.org"])
def test_markdown_makes_no_links(text: str) -> None:
    """GitHub's reader makes a link of what looks like one, unless it is interrupted."""
    assert markdown(text) != text


@pytest.mark.parametrize(
    "text",
    ["-1", "+1", "-1.5e-07", "-inf", "+inf", "nan", "-1/3", "-0x1f", "-0.1 + 1e-30", "-1 2",
     "-0x1p+0", "-0x1.8p-20"],
)  # fmt: skip
def test_numbers_stay_numbers_in_csv(text: str) -> None:
    assert csv_cell(text) == text


@pytest.mark.parametrize("text", HOSTILE)
def test_csv_runs_nothing(text: str) -> None:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerow([csv_cell(text), "next"])
    assert out.getvalue().count("\n") == 1
    assert out.getvalue().removesuffix("\n").isprintable()
    (row,) = csv.reader(io.StringIO(out.getvalue(), newline=""))
    assert row[1] == "next"
    assert not row[0].startswith(tuple("=+-@\t\r＝＋－＠")) or text == "---"[:0]
    assert row[0].removeprefix("'") in (escape(text), escape(text).removeprefix("'"))


@pytest.mark.parametrize("text", HOSTILE)
def test_a_workflow_command_is_one_line(text: str) -> None:
    line = f"::error title={command_property(text)}::{command_data(text)}"
    assert line.isprintable()
    # as the runner reads it: properties end at the second ::, and are split at commas and =
    properties, _, data = line.removeprefix("::error ").partition("::")
    assert "," not in properties
    assert _unescaped(properties.removeprefix("title=")) == escape(text)
    assert _unescaped(data) == escape(text)


def _unescaped(text: str) -> str:
    """The runner's way, which undoes `%25` last."""
    for code, ch in (("%0D", "\r"), ("%0A", "\n"), ("%3A", ":"), ("%2C", ","), ("%25", "%")):
        text = text.replace(code, ch)
    return text


@pytest.mark.parametrize("text", ["plain", "``` fence", "a\n````\nb", "`"])
def test_a_block_of_code_ends_where_it_should(text: str) -> None:
    tokens = MarkdownIt("commonmark").parse(code_block(text) + "after\n")
    assert [token.type for token in tokens] == [
        "fence", "paragraph_open", "inline", "paragraph_close"
    ]  # fmt: skip
    assert tokens[0].content == f"{text}\n"
