"""One number in many formats, a line each."""

from __future__ import annotations

import pytest

import fpx
from tests.helpers import call


@pytest.mark.parametrize("columns", [50, 60, 80, 120])
@pytest.mark.parametrize("more", [[], ["--rounding", "all"]], ids=str)
def test_codes_are_shown_whole(columns: int, more: list[str]) -> None:
    code, out, _ = call("decode", "0.1", "--dtype", "all", *more, columns=columns)
    assert code == 0
    assert max(map(len, out.splitlines())) <= columns
    assert "…" not in out
    if "code" in out.partition("No room for:")[2]:
        return
    head = next(line for line in out.splitlines() if " code " in line)
    start = head.index(" code ") + 1
    width = head.index(" value") - start
    pieces = [line[start : start + width].strip() for line in out.splitlines()]
    shown = "".join(piece for piece in pieces if piece[:1].isdigit() or piece[:1].isalpha())
    modes = "all" if more else "ties_to_even"
    for item in fpx.survey("0.1", rounding=modes):
        assert f"0x{item.code:0{item.spec.code_digits}x}" in shown


def test_formats_that_refuse_have_a_line() -> None:
    _, out, err = call("decode", "nan", "--dtype", "all", columns=80)
    assert err == ""
    assert sum("has no NaN" in line for line in out.splitlines()) == 3
