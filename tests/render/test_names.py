"""Names that are shortened in the middle."""

from __future__ import annotations

import pytest
from rich.table import Table
from rich.text import Text

from fpx.render.names import LEAST, MOST, Name, least_of, shortened
from tests.helpers import drawn

LONG = "model.decoder.layers.11.self_attention.output_projection.weight"


@pytest.mark.parametrize("width", range(1, len(LONG) + 3))
def test_as_much_is_kept_as_there_is_room_for(width: int) -> None:
    shown = shortened(LONG, width)
    assert len(shown) == min(width, len(LONG))
    head, mark, tail = shown.partition("…")
    assert LONG.startswith(head)
    assert LONG.endswith(tail)
    assert bool(mark) == (width < len(LONG))
    assert not mark or 0 <= len(tail) - 2 * len(head) <= 2


def test_wide_characters_take_two_columns() -> None:
    name = "重み" * 9
    for width in range(3, 36):
        shown = Text(shortened(name, width))
        assert width - 2 < shown.cell_len + 1 <= width + 1
    assert shortened(name, 36) == name


@pytest.mark.parametrize("width", [40, 60, 80, 200])
def test_the_index_is_never_cut(width: int) -> None:
    table = Table(box=None)
    table.add_column("where")
    table.add_row(Name(LONG, "[123, 45678]"))
    shown = drawn(table, width).splitlines()[1].strip()
    assert shown.endswith("[123, 45678]")
    assert len(shown) == min(width - 2, len(LONG) + 12) or width == 200
    assert Name(LONG, "[1]").least == LEAST + 3
    assert Name("short").least == 5


def test_names_are_escaped() -> None:
    table = Table(box=None)
    table.add_row(Name("w\x1b[31m\u202e"))
    assert "\\x1b[31m\\u202e" in drawn(table)


def test_names_that_differ_look_different() -> None:
    layers = [f"encoder.layer.{n}.attention.output.LayerNorm.weight" for n in range(3)]
    width = least_of([Name(name) for name in layers])
    assert LEAST < width < MOST
    assert len({shortened(name, width) for name in layers}) == 3
    assert len({shortened(name, width - 1) for name in layers}) < 3
    assert least_of([Name(layers[0])] * 2) == LEAST
    assert least_of([Name(layers[0], "[1]"), Name(layers[1], "[2]")]) == LEAST + 3
    middle = [Name(f"{'x' * 40}{n}{'y' * 40}") for n in range(3)]
    assert least_of(middle) == LEAST  # nothing within MOST helps
    assert least_of([Name("a"), Name("b")]) == 1
