"""Output fits the terminal."""

from __future__ import annotations

import io
import os

import pytest
from rich.console import Console

from fpx.render.tables import FittingTable, picture_width, plain_table
from fpx.render.text import AMPLE
from tests.helpers import run


@pytest.mark.parametrize("columns", [60, 80, 120])
def test_output_fits_the_terminal(columns: int) -> None:
    env = os.environ | {"COLUMNS": str(columns), "PYTHONUTF8": "1"}
    for args in (
        ["decode", "1e-40"],
        ["decode", "3.14", "--dtype", "bf16"],
        ["range"],
        ["cast-compare", "--size", "1000"],
    ):
        result = run(*args, warm=args[0] == "cast-compare", env=env)
        assert result.returncode == 0
        assert max(map(len, result.stdout.splitlines())) <= columns
        assert "\x1b" not in result.stdout


def test_tables_show_every_column_at_80() -> None:
    env = os.environ | {"COLUMNS": "80"}
    assert "SQNR" in run("cast-compare", "--size", "1000", warm=True, env=env).stdout
    assert "first missing" in run("range", env=env).stdout


CODES = ["0x3fff0000000000000000000000000000", "0x1"]


def a_table() -> FittingTable:
    table = plain_table("Title", first_out=("less important",))
    table.add_column("name", no_wrap=True)
    table.add_column("code", min_width=12)
    table.add_column("less\nimportant", no_wrap=True)
    table.add_column("last", no_wrap=True)
    table.add_row("a", CODES[0], "12345678901234567890", "1,234,567")
    table.add_row("b", CODES[1], "2", "3")
    return table


def drawn(table: FittingTable, width: int) -> str:
    out = io.StringIO()
    Console(file=out, width=width, highlight=False).print(table)
    return out.getvalue()


@pytest.mark.parametrize("width", range(16, 100))
def test_nothing_is_cut_at_any_width(width: int) -> None:
    text = drawn(a_table(), width)
    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text
    kept = "".join(text.split())
    _, _, left_out = " ".join(text.split()).partition("No room for: ")
    for header, cell in (("last", "1,234,567"), ("less important", "12345678901234567890")):
        assert (header in left_out) != (cell in kept)


def test_columns_go_in_their_order() -> None:
    assert "No room" not in drawn(a_table(), 80)
    assert "No room for: less important (" in drawn(a_table(), 40)
    assert "No room for: less important, last (" in " ".join(drawn(a_table(), 28).split())
    assert "No room for: code, less important (" in " ".join(drawn(a_table(), 19).split())
    text = drawn(a_table(), 80)
    assert CODES[0] in text


@pytest.mark.parametrize("count", [2, 3, 4, 5])
@pytest.mark.parametrize("first_out", [(), ("c", "b", "e", "d")])
def test_a_column_goes_only_where_it_would_be_cut(count: int, first_out: tuple[str, ...]) -> None:
    def table(names: str) -> FittingTable:
        made = plain_table(first_out=first_out)
        for name in names:
            made.add_column(name, no_wrap=True)
        made.add_row(*(name * 7 for name in names))
        return made

    going = first_out or "edcb"
    kept = "".join(name for name in "abcde" if name not in going[: 5 - count])
    needed = max(map(len, drawn(table(kept), AMPLE).splitlines()))
    for width, shown in ((needed, kept), (needed - 1, kept.replace(going[5 - count], ""))):
        text = drawn(table("abcde"), width)
        assert [name for name in "abcde" if name * 7 in text] == [*shown]


def test_what_folds_keeps_every_digit() -> None:
    table = plain_table()
    table.add_column("code")
    table.add_row(CODES[0])
    for width in (11, 15, 20, 30):
        lines = drawn(table, width).splitlines()
        assert "".join(line.strip() for line in lines[3:]) == CODES[0]


def test_a_title_has_the_whole_width() -> None:
    table = plain_table("A title that is longer than the table below it")
    table.add_column("a")
    table.add_row("1")
    assert drawn(table, 60).splitlines()[0] == "A title that is longer than the table below it"


def test_a_picture_has_a_width_where_a_stream_has_none() -> None:
    console = Console(width=AMPLE, file=io.StringIO())
    assert picture_width(console.options) == 80
    assert picture_width(console.options.update_width(120)) == 120
