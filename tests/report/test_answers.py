"""Answers: does it fit, what breaks, what helps."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

import fpx
from fpx.report.answers import Answer, helpful_shift
from fpx.report.verdicts import Tolerance, Verdict

F64 = torch.float64


def answer_to(tensors: dict[str, list[float]], to: str = "fp16", **kinds: Any) -> Answer:
    named = {name: torch.tensor(x, dtype=F64) for name, x in tensors.items()}
    (answer,) = fpx.cast_compare(named, to=to, **kinds).answers
    return answer


@pytest.mark.parametrize(
    ("tensors", "to", "text"),
    [
        (
            {"bn": [497160.0] * 64 + [1.0] * 64, "w": [1.0004] * 3},
            "fp16",
            "no. 1 of 2 tensors overflows: bn, 64 of 128 values become inf, largest 497,160 "
            "(7.6 × the maximum). Keep it wider, or scale it by 2^-3. The other fits; 67.96 dB.",
        ),
        (
            {"bn": [497160.0], "w": [1.0004] * 3, "v": [1.0004, 1e-9] * 50 + [1.0] * 5000},
            "fp16",
            "no. 1 of 3 tensors overflows: bn, 1 of 1 values become inf, largest 497,160 "
            "(7.6 × the maximum). Keep it wider, or scale it by 2^-3. The others fit; worst "
            "67.96 dB (w), 50 values underflow.",
        ),
        (
            {"a": [1e30, 1e-30], "b": [1e9], "c": [1e-9, 1.0]},
            "fp16",
            "no. 3 of 3 tensors do not fit: 2 lose range and 1 loses small values. The worst "
            "overflows: b, 1 of 1 values become inf, largest 1e+09 (15,266 × the maximum). Keep "
            "them wider, or scale b by 2^-14.",
        ),
        (
            {"x": [500.0, 1.0]},
            "e4m3fn",
            "no. It overflows: 1 of 2 values become the maximum, largest 500 (1.1 × the maximum). "
            "Keep it wider, or scale it by 2^-1.",
        ),
        (
            {"x": [1e-9] * 50 + [1.0] * 50},
            "fp16",
            "no. It loses small values: 50 of 100 values (50% of the non-zero) underflow. Keep it "
            "wider.",
        ),
        (
            {"x": [3e-7] * 50},
            "fp16",
            "no. It loses small values: its SQNR is 43.62 dB, 29.37 dB under what the format gives "
            "in its range; 0 of 50 values (0% of the non-zero) underflow. Keep it wider, or scale "
            "it by 2^37.",
        ),
        ({"x": [1.0, math.nan]}, "fp4",
         "no. It loses NaN: 1 of 2 values are NaN and become numbers. Keep it wider. Before the "
         "cast already: 1 NaN (x)."),
        ({"x": [1.0, 2.0]}, "fp16", "yes. It fits; nothing is lost."),
        ({"x": [1.0004] * 3}, "fp16", "yes. It fits; 67.96 dB."),
        ({"x": []}, "fp16", "yes, but there are no finite values in it."),
        (
            {"a": [1.0, math.nan, math.inf], "b": [1.0, -math.inf], "c": [3.0]},
            "fp16",
            "yes. All 3 tensors fit; nothing is lost. Before the cast already: 1 NaN and "
            "2 infinite (a, b).",
        ),
    ],
)  # fmt: skip
def test_answers(tensors: dict[str, list[float]], to: str, text: str) -> None:
    answer = answer_to(tensors, to)
    assert answer.text == text
    assert answer.fits == text.startswith("yes")
    entry = answer.to_dict()
    assert (entry["text"], entry["fits"], entry["tensors"]) == (text, answer.fits, len(tensors))


@pytest.mark.parametrize(
    ("tensors", "to", "text"),
    [
        ({"x": [1e9, 1.0]}, "fp16", "yes. It fits; -inf dB, 1 value overflows."),
        ({"x": [1e9, 1.0], "y": [1.0004] * 3, "z": [1.0]}, "fp16",
         "yes. All 3 tensors fit; worst -inf dB (x), 1 value overflows."),
        ({"x": [65519.9999999] * 2}, "fp16",  # by way of float32, which rounds up
         "yes. It fits; -inf dB, 2 values become infinite or NaN."),
        ({"x": [1.0, math.nan]}, "fp4",
         "yes. It fits; 1 value is a NaN and becomes a number. Before the cast already: 1 NaN "
         "(x)."),
        ({"x": [1.0, 2.0] * 8 + [math.inf] * 2}, "mxfp4",
         "yes. It fits; -inf dB, 16 values become infinite or NaN. Before the cast already: "
         "2 infinite (x)."),
    ],
)  # fmt: skip
def test_what_is_tolerated_is_told(tensors: dict[str, list[float]], to: str, text: str) -> None:
    assert answer_to(tensors, to, tolerate_overflow=1).text == text


@pytest.mark.parametrize(
    ("largest", "times"),
    [(2.0**64, "2^48"), (65504.0 * 2.0**40.4, "2^40"), (65504.0 * 2.0**40.6, "2^41"),
     (1e300, "2^981"), (1e9, "15,266")],
)  # fmt: skip
def test_how_far_beyond_the_maximum(largest: float, times: str) -> None:
    assert f"({times} × the maximum)" in answer_to({"x": [largest, 1.0]}).text


def test_counts_and_keep_list() -> None:
    answer = answer_to({"z": [1e9], "b": [1.0], "a": [1e-9], "c": [1e9], "d": [1.0004]})
    assert answer.keep == ("z", "a", "c")
    assert (answer.loses_range, answer.loses_small_values, answer.tensors) == (2, 1, 5)
    assert [row.tensor for row in answer.unfit] == ["z", "c", "a"]
    entry = answer.to_dict()
    assert entry["keep"] == ["z", "a", "c"]
    assert (entry["worst"], entry["worst_sqnr_db"]) == ("z", None)
    sqnr = sorted(row.sqnr_db for row in answer.rows)
    assert answer.median_sqnr_db == sqnr[2]


@pytest.mark.parametrize("to", ["fp16", "e4m3fn", "e5m2", "bf16"])
@pytest.mark.parametrize("factor", [1.5, 2.0, 7.6, 1023.0, 1e-7, 1e-5])
def test_a_scale_that_is_recommended_helps(to: str, factor: float) -> None:
    top = float(fpx.find_format(to).max_finite.fraction)
    generator = torch.Generator().manual_seed(2)
    x = torch.rand(1000, generator=generator, dtype=F64)
    x = x * top * factor if factor > 1 else x * factor
    (row,) = fpx.cast_compare(x, to=to).rows
    shift = helpful_shift(row, Tolerance())
    if row.verdict is Verdict.FITS:
        assert shift is None or shift > 0
        return
    assert shift is not None
    assert (shift < 0) == (factor > 1)
    (scaled,) = fpx.cast_compare(x * 2.0**shift, to=to).rows
    assert scaled.verdict is Verdict.FITS
    if shift < 0:  # and half as much would not do
        (less,) = fpx.cast_compare(x * 2.0 ** (shift + 1), to=to).rows
        assert less.max_abs > top


def test_no_scale_is_recommended_that_float32_lacks() -> None:
    assert "scale it by 2^-126" in answer_to({"x": [65504.0 * 2.0**126]}).text
    assert "scale" not in answer_to({"x": [65504.0 * 2.0**127]}).text


def test_no_scale_helps_what_spans_too_much() -> None:
    assert "scale" not in answer_to({"x": [1e9, 1e-9] * 50}).text
    assert "scale" not in answer_to({"x": [60000.0] + [1e-9] * 50}).text


def test_a_scale_may_reach_the_smallest_normal_value() -> None:
    top = 98304.0  # half of it is in float16's range, whose smallest normal value is 2^-14
    assert "scale it by 2^-1" in answer_to({"x": [top] + [2.0**-13] * 50}).text
    assert "scale" not in answer_to({"x": [top] + [2.0**-14] * 50}).text


def test_a_scale_is_no_more_than_is_needed() -> None:
    assert "scale it by 2^-1." in answer_to({"x": [2 * 65504.0]}).text
    assert "scale it by 2^-2." in answer_to({"x": [2 * 65504.0 + 1]}).text
    # the largest value is in the last binade already
    full = answer_to({"x": [40000.0] * 999 + [1e-9]}, tolerate_underflow=0)
    assert not full.fits
    assert "scale" not in full.text


def test_recommendations_are_the_smallest_that_fit() -> None:
    tensors = {
        "small": torch.ones(3), "wide": torch.tensor([1e9]), "fine": torch.full((9,), 1e-9),
        "none": torch.tensor([1e39], dtype=F64), "odd": torch.tensor([1.1]),
    }  # fmt: skip
    report = fpx.cast_compare(tensors, to=["bf16", "fp16", "e5m2", "e4m3fn"])
    found = {item.tensor: item.to for item in report.recommendations}
    assert found == {
        "small": "float8_e5m2", "wide": "bfloat16", "fine": "bfloat16", "none": None,
        "odd": "float8_e4m3fn",
    }  # fmt: skip
    assert report.keep == (("tensor", "none"),)
    entries = report.to_dict()["recommendations"]
    assert entries[0] == {"source": "tensor", "tensor": "small", "to": "float8_e5m2"}


def test_names_are_escaped() -> None:
    hostile = "w\x1b[31m\u202e"
    assert "\x1b" not in answer_to({hostile: [1e9], "b": [math.nan]}).text
    assert "\\x1b[31m\\u202e" in answer_to({hostile: [1e9], "b": [1.0]}).text


def test_several_sources_are_named() -> None:
    report = fpx.cast_compare([{"w": torch.tensor([1e9])}, {"w": torch.ones(1)}], to="fp16")
    (overall,) = report.overall
    assert (overall.tensors, overall.source) == (2, "(total)")
    assert "tensor w" in overall.text
    assert [answer.source for answer in report.answers] == ["tensor", "tensor1"]
    assert [answer.fits for answer in report.answers] == [False, True]
