"""How messages quote: nothing that a terminal acts on, nothing long."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fpx.words import escape, quoted


@given(st.text())
def test_escape_leaves_nothing_a_terminal_acts_on(text: str) -> None:
    assert escape(text).isprintable()
    assert len(quoted(text)) < 700


def test_quoted_shortens() -> None:
    assert quoted("9" * 1000).startswith("'999")
    assert "1,000 characters" in quoted("9" * 1000)
    assert quoted("\u202eabc\x1b[31m") == r"'\u202eabc\x1b[31m'"
