"""The rounding of whole tensors against the exact core, over every code where there are few."""

from __future__ import annotations

import random

import pytest
import torch

from fpx.casts.rounding import round_codes
from fpx.casts.unpacked import nans
from fpx.core import codec
from fpx.core.formats import FORMATS
from fpx.core.literals import parse_literal
from fpx.core.names import find_format
from fpx.core.policy import Overflow, Rounding
from fpx.core.spec import FormatSpec
from fpx.tensors.dtypes import INTEGERS, IntegerType, container
from tests.codes import corners, exact, tensor

WIDE = [spec for spec in FORMATS.values() if spec.bits <= 64]
TARGETS = [spec for spec in WIDE if spec.bits <= 32]
_NAMES = "e4m6 e3m0 e5m3fn e3m3b7fnuz e6m0fnu e2m23 binary8p3sf binary8p3se binary7p1ue binary6p3uf"


CUSTOM = [find_format(name) for name in _NAMES.split()]
SMALL: list[FormatSpec | IntegerType] = [s for s in WIDE if s.bits <= 8]
SMALL += [s for s in INTEGERS.values() if s.bits <= 8]


EVEN, IEEE = Rounding.TIES_TO_EVEN, Overflow.IEEE


MODES = [(EVEN, overflow) for overflow in Overflow]
MODES += [(Rounding.TIES_TO_AWAY, IEEE), (Rounding.TOWARD_ZERO, IEEE)]


def check(
    codes: list[int],
    source: FormatSpec | IntegerType,
    target: FormatSpec,
    rounding: Rounding = Rounding.TIES_TO_EVEN,
    overflow: Overflow = Overflow.IEEE,
) -> None:
    given = tensor(codes, source)
    got = round_codes(given, source, target, rounding, overflow)
    assert got.dtype == container(target)
    # blocks that one span describes may go another way than the whole
    parts = torch.split(given, 1 + len(codes) // 7)
    found = [round_codes(part, source, target, rounding, overflow) for part in parts]
    assert torch.equal(got, torch.cat(found))
    results = [c % (1 << 8 * got.itemsize) for c in got.tolist()]
    for code, result in zip(codes, results, strict=True):
        expected = exact(code, source, target, rounding, overflow)
        if expected is not None:
            assert result == expected, f"{source.name} {code:#x} -> {target.name}"
        elif target.nan_code is not None:
            assert codec.is_nan(result, target)


@pytest.mark.parametrize("target", [*TARGETS, *CUSTOM], ids=lambda s: s.name)
@pytest.mark.parametrize("source", SMALL, ids=lambda s: s.name)
def test_every_code_of_small_sources(source: FormatSpec, target: FormatSpec) -> None:
    for rounding, overflow in MODES:
        if overflow is not Overflow.NAN or target.nan_code is not None:
            check(list(range(1 << source.bits)), source, target, rounding, overflow)


@pytest.mark.parametrize("target", TARGETS, ids=lambda s: s.name)
@pytest.mark.parametrize("source", ["float16", "bfloat16", "int16"])
def test_every_code_of_16_bits(source: str, target: FormatSpec) -> None:
    type_: FormatSpec | IntegerType = INTEGERS.get(source) or find_format(source)
    check(list(range(1 << 16)), type_, target)


@pytest.mark.parametrize("target", [*WIDE, *CUSTOM], ids=lambda s: s.name)
@pytest.mark.parametrize("source", ["float64", "float32", "int64"])
def test_corners_of_wide_sources(source: str, target: FormatSpec) -> None:
    type_: FormatSpec | IntegerType = INTEGERS.get(source) or find_format(source)
    codes = corners(type_, target)
    check(codes, type_, target)
    for rounding, overflow in MODES[1:]:
        if overflow is not Overflow.NAN or target.nan_code is not None:
            check(codes[::17], type_, target, rounding, overflow)


@pytest.mark.parametrize("target", ["float16", "bfloat16", "float8_e4m3fn", "float8_e4m3fnuz"])
@pytest.mark.parametrize("width", [3, 900, 1 << 16])
def test_runs_of_float32_codes(target: str, width: int) -> None:
    """Consecutive codes take the short way: anywhere, and across every threshold of the target."""
    source, spec = FORMATS["float32"], FORMATS[target]
    rng = random.Random(width)
    starts = [rng.getrandbits(32) for _ in range(200 if width < 5000 else 60)]
    values = [spec.max_finite, spec.smallest_normal, spec.finite(1), spec.finite(2)]
    for value in values:
        code = codec.encode(parse_literal(value.decimal), source).code
        starts += [code - width // 2, code, (code | source.sign_mask) - width // 2]
    for start in starts:
        codes = [(start + i) % (1 << 32) for i in {0, 1, width // 2, width - 2, width - 1}]
        whole = torch.arange(start, start + width).to(torch.int32)
        got = round_codes(whole, source, spec)
        places = [(code - start) % (1 << 32) for code in codes]
        for place, code in zip(places, codes, strict=True):
            expected = exact(code, source, spec)
            result = int(got[place]) % (1 << spec.bits)
            assert expected == result or (expected is None and codec.is_nan(result, spec))
        other_sign = whole[:1] ^ torch.iinfo(torch.int32).min  # no span describes both
        assert torch.equal(round_codes(torch.cat([whole, other_sign]), source, spec)[:-1], got)


@pytest.mark.parametrize("target", WIDE, ids=lambda s: s.name)
def test_runs_that_round_to_one_code(target: FormatSpec) -> None:
    for first in (0x8000, 0x0001, 0xFBFF, 0x3C00, 0xBC00):
        check([first], FORMATS["float16"], target)


@pytest.mark.parametrize("spec", [*TARGETS, *CUSTOM], ids=lambda s: s.name)
def test_nans_are_found(spec: FormatSpec) -> None:
    codes = range(1 << spec.bits) if spec.bits <= 16 else corners(spec, spec)
    found = nans(tensor(list(codes), spec), spec).tolist()
    assert found == [codec.is_nan(code, spec) for code in codes]


@pytest.mark.parametrize(
    ("code", "source", "target", "expected"),
    [
        (0x7F800001, "float32", "bfloat16", 0x7FC0),  # a signaling NaN becomes quiet
        (0xFFA50000, "float32", "bfloat16", 0xFFE5),  # and keeps sign and leading payload
        (0x7E01, "float16", "float32", 0x7FC02000),
        (0xFFC00000, "float32", "float8_e4m3fn", 0xFF),
        (0xFFC00000, "float32", "float8_e4m3fnuz", 0x80),
        (0xFFC00000, "float32", "float8_e8m0fnu", 0xFF),
    ],
)
def test_nan_bits(code: int, source: str, target: str, expected: int) -> None:
    got = round_codes(tensor([code], FORMATS[source]), FORMATS[source], FORMATS[target])
    assert int(got) % (1 << FORMATS[target].bits) == expected
