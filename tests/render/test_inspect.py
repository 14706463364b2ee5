"""`fpx inspect` as tables."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from tests.helpers import call, cells, results


def test_each_count_stands_under_its_name(tmp_path: Path) -> None:
    nan, inf = math.nan, math.inf
    x = np.array([nan] * 2 + [inf] + [0.0] * 4 + [2.0**-20] * 3 + [-7.5, 3.0], np.float16)
    np.save(tmp_path / "x.npy", x)
    _, out, _ = call("inspect", tmp_path / "x.npy", "--stats")
    rows = cells(out)
    (at,) = (n for n, row in enumerate(rows) if row[:3] == ["tensor", "min", "max"])
    assert rows[at] == ["tensor", "min", "max", "zeros", "subnormal", "NaN", "inf"]
    assert rows[at + 2] == ["x", "-7.5", "inf", "4", "3", "2", "1"]


def test_each_extreme_stands_under_its_name(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.array([[-5.0, 1.0], [7.0, 0.0]]))
    _, out, _ = call("inspect", tmp_path / "x.npy", "--tensor", "x", "--top", "1")
    rows = cells(out)
    (at,) = (n for n, row in enumerate(rows) if row[0] == "largest")
    assert rows[at] == ["largest", "index", "smallest", "index", "closest to 0", "index"]
    assert rows[at + 2] == ["7", "[1, 0]", "-5", "[0, 0]", "1", "[0, 1]"]
    found = results("inspect", tmp_path / "x.npy", "--tensor", "x", "--top", "1")[0]
    keys = ("largest", "smallest", "closest_to_zero")
    assert [found[key][0]["value"] for key in keys] == [7, -5, 1]
