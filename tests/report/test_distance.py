"""How many values lie between two."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

import fpx
from fpx.core import codec
from fpx.report.distance import DistanceReport
from tests.helpers import F16


@given(st.integers(0, 0xFFFF), st.integers(0, 0xFFFF))
def test_distance_counts_values(first: int, second: int) -> None:
    a, b = (fpx.decode(f"{code:#x}", "float16") for code in (first, second))
    report = DistanceReport(a, b)
    if "nan" in (a.shortest.lstrip("-"), b.shortest.lstrip("-")):
        with pytest.raises(fpx.FpxError, match="NaN"):
            _ = report.steps
        return
    steps, code = 0, first
    if abs(report.steps) < 40:  # walk there
        while steps != report.steps:
            lower, upper = codec.neighbours(code, F16)
            after = upper if report.steps > 0 else lower
            assert after is not None
            code, steps = after, steps + (1 if report.steps > 0 else -1)
        assert codec.ordinal(code, F16) == codec.ordinal(second, F16)
    if report.difference is not None:
        assert a.value is not None
        assert b.value is not None
        assert report.difference.fraction == b.value - a.value
