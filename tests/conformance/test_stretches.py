"""Differences that all became the same: explained by the ends of stretches as one by one."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any
from unittest import mock

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from torch import Tensor

from fpx.casts.device import find_device
from fpx.casts.rounding import Span, plain, round_codes
from fpx.conformance import stretches
from fpx.conformance.causes import Cause, Differences, explain
from fpx.conformance.codes import every_code
from fpx.conformance.stretches import explain_in_order, positions
from fpx.conformance.tally import Tally
from fpx.core.formats import FORMATS
from fpx.core.spec import FormatSpec
from fpx.tensors.dtypes import container, wrapped
from tests.conformance.planted import flushing, saturating, ties_away, truncating
from tests.helpers import BF16, F16, F32

TARGETS = [FORMATS[name] for name in (
    "float16", "bfloat16", "float8_e4m3fn", "float8_e4m3fnuz", "float8_e5m2", "float8_e8m0fnu",
    "float4_e2m1fn",
)]  # fmt: skip


def neighbour(codes: Tensor, source: Any, target: FormatSpec) -> Tensor:
    return round_codes(codes, source, target) ^ 1


def by_turns(codes: Tensor, source: Any, target: FormatSpec) -> Tensor:
    right = round_codes(codes, source, target)
    return right ^ ((codes >> 4 & 1) + 1).to(right.dtype)


def flushing_inputs(codes: Tensor, source: Any, target: FormatSpec) -> Tensor:
    subnormal = (codes & source.magnitude_mask) >> source.fraction_bits == 0
    return round_codes(codes, source, target).masked_fill(subnormal, 0)


def through_bfloat16(codes: Tensor, source: Any, target: FormatSpec) -> Tensor:
    return round_codes(round_codes(codes, source, BF16), BF16, target)


FAULTS = [
    neighbour, by_turns, saturating, truncating, ties_away, flushing, flushing_inputs,
    through_bfloat16,
]  # fmt: skip

Found = Iterable[tuple[Cause, int, Differences]]


def summary(found: Found, keep: int) -> dict[Cause, tuple[int, list[tuple[int, ...]]]]:
    """How many differences each cause has, and the first of them."""
    counts: dict[Cause, int] = {}
    first: dict[Cause, list[tuple[int, ...]]] = {}
    for cause, number, its in found:
        counts[cause] = counts.get(cause, 0) + number
        rows = [part.tolist()[:keep] for part in its.tensors]
        first[cause] = sorted([*first.get(cause, []), *zip(*rows, strict=True)])[:keep]
    return {cause: (counts[cause], first[cause]) for cause in counts}


def one_by_one(differences: Differences) -> Found:
    return ((cause, its.codes.numel(), its) for cause, its in explain(differences))


def near(target: FormatSpec, code: int, half: bool) -> int:
    """The float32 magnitude of a value of the target, or of the middle to the next one."""
    codes = torch.tensor([code, code + 1]).to(container(target))
    low, high = (round_codes(codes, target, F32) & F32.magnitude_mask).tolist()
    return int((low + high) // 2 if half else low)


@given(
    st.data(), st.sampled_from(TARGETS), st.sampled_from(FAULTS), st.booleans(), st.booleans(),
    st.integers(1, 4), st.integers(1, 5),
)  # fmt: skip
def test_stretches_tell_what_each_difference_tells(
    data: st.DataObject,
    target: FormatSpec,
    fault: Callable[..., Tensor],
    negative: bool,
    half: bool,
    gap: int,
    keep: int,
) -> None:
    middle = near(target, data.draw(st.integers(0, target.max_finite_magnitude)), half)
    low = max(middle - data.draw(st.integers(0, 300)), 0)
    span = Span(low, low + data.draw(st.integers(0, 500)), negative)
    sign = wrapped(F32.sign_mask, torch.int32) if negative else 0
    codes = torch.arange(span.low, span.high + 1, dtype=torch.int32) | sign
    expected, got = round_codes(codes, F32, target), fault(codes, F32, target)
    differ = (expected != got) & (codes % gap == 0)
    assume(bool(differ.any()) and plain(span, F32, target))
    its = Differences(codes, F32, target, expected, got, span).where(differ)
    with mock.patch.multiple(stretches, _WORTHWHILE=1, _SHORT=4):
        found = summary(explain_in_order(its, keep), keep)
    assert found == summary(one_by_one(its), keep)


def test_a_rule_may_give_what_came_in_the_middle_alone() -> None:
    target = FORMATS["float8_e8m0fnu"]
    span = Span(0x3F000000, 0x40000000, True)  # -0.5 to -2, all of which become NaN
    codes = torch.arange(span.low, span.high + 1, 1 << 16, dtype=torch.int32) | -(1 << 31)
    expected = round_codes(codes, F32, target)
    one = torch.full_like(expected, 127)
    differences = Differences(codes, F32, target, expected, one, span)
    found = summary(explain_in_order(differences, 3), 3)
    assert {cause.name for cause in found} == {"drops_sign", "other"}
    assert found == summary(one_by_one(differences), 3)


@pytest.mark.parametrize("negative", [False, True])
def test_ends_are_enough_where_every_rule_gives_the_same(
    negative: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stretches, "explain", None)  # each difference is not looked at
    codes, span = every_code(F32, find_device("cpu")).block(1000 + (8192 if negative else 0))
    expected = round_codes(codes, F32, F16)  # all 0
    got = expected + (codes % 3 != 1)
    differences = Differences(codes, F32, F16, expected, got, span).where(expected != got)
    [(cause, number, first)] = explain_in_order(differences, 2)
    assert (cause.name, number) == ("other", differences.codes.numel())
    assert first.codes.tolist() == differences.codes[:2].tolist()


@pytest.mark.parametrize(
    ("block", "fewest", "most"),
    [(127 * 32, 1, 1 << 12), (255 * 32, 1 << 16, 1 << 17)],
    ids=["normal", "nan"],
)
def test_how_many_are_looked_at(
    block: int, fewest: int, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []

    def noting(differences: Differences) -> Any:
        sizes.append(differences.codes.numel())
        return explain(differences)

    monkeypatch.setattr(stretches, "explain", noting)
    codes, span = every_code(F32, find_device("cpu")).block(block)
    expected, got = round_codes(codes, F32, F16), neighbour(codes, F32, F16)
    differences = Differences(codes, F32, F16, expected, got, span).where(codes % 3 == 0)
    found = summary(explain_in_order(differences, 3), 3)
    assert fewest <= sum(sizes) <= most
    assert found == summary(one_by_one(differences), 3)


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
@pytest.mark.parametrize("number", [0, 1, 3295, 4064, 8159, 8160, 8192, 8193, 12000, 16383])
def test_a_tally_is_the_same_without_a_span(target: FormatSpec, number: int) -> None:
    codes, span = every_code(F32, find_device("cpu")).block(number)
    expected = round_codes(codes, F32, target)
    got = torch.where(codes % 2 == 0, expected, expected ^ 1)
    tallies = [Tally(F32, target, 3) for _ in range(2)]
    for tally, known in zip(tallies, (span, None), strict=True):
        tally.add(codes, expected, got, known)
    with_span, without = ((tally.checked, tally.differing, tally.causes()) for tally in tallies)
    assert with_span == without


@pytest.mark.parametrize("chosen", [[], [False], [True], [False, True, True, False, True]])
def test_positions(chosen: list[bool]) -> None:
    found = positions(torch.tensor(chosen, dtype=torch.bool))
    assert found.dtype is torch.int64
    assert found.tolist() == [i for i, one in enumerate(chosen) if one]
