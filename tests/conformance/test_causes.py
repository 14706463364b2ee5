"""Planted faults are found and named, right casts are not accused."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest
import torch
from torch import Tensor

from fpx.casts.rounding import round_codes
from fpx.casts.unpacked import nans
from fpx.conformance.cast_verify import ORIGINS, find_origin
from fpx.conformance.causes import CAUSES, Differences, explain
from fpx.conformance.tally import Tally
from fpx.core import codec
from fpx.core.formats import FORMATS
from fpx.core.policy import Rounding
from fpx.core.spec import FormatSpec
from fpx.report.cast_verify import KINDS
from fpx.tensors.dtypes import container
from tests.codes import rounded_by_search
from tests.conformance.planted import (
    Fault,
    explained,
    flushing,
    low_end_like_zero,
    nan_of_one,
    nan_overflow,
    nan_to_zero,
    off_by_one,
    one_nan,
    saturating,
    smallest_for_invalid,
    through_float32,
    ties_away,
    truncating,
    unsigned_zeros,
    verify,
)
from tests.helpers import BF16, E4M3, E5M2, E8M0, F16, F32, F64

ALIKE = {
    # gives zero or the largest value now and then, as these would too
    "truncates": {"flushes_subnormals", "saturates"},
    # halfway from the first to the second value, both take the second
    "smallest_as_zero": {"ties_away"},
}


"""Other causes that explain some of the results of one as well."""


@pytest.mark.parametrize(
    ("fault", "source", "target", "cause", "kind"),
    [
        (saturating, F32, F16, "saturates", "policy"),
        (saturating, F16, E4M3, "saturates", "policy"),
        (saturating, F64, BF16, "saturates", "policy"),
        (nan_overflow, BF16, F16, "overflows_to_nan", "policy"),
        (one_nan, F32, BF16, "nan_bits", "nan_bits"),
        (one_nan, BF16, E5M2, "nan_bits", "nan_bits"),
        (through_float32, F64, F16, "double_rounding", "wrong_rounding"),
        (through_float32, F64, E4M3, "double_rounding", "wrong_rounding"),
        (through_float32, find_origin("int64"), BF16, "double_rounding", "wrong_rounding"),
        (truncating, F32, BF16, "truncates", "wrong_rounding"),
        (truncating, F16, E5M2, "truncates", "wrong_rounding"),
        (ties_away, F32, F16, "ties_away", "wrong_rounding"),
        (ties_away, F16, E8M0, "ties_away", "wrong_rounding"),
        (flushing, F32, F16, "flushes_subnormals", "wrong_rounding"),
        (flushing, BF16, F16, "flushes_subnormals", "wrong_rounding"),
        (unsigned_zeros, F16, BF16, "zero_sign", "wrong_rounding"),
        (unsigned_zeros, F64, E5M2, "zero_sign", "wrong_rounding"),
        (nan_to_zero, F16, BF16, "nan_class", "wrong_rounding"),
        (nan_of_one, F16, BF16, "nan_class", "wrong_rounding"),
        (smallest_for_invalid, find_origin("uint8"), E8M0, "smallest_value", "policy"),
        (low_end_like_zero, BF16, E8M0, "smallest_as_zero", "wrong_rounding"),
        (off_by_one, F16, BF16, "other", "wrong_rounding"),
    ],
)
def test_a_planted_fault_is_found_and_named(
    fault: Fault, source: Any, target: FormatSpec, cause: str, kind: str
) -> None:
    row = verify(source, target, fault)
    assert row.causes
    assert row.causes[0].cause == cause
    assert {found.cause for found in row.causes} <= {cause} | ALIKE.get(cause, set())
    assert row.causes[0].kind == kind
    assert row.count("any") == row.checked_count - row.equal_count
    assert row.count(kind) > 0.9 * row.count("any")
    for example in row.causes[0].examples:
        if source.bits < 64:
            code = torch.tensor([int(example.code, 16)], dtype=torch.int64)
            code = code.to(torch.int32).to(container(source))  # wrapped as it holds codes
            got = int(fault(code, source, target)) % (1 << target.bits)
            assert got == int(example.got_code, 16) != int(example.expected_code, 16)


@pytest.mark.parametrize("target", [f for f in FORMATS.values() if f.bits <= 64])
@pytest.mark.parametrize("source", [find_origin(n) for n in (*ORIGINS, "uint8", "float8_e5m2")])
def test_a_right_cast_is_not_accused(source: Any, target: FormatSpec) -> None:
    if source is target:
        return
    row = verify(source, target, rounded_by_search)
    assert row.causes == ()
    assert row.checked_count == row.equal_count > 0
    assert row.verdict == "right"
    assert row.codes == ("all" if source.bits <= 16 else "sampled")
    if row.codes == "all":
        assert row.checked_count + row.undefined_count == 1 << source.bits


def test_a_dropped_sign_is_named_whatever_the_rounding() -> None:
    """float8_e8m0fnu by way of float32, without the sign, ties away: as torch casts int64."""
    int64 = find_origin("int64")

    def unsigned(codes: Tensor, source: Any, target: FormatSpec) -> Tensor:
        first = round_codes(codes, source, F32)
        magnitude = first & F32.magnitude_mask
        q = round_codes(magnitude, F32, target, Rounding.TIES_TO_AWAY)
        return torch.where(codes < 0, q, round_codes(codes, source, target))

    row = verify(int64, E8M0, unsigned)
    assert {cause.cause for cause in row.causes} == {"drops_sign"}
    assert row.count("policy") == row.count("any") > 0


def test_what_only_another_implementation_can_expect() -> None:
    assert explained(BF16, F16, saturating, round_codes) == {"overflows_to_infinity"}
    assert explained(F16, BF16, ties_away, round_codes) == {"other_is_wrong"}


def test_nearest_is_wrong_where_another_rounding_was_asked_for() -> None:
    codes = torch.arange(1 << 16).to(torch.int16)
    expected, got = (
        round_codes(codes, F16, BF16, mode) for mode in (Rounding.TO_ODD, Rounding.TIES_TO_EVEN)
    )
    tally = Tally(F16, BF16, 1, Rounding.TO_ODD)
    tally.add(codes, expected, got)
    (cause,) = tally.causes()
    assert (cause.cause, cause.count) == ("rounds_to_nearest", tally.differing)


def test_the_reverse_of_saturation() -> None:
    """Right by the format's own rule, and accused where another that saturates is believed."""
    assert explained(F16, E4M3, saturating, round_codes) == {"overflows_to_nan"}
    assert explained(F16, E4M3, round_codes, saturating) == {"saturates"}


PLANTED = {
    "nan_bits", "double_rounding", "saturates", "overflows_to_infinity", "overflows_to_nan",
    "smallest_value", "drops_sign", "nan_class", "zero_sign", "other_is_wrong", "ties_away",
    "rounds_to_nearest", "smallest_as_zero", "flushes_subnormals", "truncates", "other",
}  # fmt: skip
"""The causes that a test of this module plants."""


def test_every_cause_is_planted_somewhere() -> None:
    assert {cause.name for cause in CAUSES} == PLANTED
    assert {cause.kind for cause in CAUSES} == set(KINDS)
    assert CAUSES[-1].name == "other"
    assert all(cause.reason and cause.word for cause in CAUSES)


def negated_top(codes: Tensor, source: Any, target: FormatSpec) -> Tensor:
    """Overflow becomes the largest value, without the sign that it had."""
    right, clamped = round_codes(codes, source, target), saturating(codes, source, target)
    over = (right != clamped) & (codes < 0)
    return torch.where(over, clamped & target.magnitude_mask, right)


def test_the_largest_value_of_the_other_sign_is_no_saturation() -> None:
    row = verify(F32, F16, negated_top)
    assert row.causes
    assert row.count("any") > 0
    assert {cause.cause for cause in row.causes} == {"other"}
    assert row.count("wrong_rounding") == row.count("any")


def nan_for_negative_zero(codes: Tensor, source: Any, target: FormatSpec) -> Tensor:
    """A sign set where it means NaN: what negative numbers too small become."""
    q = round_codes(codes, source, target)
    return torch.where((q == 0) & (codes < 0), int(target.nan_code or 0), q)


@pytest.mark.parametrize("name", ["float8_e4m3fnuz", "float8_e5m2fnuz"])
def test_a_nan_is_no_zero_of_the_other_sign(name: str) -> None:
    row = verify(F16, FORMATS[name], nan_for_negative_zero)
    assert {cause.cause for cause in row.causes} == {"nan_class"}
    assert row.count("any") > 0


def subnormals_are_zero(codes: Tensor, source: Any, target: FormatSpec) -> Tensor:
    """Sources that are subnormal count as zeros of their sign (DAZ), whatever they would give."""
    subnormal = (codes & source.magnitude_mask) >> source.fraction_bits == 0
    signs = codes & ~torch.full_like(codes, source.magnitude_mask)
    return round_codes(torch.where(subnormal, signs, codes), source, target)


@pytest.mark.parametrize("target", [F32, F64], ids=lambda s: s.name)
def test_flushed_sources_are_named_where_results_are_normal(target: FormatSpec) -> None:
    row = verify(F16, target, subnormals_are_zero)
    assert {cause.cause for cause in row.causes} == {"flushes_subnormals"}
    assert row.count("any") == 2 * 1023  # every subnormal


def five_for_nan(codes: Tensor, source: Any, target: FormatSpec) -> Tensor:
    return torch.where(nans(codes, source), 5, round_codes(codes, source, target))


@pytest.mark.parametrize("name", ["float6_e3m2fn", "float6_e2m3fn", "float4_e2m1fn"])
def test_any_result_is_right_for_a_nan_where_there_is_none(name: str) -> None:
    row = verify(F16, FORMATS[name], five_for_nan)
    assert row.causes == ()
    assert row.undefined_count == 2 * 1023
    assert row.checked_count == row.equal_count == (1 << 16) - 2 * 1023
    assert row.verdict == "right"


@pytest.mark.parametrize("name", ["int8", "int16", "int64"])
def test_examples_of_negative_integers_have_a_sign(name: str) -> None:
    source = find_origin(name)

    def zero_for_negative(codes: Tensor, source: Any, target: FormatSpec) -> Tensor:
        return torch.where(codes < 0, 0, round_codes(codes, source, target))

    row = verify(source, F32, zero_for_negative)
    found = [example for cause in row.causes for example in cause.examples]
    assert found
    for example in found:
        assert int(example.value) == int(example.code, 16) - (1 << source.bits) < 0
        assert Fraction(example.expected) < 0
        assert example.got == "0"


def test_every_difference_is_explained_once() -> None:
    """Of a mixture of faults, the causes' parts are disjoint and together all of it."""
    codes = torch.arange(1 << 16).to(torch.int16)
    expected = round_codes(codes, F16, E5M2)
    random = torch.randint(0, 256, codes.shape, generator=torch.Generator().manual_seed(0))
    got = torch.where(random < 128, random.to(torch.uint8), truncating(codes, F16, E5M2))
    at = (expected != got).nonzero().reshape(-1)
    parts = list(explain(Differences(codes[at], F16, E5M2, expected[at], got[at])))
    assert len({cause for cause, _ in parts}) == len(parts) > 4
    assert [cause for cause, _ in parts] == [c for c in CAUSES if c in {p for p, _ in parts}]
    together = torch.cat([part.codes for _, part in parts])
    assert torch.equal(together.sort().values, codes[at].sort().values)
    for cause, part in parts:
        assert cause.test(part).all()
        assert (part.expected != part.got).all()


def test_each_way_to_a_target_is_its_own_whatever_was_asked_before() -> None:
    # just above halfway between two of float16, which float32 takes for halfway; halfway
    bits = torch.tensor([0x3FF0_0200_0000_0001, 0x3FF0_0600_0000_0000])
    nothing = torch.zeros(len(bits), dtype=torch.int16)
    even, down = Rounding.TIES_TO_EVEN, Rounding.TOWARD_ZERO
    ways = [(even, F32), (even, None), (down, None)]
    for order in (ways, ways[::-1]):
        d = Differences(bits, F64, F16, nothing, nothing)
        for rounding, middle in order * 2:
            if middle is None:
                wanted = round_codes(bits, F64, F16, rounding)
            else:
                wanted = round_codes(round_codes(bits, F64, middle), middle, F16, rounding)
            assert torch.equal(d.rounded(rounding, middle=middle), wanted)
        assert len(d.consulted) == len(ways) + 1  # and that to float32
    assert not torch.equal(d.rounded(), d.rounded(middle=F32))


def test_no_difference_needs_no_cause() -> None:
    nothing = torch.zeros(0, dtype=torch.int16)
    assert list(explain(Differences(nothing, F16, BF16, nothing, nothing))) == []


@pytest.mark.parametrize(
    "target", [f for f in FORMATS.values() if f.bits <= 16], ids=lambda f: f.name
)
def test_overflow_is_what_the_codec_calls_so(target: FormatSpec) -> None:
    codes = torch.arange(0, 1 << 16, 37).to(torch.int16)
    rounded = round_codes(codes, BF16, target)
    found = Differences(codes, BF16, target, rounded, rounded).overflow
    for code, overflows in zip(codes.tolist(), found.tolist(), strict=True):
        code %= 1 << 16
        if codec.is_nan(code, BF16):
            assert not overflows
            continue
        value = codec.decode(code, BF16)
        if value is None:  # an infinity: beyond all values of its sign, if there is that sign
            assert overflows == (target.signed or code == BF16.infinity_magnitude)
            continue
        negative = bool(code & BF16.sign_mask)
        exact = codec.round_exact(
            *abs(value.fraction).as_integer_ratio(), target, negative=negative
        )
        assert overflows == exact.overflow, hex(code)
