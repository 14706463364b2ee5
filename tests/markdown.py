"""Reads Markdown back by a library of its own."""

from __future__ import annotations

from markdown_it import MarkdownIt
from markdown_it.token import Token


def table(text: str) -> list[list[str]]:
    """The cells of the one table that a text is, its head first; each is text and nothing else."""
    tokens = MarkdownIt("commonmark", {"html": True}).enable("table").parse(text)
    assert [token.type for token in tokens].count("table_open") == 1
    assert {token.type.partition("_")[0] for token in tokens} <= {
        "table", "thead", "tbody", "tr", "th", "td", "inline"
    }  # fmt: skip
    rows: list[list[str]] = []
    for token in tokens:
        if token.type == "tr_open":
            rows.append([])
        elif token.type == "inline":
            rows[-1].append(_plain(token))
    return rows


def _plain(token: Token) -> str:
    """The text of an inline token, in which nothing is marked up."""
    children = token.children or []
    assert {child.type for child in children} <= {"text", "text_special"}, children
    return "".join(child.content for child in children)
