"""Ranges, and what one format keeps of another."""

from __future__ import annotations

from fpx.core.formats import FORMATS
from fpx.report.ranges import RangeComparison
from tests.helpers import BF16, call


def test_comparison_says_what_the_tutorial_says() -> None:
    report = RangeComparison(FORMATS["float32"], BF16)
    assert report.summary.startswith("bfloat16 has the same exponent range as float32 and 8 bits")
    changes = {(d.what, d.change) for d in report.differences}
    assert ("precision", "lost") in changes
    assert ("smallest normal", "same") in changes
    assert not report.keeps_every_value
    assert RangeComparison(BF16, FORMATS["float32"]).keeps_every_value
    code, out, _ = call("range", "--compare", "fp16", "bf16")
    assert code == 0
    assert "112 binades" in out
    assert call("range", "--compare", "fp16", "bf16", "--dtype", "fp16")[0] == 2
