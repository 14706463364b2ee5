"""Output fits the terminal."""

from __future__ import annotations

import io
import os
import re

import pytest
from rich.console import Console, RenderableType
from rich.measure import Measurement
from rich.text import Text

from fpx.render.tables import (
    FittingTable,
    Lines,
    SideBySide,
    code_pieces,
    picture_width,
    plain_table,
)
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
        result = run(*args, env=env)
        assert result.returncode == 0
        assert max(map(len, result.stdout.splitlines())) <= columns
        assert "\x1b" not in result.stdout


def test_tables_show_every_column_at_80() -> None:
    out = run("cast-compare", "--size", "1000", env=os.environ | {"COLUMNS": "80"}).stdout
    assert "SQNR" in out
    assert "first missing" in run("range", env=os.environ | {"COLUMNS": "80"}).stdout


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
    assert "No room for: code, less important (" in " ".join(drawn(a_table(), 20).split())
    text = drawn(a_table(), 80)
    assert CODES[0] in text


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


@pytest.mark.parametrize(
    ("width", "lines"),
    [
        (40, ["0x3fff0000000000000000000000000000"]),
        (34, ["0x3fff0000000000000000000000000000"]),
        (33, ["0x3fff000000000000", "  0000000000000000"]),
        (18, ["0x3fff000000000000", "  0000000000000000"]),
        (17, ["0x3fff0000", "  00000000", "  00000000", "  00000000"]),
        (10, ["0x3fff0000", "  00000000", "  00000000", "  00000000"]),
    ],
)
def test_codes_go_on_in_aligned_pieces(width: int, lines: list[str]) -> None:
    out = io.StringIO()
    console = Console(file=out, width=width, highlight=False)
    console.print(code_pieces(CODES[0]))
    assert out.getvalue().splitlines() == lines
    measured = Measurement.get(console, console.options.update_width(99), code_pieces(CODES[0]))
    assert measured == (18, 34)


def side_by_side(width: int, columns: int = 3) -> str:
    out = io.StringIO()
    cells: list[RenderableType] = ["1234567890", code_pieces("0x1234567812345678", 8)]
    beside = {f"column{n}": cells for n in range(columns)}
    picture = SideBySide(Text("Title"), ["number", "code"], beside)
    Console(file=out, width=width, highlight=False).print(picture)
    return out.getvalue()


@pytest.mark.parametrize("width", range(20, 90))
def test_columns_stand_beside_each_other_as_far_as_there_is_room(width: int) -> None:
    text = side_by_side(width)
    assert max(map(len, text.splitlines())) <= width
    assert text.count("1234567890") == 3
    assert text.count("0x12345678") == 3
    assert len(re.findall(r"(?<!x)12345678(?!90)", text)) == 3  # at the end of a line or below
    blocks = text.count("number")
    fitting = (width - 8) // 12  # label and edges aside; ten characters and a gap for each
    assert blocks == -(-3 // min(max(fitting, 1), 3))


def test_what_is_left_goes_to_what_wants_it() -> None:
    assert "0x1234567812345678" not in side_by_side(44)
    assert side_by_side(52).count("0x1234567812345678") == 1
    assert side_by_side(68).count("0x1234567812345678") == 3


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


def test_a_picture_has_a_width_where_a_stream_has_none() -> None:
    console = Console(width=AMPLE, file=io.StringIO())
    assert picture_width(console.options) == 80
    assert picture_width(console.options.update_width(120)) == 120
