"""Tables as grids."""

from __future__ import annotations

from fractions import Fraction

import pytest

from fpx.core.names import find_format
from tests.helpers import call, cells, results


@pytest.mark.parametrize("columns", ["40", "80", "120"])
@pytest.mark.parametrize("name", ["fp4", "e4m3fn", "e8m0", "e3m4", "e5m6", "binary6p1se"])
def test_grids_hold_every_value_once(
    name: str, columns: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    spec = find_format(name)
    code, out, _ = call("table", name)
    assert code == 0
    assert max(map(len, out.splitlines())) <= int(columns)
    body = [line.split() for line in out.splitlines() if line[:2] in (" 0", " 1")]
    cells = [cell for line in body for cell in line[1:]]
    assert len(cells) == spec.magnitude_mask + 1
    numbers = [float(cell) for cell in cells if cell[0].isdigit()]
    assert len(set(numbers)) == spec.max_finite_magnitude + 1
    assert cells.count("inf") == int(spec.infinity)


@pytest.mark.parametrize("name", ["e2m1fn", "e3m2fn", "e4m3fnuz", "binary4p2se"])
def test_a_list_has_a_line_for_each_code(name: str) -> None:
    code, out, _ = call("table", name, "--list")
    assert code == 0
    entries = results("table", name)
    rows = [row for row in cells(out) if row[0].startswith("0x")]
    assert [row[0] for row in rows] == [entry["code"] for entry in entries]
    for row, entry in zip(rows, entries, strict=True):
        special = entry["value"] in ("nan", "inf", "-inf")
        assert special or Fraction(row[-1]) == Fraction(entry["value"])
