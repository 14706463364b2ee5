"""Columns side by side, digits in pieces."""

from __future__ import annotations

import io
import re

import pytest
from rich.console import Console, RenderableType
from rich.measure import Measurement
from rich.text import Text

from fpx.render.side_by_side import SideBySide, code_pieces

LONG = "0x3fff0000000000000000000000000000"


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
    console.print(code_pieces(LONG))
    assert out.getvalue().splitlines() == lines
    measured = Measurement.get(console, console.options.update_width(99), code_pieces(LONG))
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
