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
    assert rows[at] == ["tensor", "min", "max", "min |x|", "mean", "std", "zeros", "subnormal",
                        "NaN", "inf"]  # fmt: skip
    finite = x[np.isfinite(x)].astype(float)
    mean, std = (f"{value:.6g}" for value in (finite.mean(), finite.std()))
    assert rows[at + 2] == ["x", "-7.5", "3", f"{2.0**-20:.6g}", mean, std, "4", "3", "2", "1"]
    np.save(tmp_path / "x.npy", np.array([1.0, 0.0]))
    _, out, _ = call("inspect", tmp_path / "x.npy", "--stats")
    (at,) = (n for n, row in enumerate(cells(out)) if row[:3] == ["tensor", "min", "max"])
    assert cells(out)[at][-1] == "zeros"
    assert cells(out)[at + 3] == ["no subnormal, NaN, inf"]


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
