"""Runs of codes that all became the same: explained by their ends as code by code."""

from __future__ import annotations

from unittest import mock

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from fpx.casts.rounding import Span, plain, round_codes
from fpx.conformance import runs
from fpx.conformance.causes import Differences, explain
from fpx.conformance.runs import Run, explain_run, merged, run_of
from fpx.core.formats import FORMATS
from fpx.core.spec import FormatSpec
from fpx.tensors.dtypes import container, wrapped
from tests.helpers import F32

ORIGINS = [FORMATS[name] for name in ("float32", "float16", "bfloat16")]
TARGETS = [FORMATS[name] for name in (
    "float16", "bfloat16", "float8_e4m3fn", "float8_e4m3fnuz", "float8_e5m2", "float8_e8m0fnu",
    "float4_e2m1fn",
)]  # fmt: skip


def codes_of(span: Span, origin: FormatSpec) -> torch.Tensor:
    sign = origin.sign_mask if span.negative else 0
    dtype = container(origin)
    return torch.tensor(
        [wrapped(code | sign, dtype) for code in range(span.low, span.high + 1)], dtype=dtype
    )


@given(st.data(), st.sampled_from(ORIGINS), st.sampled_from(TARGETS), st.booleans())
def test_ends_tell_what_each_code_tells(
    data: st.DataObject, origin: FormatSpec, target: FormatSpec, negative: bool
) -> None:
    low = data.draw(st.integers(0, origin.max_finite_magnitude - 300))
    span = Span(low, low + data.draw(st.integers(0, 300)), negative)
    assume(origin != target and plain(span, origin, target))
    codes = codes_of(span, origin)
    right = round_codes(codes, origin, target)
    dtype = container(target)
    got = data.draw(
        st.integers(0, (1 << target.bits) - 1)
        | st.sampled_from([target.max_finite_magnitude, 0, int(right[0]) % (1 << target.bits)])
    )
    expected = int(right[-1])
    assume(wrapped(got, dtype) != expected)
    each = Differences(
        codes,
        origin,
        target,
        torch.full_like(codes, expected, dtype=dtype),
        torch.full_like(codes, wrapped(got, dtype), dtype=dtype),
    )
    slow = {cause: its.codes.tolist() for cause, its in explain(each)}
    counts: dict[object, int] = {}
    first: dict[object, list[int]] = {}
    with mock.patch.object(runs, "_FEW", 16):
        run = Run(expected, wrapped(got, dtype), span)
        for cause, number, its in explain_run(run, origin, target, keep=3):
            counts[cause] = counts.get(cause, 0) + number
            first[cause] = (first.get(cause, []) + its.codes.tolist())[:3]
    assert counts == {cause: len(its) for cause, its in slow.items()}
    assert first == {cause: its[:3] for cause, its in slow.items()}


def test_runs_that_continue_each_other_are_one() -> None:
    a, b, c = Span(0, 9, False), Span(10, 19, False), Span(20, 29, False)
    found = list(merged([Run(1, 2, b), Run(1, 2, a), Run(1, 3, c), Run(1, 2, Span(0, 9, True))]))
    assert found == [
        Run(1, 2, Span(0, 19, False)), Run(1, 3, c), Run(1, 2, Span(0, 9, True))
    ]  # fmt: skip
    assert list(merged([Run(1, 2, a), Run(1, 2, c)])) == [Run(1, 2, a), Run(1, 2, c)]
    assert list(merged([])) == []


@pytest.mark.parametrize("part", ["expected", "got"])
def test_a_block_is_a_run_only_if_all_results_are_the_same(part: str) -> None:
    target, span = FORMATS["float8_e5m2"], Span(0x3F800000, 0x3F80000F, False)
    codes = codes_of(span, F32)
    results = {name: torch.full((16,), 7, dtype=torch.uint8) for name in ("expected", "got")}
    assert run_of(codes, **results, span=span, origin=F32, target=target) == Run(7, 7, span)
    assert run_of(codes[1:], **results, span=span, origin=F32, target=target) is None
    results[part][9] = 8
    assert run_of(codes, **results, span=span, origin=F32, target=target) is None
