"""`fpx inspect` as tables."""

from __future__ import annotations

import math
import re
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from rich.cells import cell_len
from safetensors.numpy import save_file

from tests.helpers import call, cells, results, run


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
    assert cells(out)[at + 3] == ["no subnormals, NaN or infinities"]


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


def model(folder: Path) -> Path:
    rng = np.random.default_rng(0)
    held = {
        f"encoder.layer.{n}.attention.self.query.weight": rng.standard_normal((3, 4097)) * 10.0**-n
        for n in range(11)
    }
    held |= {"encoder.層.of.a.very.long.name.that.goes.on.and.on.weight": np.ones((1, 2, 3))}
    held |= {"evil\x1b[31m\u202e=cmd()": np.array([math.nan, math.inf, 0, -(2.0**-1074)])}
    save_file(held, folder / "m.safetensors", {"a key of some length": "value " * 40})
    return folder / "m.safetensors"


@pytest.mark.parametrize("width", [40, 60, 80, 120, 200])
@pytest.mark.parametrize("more", [[], ["--all"], ["--stats", "--axis", "0"]], ids=str)
def test_no_number_lacks_digits_on_any_screen(more: list[str], width: int, tmp_path: Path) -> None:
    """A column is there with all its numbers, or is named below: as against the piped text."""
    path = model(tmp_path)
    _, whole, _ = call("inspect", path, *more)
    _, out, _ = call("inspect", path, *more, columns=width)
    lines = out.splitlines()
    assert max(cell_len(line) for line in lines if str(tmp_path) not in line) <= width
    numbers = set(re.findall(r"\S*[0-9]\S*", whole))
    missing = set()
    for table in re.split(r"\n(?=\n)", out):
        for number in re.findall(r"(?<![^ ])-?[0-9][0-9.,e+-]*(?![^ \n])", table):
            assert number in numbers, number
    for head in re.findall(r"^ (tensor|dtype|metadata) .*$", whole, re.MULTILINE):
        assert head in out
    for line in (line for line in whole.splitlines() if line.startswith(" tensor ")):
        missing |= set(re.split(r" {2,}", line.strip())) - set(re.split(r" {2,}", " ".join(
            f"  {line.strip()}  " for line in lines if line.startswith(" tensor ")
        )))  # fmt: skip
    told = " ".join(out.split())
    for name in missing:
        assert re.search(rf"No room for: [^(]*{re.escape(name)}", told), name


def test_names_of_layers_stay_apart(tmp_path: Path) -> None:
    path = model(tmp_path)
    _, out, _ = call("inspect", path, "--all", columns=60)
    shown = [line.split()[0] for line in out.splitlines() if "query" in line]
    assert len(set(shown)) == len(shown) == 11
    assert all(re.search(rf"…{n}…", " ".join(shown)) for n in range(11))
    assert "\x1b" not in out
    assert "\u202e" not in out


def test_piped_text_is_whole(tmp_path: Path) -> None:
    path = model(tmp_path)
    result = run("inspect", path, "--stats", warm=True)
    assert "value " * 39 + "value" in result.stdout
    assert "encoder.layer.{0..10}.attention.self.query.weight" in result.stdout
    assert all(f"encoder.layer.{n}.attention.self.query.weight" in result.stdout for n in range(11))
    assert "…" not in result.stdout
    assert all(line == line.rstrip() for line in result.stdout.splitlines())


@pytest.mark.parametrize("width", [55, 60, 80, 120])
def test_values_stay_whole_and_what_is_left_out_is_marked(width: int, tmp_path: Path) -> None:
    x = np.random.default_rng(1).standard_normal((20, 30))
    np.save(tmp_path / "x.npy", x)
    _, out, _ = call("inspect", tmp_path / "x.npy", "--tensor", "x", columns=width)
    rows = [row for row in cells(out) if re.fullmatch("[0-9]+", row[0]) and len(row) > 2]
    numbers = {"…", *map(str, range(30))}
    (head,) = (row for row in cells(out) if row[0] == "0" and set(row) <= numbers)
    assert len(rows) == 9  # with the head
    for row in rows[1:]:
        assert len(row) == len(head) + 1
        for column, value in zip(head, row[1:], strict=True):
            assert value == ("…" if column == "…" else repr(float(x[int(row[0]), int(column)])))
    assert head.count("…") == 1
    assert (head[0], head[-1]) == ("0", "29")


def test_extremes_stand_below_each_other_where_there_is_no_room(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.random.default_rng(1).standard_normal((20, 30, 40)))
    args = ("inspect", tmp_path / "x.npy", "--tensor", "x", "--top", "3")
    wide, narrow = (call(*args, columns=columns)[1] for columns in (200, 50))
    assert len(cells(wide)) == 1 + 2 + 3
    assert len(cells(narrow)) == 1 + 3 * (2 + 3)
    values = re.findall(r"-?[0-9]\.[0-9e-]+", wide)
    assert sorted(re.findall(r"-?[0-9]\.[0-9e-]+", narrow)) == sorted(values)
    assert len(values) == 9


def test_one_mark_stands_for_all_columns_that_are_left_out(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.zeros((2, 10**6), np.int8))
    for width in (17, 20, 27, 40, 80):
        _, out, _ = call("inspect", tmp_path / "x.npy", "--tensor", "x", "--layout", columns=width)
        row = next(row for row in cells(out) if row[:2] == ["1", "1,000,000"])
        assert ("…", "…") not in pairwise(row)
        assert row[-1] == "…"
