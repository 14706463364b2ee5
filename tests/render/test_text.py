"""Text on terminals that have few characters."""

from __future__ import annotations

import os

import pytest

from fpx.render.text import brief, rounded
from tests.helpers import run


def test_an_ascii_terminal_gets_ascii() -> None:
    env = os.environ | {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    result = run("decode", "1e-40", "--dtype", "fp32", env=env)
    assert result.returncode == 0
    assert result.stdout.isascii()
    assert "2^(1-127) x 0." in result.stdout


@pytest.mark.parametrize(
    ("number", "digits", "text"),
    [
        ("3.14", 7, "3.14"), ("65504", 7, "65504"), ("123456789", 7, "123456789"),
        ("1234567890", 7, "1.234568e+09"), ("0.12345675", 7, "0.1234568"),
        ("0.123456750000001", 7, "0.1234568"), ("0.12345665", 7, "0.1234566"),
        ("0.000012345678", 7, "1.234568e-05"), ("2/3", 7, "0.6666667"), ("1/3", 3, "0.333"),
        ("-99999995", 7, "-99999995"), ("-999999950", 7, "-1e+09"), ("1.0000000001", 7, "1"),
        ("inf", 7, "inf"), ("-nan", 7, "-nan"), ("1e-400000000", 7, "1e-400000000"),
    ],
)  # fmt: skip
def test_numbers_are_rounded_once_ties_to_even(number: str, digits: int, text: str) -> None:
    assert rounded(number, digits) == text


@pytest.mark.parametrize(
    ("number", "digits", "text"),
    [
        ("3.14", 20, "3.14"), ("1" * 22, 20, "1" * 22),
        ("1" * 30, 20, "1" * 20 + "…(10 more digits)"),
        ("0." + "3" * 30, 5, "0.33333…"), ("0.000" + "7" * 30, 5, "0.00077777…"),
        ("1." + "5" * 30 + "e-45", 5, "1.555…e-45"),
        ("1" * 30 + "/" + "7" * 30, 5, "11111…(25 more digits)/77777…(25 more digits)"),
    ],
)  # fmt: skip
def test_cuts_are_marked_and_digits_before_a_point_are_counted(
    number: str, digits: int, text: str
) -> None:
    assert brief(number, digits) == text
