"""`fpx distance` shows its whole answer."""

from __future__ import annotations

import pytest

import fpx
from fpx.core.codec import decode
from tests.helpers import call, encode

FAR = [("1", "2", "float64"), ("-max", "max", "float64"), ("1", "2", "float128")]


def rows_of(text: str) -> dict[str, str]:
    """Label -> what stands beside it, of one format; the codes are `from code` and `to code`."""
    rows: dict[str, str] = {}
    label = ""
    for line in text.partition("─\n")[2].splitlines():
        if line[1:16].strip():
            label = line[1:16].strip()
            rows[label] = line[16:].strip()
        elif line.strip():
            key = f"{label} code"
            rows[key] = rows.get(key, "") + line.strip()
    return rows


@pytest.mark.parametrize("columns", [60, 80, 120])
@pytest.mark.parametrize(("first", "second", "dtype"), FAR)
def test_the_answer_is_never_cut(first: str, second: str, dtype: str, columns: int) -> None:
    code, out, _ = call("distance", first, second, "--dtype", dtype, columns=columns)
    assert code == 0
    assert "…" not in out
    assert max(map(len, out.splitlines())) <= columns
    report = fpx.distance(first, second, dtype)
    rows = rows_of(out)
    assert int(rows["steps"].replace(",", "")) == report.steps
    assert int(rows["values between"].replace(",", "")) == report.between
    for key, end in (("from", report.first), ("to", report.second)):
        assert int(rows[f"{key} code"], 16) == end.code
        assert encode(rows[key], end.spec) == end.code


@pytest.mark.parametrize(
    ("first", "second", "dtype", "texts"),
    [
        ("0.3", "0.30000003", "float32", ("0.3", "0.30000004")),
        ("1", "1.001", "float16", ("1", "1.0009765625")),
        ("1", "1.0000000000000002", "float64", ("1", "1.0000000000000002")),
        ("0.3", "0.30000000000000004", "float64", ("0.3", "0.30000000000000004")),
        ("0", "-0", "float16", ("0", "-0")),
        ("448", "416", "e4m3fn", ("448", "416")),
    ],
)
def test_values_show_that_they_differ(
    first: str, second: str, dtype: str, texts: tuple[str, str]
) -> None:
    rows = rows_of(str(fpx.distance(first, second, dtype)))
    assert (rows["from"], rows["to"]) == texts


@pytest.mark.parametrize("name", ["float16", "bfloat16", "e5m2", "e8m0"])
def test_neighbours_never_look_alike(name: str) -> None:
    spec = fpx.find_format(name)
    for code in range(0, spec.max_finite_magnitude, max(spec.max_finite_magnitude // 30, 1)):
        rows = rows_of(str(fpx.distance(hex(code), hex(code + 1), name)))
        assert rows["from"] != rows["to"]
        value = decode(code, spec)
        assert value is not None
        assert encode(rows["from"], spec) == code


def test_the_difference_is_exact_where_it_is_short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    text = str(fpx.distance("1", "1.0009765625", "float32"))
    assert rows_of(text)["difference"] == "0.0009765625"
    assert "rounded" not in text
    text = str(fpx.distance("1e-30", "2e-30", "float64"))
    assert rows_of(text)["difference"] == "1.0000000000000001e-30"
    assert "long numbers are rounded" in text
    assert rows_of(str(fpx.distance("1", "inf", "float16")))["difference"] == "infinite"


def test_formats_stand_beside_each_other_while_they_fit() -> None:
    out = call("distance", "1", "2", columns=120)[1]
    heads = [line.split() for line in out.splitlines() if "float" in line]
    assert heads == [["float64", "float32", "float16", "bfloat16"]]
    out = call("distance", "1", "2", columns=60)[1]
    heads = [line.split() for line in out.splitlines() if "float" in line]
    assert heads == [["float64", "float32"], ["float16", "bfloat16"]]
