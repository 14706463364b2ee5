"""Conditions that a cast must meet."""

from __future__ import annotations

import pytest

from fpx.errors import InputError
from fpx.report.checks import parse_condition


@pytest.mark.parametrize(
    "text", ["", "overflow_count", "x>1", "overflow_count>>1", "sqnr_db<1%", "count>1.2.3"]
)
def test_bad_conditions(text: str) -> None:
    with pytest.raises(InputError):
        parse_condition(text)
