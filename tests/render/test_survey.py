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


@pytest.mark.parametrize(
    ("text", "dtype", "name", "reason"),
    [
        ("nan(0x3)", "all", "float8_e4m3fn", "has no payload in its NaN"),
        ("snan", "all", "float8_e8m0fnu", "has no signaling NaN"),
        ("snan", "all", "float8_e5m2fnuz", "has no signaling NaN"),
        ("nan(0x3)", "all", "float8_e5m2", "has payloads from 0x0 to 0x1"),
        ("smallest_subnormal", "all", "float8_e8m0fnu", "has no smallest_subnormal"),
        ("0x4049", "e4m3fn,bf16", "float8_e4m3fn", "code '0x4049' is wider than the 8 bits"),
    ],
)
def test_formats_that_refuse_say_why(text: str, dtype: str, name: str, reason: str) -> None:
    _, out, _ = call("decode", text, "--dtype", dtype, "--rounding", "all", columns=200)
    (line,) = (line for line in out.splitlines() if line.split()[:1] == [name])
    assert line.split(maxsplit=line.split().count("-") + 1)[-1] == reason
