"""Ranges, and what one format keeps of another."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest

import fpx
from fpx.core.blocks import BLOCK_FORMATS
from fpx.core.formats import FORMATS
from fpx.report.ranges import RangeComparison
from tests.helpers import BF16, call, results


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


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [("fp16", "e4m3fn", "infinity"), ("fp16", "fp4", "NaN"), ("fp16", "binary8p4ue", "sign"),
     ("fp16", "e8m0", "zero")],
)  # fmt: skip
def test_what_a_format_has_and_the_other_lacks(old: str, new: str, what: str) -> None:
    for first, second, change in ((old, new, "lost"), (new, old, "gained"), (old, old, None)):
        (entry,) = results("range", "--compare", first, second)
        found = {item["what"]: item["change"] for item in entry["differences"]}
        assert found.get(what) == change


def test_measures_are_gained_and_lost_where_they_grow_and_shrink() -> None:
    (entry,) = results("range", "--compare", "fp16", "bf16")
    found = {item["what"]: item["change"] for item in entry["differences"]}
    assert found == {
        "size": "same", "largest value": "gained", "smallest normal": "gained",
        "smallest value": "gained", "precision": "lost", "decimal digits": "lost",
        "exact integers": "lost",
    }  # fmt: skip


def test_differences_tell_both_values() -> None:
    report = RangeComparison(FORMATS["float32"], FORMATS["float8_e8m0fnu"])
    (entry,) = report.results()
    found = {item["what"]: item for item in entry["differences"]}
    assert (found["size"]["old"], found["size"]["new"], found["size"]["change"]) == (
        32,
        8,
        "gained",
    )
    largest = found["largest value"]
    assert Fraction(largest["old"]) == report.old.max_finite.fraction
    assert Fraction(largest["new"]) == report.new.max_finite.fraction
    assert largest["change"] == "lost"
    assert (found["smallest value"]["change"], found["precision"]["new"]) == ("lost", 1)
    assert found["smallest normal"]["change"] == "gained"
    assert (found["sign"]["old"], found["sign"]["new"]) == (True, False)
    assert [row[2:4] for row in report.table().rows] == [
        (item.change, item.what) for item in report
    ]


def test_a_format_beside_itself() -> None:
    report = RangeComparison(FORMATS["bfloat16"], FORMATS["bfloat16"])
    assert {item.change for item in report} == {"same"}
    assert "instead" not in str(report)
    assert "the same precision, 8 bits; every value" in report.summary


def test_the_range_of_numbers_with_scales() -> None:
    entries = results("range", "mxfp4", "nvfp4", "--dtype", "bf16")
    mx, nv, plain = entries
    assert [entry["format"] for entry in entries] == ["mxfp4", "nvfp4", "bfloat16"]
    assert set(plain) < set(mx)
    assert (Fraction(mx["max_finite"]), Fraction(mx["smallest_positive"])) == (
        6 * Fraction(2) ** 127, Fraction(2) ** -128,
    )  # fmt: skip
    assert (Fraction(nv["max_finite"]), Fraction(nv["smallest_positive"])) == (
        Fraction(2688), Fraction(1, 1024),
    )  # fmt: skip
    assert (mx["element_max"], mx["element_smallest"], mx["machine_epsilon"]) == ("6", "0.5", "0.5")
    assert (mx["bits"], mx["bits_per_element"], mx["exponent_bits"]) == (4, 4.25, None)
    assert mx["block_range_log2"] == pytest.approx(math.log2(12))
    assert mx["dynamic_range_log2"] == pytest.approx(254 + math.log2(12))
    (nf4,) = results("range", "nf4")
    assert nf4["machine_epsilon"] is None
    assert float(nf4["element_smallest"]) == pytest.approx(0.0795803)
    assert fpx.ranges(["mxfp4", "bf16"]).results() == [mx, plain]


def test_ranges_with_scales_on_screens() -> None:
    for columns in (60, 80, 120):
        out = call("range", "mxfp4", "nvfp4", "bf16", "e4m3fn:tensor", columns=columns)[1]
        assert max(map(len, out.splitlines())) <= columns
        assert out.index("Number lines") < out.index("Numbers with scales")
        assert "nvfp4 at a global" in out
    assert "Layout" not in call("range", "mxfp4")[1]
    assert "global" not in call("range", "mxfp4")[1]
    assert "bits_per_element" in str(fpx.ranges("mxfp4").items[0])
    names = [entry["format"] for entry in results("range")]
    assert names == [*FORMATS, *BLOCK_FORMATS]
    code, _, err = call("range", "--compare", "bf16", "mxfp4")
    assert (code, err.count("\n")) == (2, 1)
    assert "mxfp4 is numbers with scales" in err
    assert call("range", "fp16", "--compare", "fp16", "bf16")[0] == 2
