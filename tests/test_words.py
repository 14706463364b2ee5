"""How messages quote: nothing that a terminal acts on, nothing long."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fpx.words import cause, did_you_mean, escape, nearest, quoted, shortened


@given(st.text())
def test_escape_leaves_nothing_a_terminal_acts_on(text: str) -> None:
    assert escape(text).isprintable()
    assert len(quoted(text)) < 700


def test_a_cause_is_what_the_system_says() -> None:
    assert cause(OSError(13, "Permission denied", "x")) == "Permission denied"
    assert cause(ValueError("embedded null byte\nand more")) == "embedded null byte"


def test_quoted_shortens() -> None:
    assert quoted("9" * 1000).startswith("'999")
    assert "1,000 characters" in quoted("9" * 1000)
    assert quoted("\u202eabc\x1b[31m") == r"'\u202eabc\x1b[31m'"


@given(st.text(), st.integers(4, 80))
def test_shortened_is_quoted_without_the_marks(text: str, limit: int) -> None:
    said, count = quoted(text, limit), f" ({len(text):,} characters)"
    if len(text) > limit:
        assert shortened(text, limit) == said.removesuffix(count)[1:-1] + count
    else:
        assert shortened(text, limit) == said[1:-1]


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("decod", "decode"),
        ("ENCODE", "encode"),
        ("bf-16", "bf16"),
        ("cast_compare", "cast-compare"),
        ("compare", "cast-compare"),
        ("overflow", "overflow_rate"),
        ("conv4.weigth", "conv4.weight"),
        ("", None),
        ("norm.pt", None),
        ("zzz", None),
    ],
)
def test_the_nearest_name_is_found(name: str, meant: str | None) -> None:
    names = ["decode", "encode", "cast-compare", "bf16", "fp16", "normal", "overflow_count",
             "overflow_rate", "conv3.weight", "conv4.weight", "conv4.bias"]  # fmt: skip
    assert nearest(name, names) == meant
    assert nearest(name, []) is None


def test_of_several_as_near_the_first_is_meant() -> None:
    assert nearest("fp1", ["fp12", "fp16"]) == "fp12"
    assert nearest("fp1", ["fp16", "fp12"]) == "fp16"
    assert nearest("abcd", ["abcx", "acbd"]) == "abcx"  # though the second has all the letters


@pytest.mark.parametrize("name", ["fp-16", "fp_16", "FP16"])
def test_spelling_does_not_count(name: str) -> None:
    assert nearest(name, [name.lower()[:-1], "fp16"]) == "fp16"


def test_a_name_is_asked_about_in_full_and_quoted() -> None:
    assert did_you_mean("decod", ["decode"]) == "; did you mean 'decode'?"
    assert did_you_mean("decod", ["xyz"]) == ""
    assert did_you_mean("ab\x1bc", ["ab\x1bcd"]) == r"; did you mean 'ab\x1bcd'?"
    long = "layers." * 20 + "weight"
    assert long in did_you_mean(long[:-1], [long])


def test_many_and_endless_names_are_compared_soon() -> None:
    start = time.process_time()
    assert nearest("x" * 10**7, ["x" * 10**7]) is None
    assert nearest("x" * 100, ["y" * 10**7]) is None
    names = [f"model.layers.{i}.self_attn.q_proj.weight" for i in range(20_000)]
    assert nearest("model.layers.777.self_atn.q_proj.weight", names) == names[777]
    assert time.process_time() - start < 20
