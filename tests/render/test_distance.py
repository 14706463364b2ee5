"""`fpx distance` shows its whole answer."""

from __future__ import annotations

import pytest

import fpx
from tests.helpers import call

FAR = [("1", "2", "float64"), ("-max", "max", "float64"), ("1", "2", "float128")]


@pytest.mark.parametrize("columns", [50, 60, 80, 120])
@pytest.mark.parametrize(("first", "second", "dtype"), FAR)
def test_the_answer_is_never_cut(first: str, second: str, dtype: str, columns: int) -> None:
    args = ("distance", first, second, "--dtype", dtype)
    code, out, _ = call(*args, columns=columns)
    assert code == 0
    assert "…" not in out
    assert max(map(len, out.splitlines())) <= columns
    head = next(line for line in out.splitlines() if " steps" in line)
    end = head.index(" steps") + len(" steps")
    body = out.partition("─\n")[2].partition("No room")[0]
    # what folds goes on in the next line, flush right as well
    pieces = [line[:end].split()[-1] for line in body.splitlines() if line[end - 1 : end].strip()]
    assert int("".join(pieces).replace(",", "")) == fpx.distance(first, second, dtype).steps


@pytest.mark.parametrize(
    ("first", "second", "dtype", "texts"),
    [
        ("0.3", "0.30000003", "float32", ("0.30000001", "0.30000004")),
        ("1", "1.001", "float16", ("1", "1.000977")),
        ("1", "1.0000000000000002", "float64", ("1", "1.0000000000000002")),
        ("0", "-0", "float16", ("0", "-0")),
    ],
)
def test_values_show_that_they_differ(
    first: str, second: str, dtype: str, texts: tuple[str, str]
) -> None:
    report = fpx.distance(first, second, dtype)
    line = next(line for line in str(report).splitlines() if line.startswith(f" {dtype}"))
    assert tuple(line.split()[1:3]) == texts


def test_the_difference_is_exact_where_it_is_short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    assert "0.00100004673004150390625" in str(fpx.distance("1", "1.001", "float32"))
    assert "≈ 1e-30" in str(fpx.distance("1e-30", "2e-30", "float64"))
    assert "infinite" in str(fpx.distance("1", "inf", "float16"))
