"""Rows that come one by one."""

from __future__ import annotations

import io

from rich.console import Console
from rich.text import Text

from fpx.render.lines import Lines


def test_rows_that_come_one_by_one() -> None:
    def lines(width: int, first_out: tuple[str, ...] = ("c", "a")) -> list[str]:
        out = io.StringIO()
        console = Console(file=out, width=width, highlight=False)
        table = Lines(Text("Title"), {"a": 4, "bb": 1, "c": 9}, first_out=first_out)
        console.print(table.row({"a": "1", "bb": "2", "c": "3"}))
        console.print(table.row({"a": "12345678", "bb": "2", "c": "3"}))
        console.print(table.row({"a": "1", "bb": Text("2"), "c": "3"}))
        return [line.rstrip() for line in out.getvalue().splitlines()]

    assert lines(19)[:2] == ["Title", "No room for: c"]
    assert lines(20)[0] == "Title"
    assert lines(20)[1:] == [
        "", " a     bb  c", f" {'─' * 19}", " 1     2   3", " 12345678  2   3",
        " 1         2   3",
    ]  # fmt: skip
    assert "No room for: c (" in " ".join(lines(13, ("a", "c")))  # "a" comes back
    narrow = " ".join(" ".join(lines(8)).split())
    assert "No room for: a, c (--csv and --json have all) bb" in narrow
