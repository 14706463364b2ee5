"""Conditions that a cast must meet."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fpx.errors import InputError
from fpx.report.checks import parse_condition
from tests.helpers import call, results


@pytest.mark.parametrize(
    "text", ["", "overflow_count", "x>1", "overflow_count>>1", "sqnr_db<1%", "count>1.2.3"]
)
def test_bad_conditions(text: str) -> None:
    with pytest.raises(InputError):
        parse_condition(text)


@pytest.mark.parametrize(
    ("text", "limit"),
    [("sqnr_db<-3", -3), ("count>+5", 5), ("max_rel_error >= 1e-3", 1e-3), ("rms_error<.5", 0.5),
     ("sqnr_db<=-1.5e+1", -15), ("underflow_count>=0.5%", 0.5), ("exact_count==-0", 0)],
)  # fmt: skip
def test_good_conditions(text: str, limit: float) -> None:
    condition = parse_condition(text)
    assert condition.limit == limit
    assert condition.percent == text.endswith("%")


def test_a_negative_limit_is_compared_with(tmp_path: Path) -> None:
    """A cast that makes much of little has an SQNR below 0 dB."""
    np.save(tmp_path / "x.npy", np.array([0.6 * 2.0**-24, 0.0], np.float32))
    args = ("cast-compare", tmp_path / "x.npy", "--to", "fp16", "--fail-if")
    (row,) = results(*args, "sqnr_db<-300")
    assert 0 < row["sqnr_db"] < 10
    for text, code in (("sqnr_db>-3", 1), ("sqnr_db<-3", 0), ("sqnr_db!=-3", 1)):
        assert call(*args, text)[0] == code, text
