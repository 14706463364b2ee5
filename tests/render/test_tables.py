"""Output fits the terminal."""

from __future__ import annotations

import os

import pytest

from tests.helpers import run


@pytest.mark.parametrize("columns", [60, 80, 120])
def test_output_fits_the_terminal(columns: int) -> None:
    env = os.environ | {"COLUMNS": str(columns), "PYTHONUTF8": "1"}
    for args in (
        ["decode", "1e-40"],
        ["decode", "3.14", "--dtype", "bf16"],
        ["range"],
        ["cast-compare", "--size", "1000"],
    ):
        result = run(*args, env=env)
        assert result.returncode == 0
        assert max(map(len, result.stdout.splitlines())) <= columns
        assert "\x1b" not in result.stdout


def test_tables_show_every_column_at_80() -> None:
    out = run("cast-compare", "--size", "1000", env=os.environ | {"COLUMNS": "80"}).stdout
    assert "SQNR" in out
    assert "first missing" in run("range", env=os.environ | {"COLUMNS": "80"}).stdout
