"""What a row of cast-verify says of kinds of differences, and what is checked of it."""

from __future__ import annotations

import pytest

from fpx.report.cast_verify import ANY, KINDS, CastOptions, CauseCount, NoDifference, VerifyRow


def row(**counts: int) -> VerifyRow:
    """A row with differences of each kind."""
    causes = [CauseCount(k, f"is {k}", k, k, counts[k], ()) for k in KINDS if k in counts]
    return VerifyRow(
        "float64", "float16", "torch", "2.0", "cpu", "exact", "all", checked_count=1000,
        equal_count=1000 - sum(counts.values()), causes=tuple(causes),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("counts", "values"),
    [
        ({}, (0, 0, 0, 0)),
        ({"wrong_rounding": 1}, (1, 1, 1, 1)),
        ({"policy": 10}, (0, 10, 10, 10)),
        ({"nan_bits": 100}, (0, 0, 100, 100)),
        ({"wrong_rounding": 1, "policy": 10, "nan_bits": 100}, (1, 11, 111, 111)),
    ],
)
def test_a_check_counts_its_kind_and_worse_ones(
    counts: dict[str, int], values: tuple[int, ...]
) -> None:
    for kind, value in zip((*KINDS, ANY), values, strict=True):
        check = NoDifference(kind)
        assert check.value(row(**counts)) == value
        assert check.fails(row(**counts)) == (value > 0)


def test_what_a_failure_says() -> None:
    found = row(wrong_rounding=1, policy=10)
    assert found.title == "float64 -> float16 by torch on cpu"
    assert NoDifference("policy").reason(found) == "11 of 1,000 casts differ (policy or worse)"
    assert (
        NoDifference("wrong_rounding").reason(found) == "1 of 1,000 casts differ (wrong_rounding)"
    )
    assert NoDifference("any").reason(found) == "11 of 1,000 casts differ (any cause)"


def test_options_that_are_not_the_default_are_named() -> None:
    assert CastOptions().named == ()
    assert CastOptions("strided", True, True).named == ("compile", "flush_denormal", "strided")
