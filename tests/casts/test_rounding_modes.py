"""Every rounding and overflow mode of the tensor rounding against the exact core.

Rounding is monotonic, so where codes in order of their values give a run of one result, its two
ends stand for all of it: that makes every code of 16-bit origins cheap. A few in between are looked
at all the same, and the slow tests look at each.
"""

from __future__ import annotations

import itertools
from functools import lru_cache

import pytest
import torch

from fpx.casts.rounding import round_codes
from fpx.casts.unpacked import nans
from fpx.core import codec
from fpx.core.dyadic import Dyadic
from fpx.core.formats import FORMATS
from fpx.core.names import find_format
from fpx.core.policy import Overflow, Rounding
from fpx.core.spec import FormatSpec
from fpx.errors import InputError, UnavailableError
from fpx.tensors.dtypes import INTEGERS, Origin, container
from tests.codes import corners, tensor

MODES = list(itertools.product(Rounding, Overflow))

_SMALL = (
    "float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e8m0fnu", "float6_e2m3fn",
    "float4_e2m1fn", "binary8p3se", "binary8p4uf", "e3m0", "int8", "uint8", "bool",
)  # fmt: skip


_WIDE = ("float16", "bfloat16", "binary16p9ue", "int16", "uint16")


_TARGETS = (
    "float8_e4m3fn", "float8_e5m2", "float8_e5m2fnuz", "float8_e8m0fnu", "float6_e3m2fn",
    "float4_e2m1fn", "e3m0", "e6m0fnu", "e4m3b11fnuz", "e2m4b-12", "binary8p4se", "binary8p3sf",
    "binary8p3ue", "binary7p4uf",
)  # fmt: skip


_WIDE_TARGETS = ("float16", "bfloat16", "tfloat32", "binary16p8ue")


TARGETS = [find_format(name) for name in _TARGETS]


WIDE_TARGETS = [find_format(name) for name in _WIDE_TARGETS]


def find(name: str) -> Origin:
    return INTEGERS.get(name) or find_format(name)


Ratio = tuple[int, int]


def ratio(value: Dyadic | None) -> Ratio | None:
    """The magnitude of a number as numerator and denominator; None for infinity."""
    return None if value is None else abs(value.fraction).as_integer_ratio()


@lru_cache(maxsize=4)
def in_order(origin: Origin) -> tuple[list[int], list[Ratio | None], list[bool]]:
    """All codes but NaNs by value, -0 before +0; their magnitudes (see `ratio`) and their signs."""
    codes = range(1 << origin.bits)
    if isinstance(origin, FormatSpec):
        found = [code for code in codes if not codec.is_nan(code, origin)]
        sign = origin.sign_mask
        found.sort(key=lambda c: (codec.ordinal(c, origin), not c & sign))
        values = [ratio(codec.decode(code, origin)) for code in found]
        return found, values, [code & sign != 0 for code in found]
    half = 1 << (origin.bits - 1) if origin.signed else 1 << origin.bits
    whole = sorted(code if code < half else code - 2 * half for code in codes)
    return (
        [n % (1 << origin.bits) for n in whole],
        [ratio(Dyadic(n, 0)) for n in whole],
        [n < 0 for n in whole],
    )


def exact(
    magnitude: Ratio | None,
    negative: bool,
    target: FormatSpec,
    rounding: Rounding,
    overflow: Overflow,
) -> int:
    """The core's code for a number, or for infinity."""
    if magnitude is None:
        return codec.round_infinity(target, overflow, negative=negative).code
    return codec.round_exact(*magnitude, target, rounding, overflow, negative=negative).code


def check(origin: Origin, target: FormatSpec, each: bool = False) -> None:
    """All modes, at the ends of runs and some codes between, or at each code."""
    codes, values, negative = in_order(origin)
    given = tensor(codes, origin)
    mask = (1 << 8 * container(target).itemsize) - 1
    for rounding, overflow in MODES:
        if overflow is Overflow.NAN and target.nan_code is None:
            with pytest.raises(InputError, match="has no NaN"):
                round_codes(given, origin, target, rounding, overflow)
            continue
        got = round_codes(given, origin, target, rounding, overflow).to(torch.int64) & mask
        at = torch.arange(len(codes))
        if not each:
            edge = torch.ones(len(codes), dtype=torch.bool)
            changes = got[1:] != got[:-1]
            edge[1:-1] = changes[1:] | changes[:-1]
            at = at[edge | (at % 997 == 0)]
        for i, result in zip(at.tolist(), got[at].tolist(), strict=True):
            expected = exact(values[i], negative[i], target, rounding, overflow)
            assert result == expected, (
                f"{origin.name} {codes[i]:#x} -> {target.name}, {rounding}, {overflow}"
            )


def nan_codes(origin: Origin) -> list[int]:
    if not isinstance(origin, FormatSpec):
        return []
    return [code for code in range(1 << origin.bits) if codec.is_nan(code, origin)]


@pytest.mark.parametrize("origin", _SMALL)
def test_every_code_of_8_bits_and_fewer_in_every_mode(origin: str) -> None:
    for target in (*TARGETS, *WIDE_TARGETS):
        check(find(origin), target)


@pytest.mark.parametrize("origin", _WIDE)
def test_every_code_of_16_bits_in_every_mode(origin: str) -> None:
    for target in TARGETS:
        check(find(origin), target)


@pytest.mark.slow
@pytest.mark.parametrize(
    "target", [*TARGETS, *WIDE_TARGETS, FORMATS["float32"]], ids=lambda s: s.name
)
@pytest.mark.parametrize("origin", _WIDE)
def test_each_code_of_16_bits_in_every_mode(origin: str, target: FormatSpec) -> None:
    check(find(origin), target, each=True)


@pytest.mark.parametrize("origin", [*_SMALL[:9], *_WIDE[:3]])
def test_nans_stay_nans_in_every_mode(origin: str) -> None:
    codes = nan_codes(find(origin))
    for target in (*TARGETS, *WIDE_TARGETS):
        for rounding, overflow in MODES:
            if target.nan_code is None:
                overflow = Overflow.IEEE
            got = round_codes(tensor(codes, find(origin)), find(origin), target, rounding, overflow)
            assert bool(nans(got, target).all()) or target.nan_code is None
            assert target.nan_code is not None or not got.any()


_VERY_WIDE = ("float64", "binary64p53se", "e12m51", "e5m58", "e19m44b1000", "float32", "e2m4b-60")


@pytest.mark.parametrize("target", [*_VERY_WIDE, "bfloat16", "float8_e8m0fnu"])
@pytest.mark.parametrize(
    "origin",
    ["float64", "e12m51", "e5m58", "binary64p53se", "binary32p24ue", "int64", "uint64", "uint32"],
)
def test_corners_of_wide_origins_in_every_mode(origin: str, target: str) -> None:
    type_, spec = find(origin), find_format(target)
    codes = corners(type_, spec, count=40)[::5]
    codes += [0, 1, 1 << (type_.bits - 1), (1 << type_.bits) - 1, (1 << (type_.bits - 1)) - 1]
    if isinstance(type_, FormatSpec):
        codes = [code for code in codes if not codec.is_nan(code, type_)]
        values = [ratio(codec.decode(code, type_)) for code in codes]
        negative = [code & type_.sign_mask != 0 for code in codes]
    else:
        limit = 1 << (type_.bits - 1) if type_.signed else 1 << type_.bits
        whole = [code if code < limit else code - 2 * limit for code in codes]
        values, negative = [ratio(Dyadic(n, 0)) for n in whole], [n < 0 for n in whole]
    for rounding, overflow in MODES:
        got = round_codes(tensor(codes, type_), type_, spec, rounding, overflow).tolist()
        for code, value, sign, result in zip(codes, values, negative, got, strict=True):
            expected = exact(value, sign, spec, rounding, overflow)
            shown = result % (1 << spec.bits)
            assert shown == expected, f"{origin} {code:#x} -> {target}, {rounding}, {overflow}"


@pytest.mark.parametrize(
    ("number", "target", "rounding", "expected"),
    [
        ((1 << 64) - 1, "float32", Rounding.TIES_TO_EVEN, 0x5F800000),  # 2^64
        ((1 << 64) - 1, "float32", Rounding.TOWARD_ZERO, 0x5F7FFFFF),
        ((1 << 63) + 1, "float64", Rounding.TIES_TO_EVEN, 0x43E0000000000000),
        ((1 << 63) + 1, "float64", Rounding.TOWARD_POSITIVE, 0x43E0000000000001),
        ((1 << 63) + (1 << 39), "float32", Rounding.TIES_TO_EVEN, 0x5F000000),  # a tie
        ((1 << 63) + (1 << 39) + 1, "float32", Rounding.TIES_TO_EVEN, 0x5F000001),
    ],
)
def test_the_upper_half_of_uint64(
    number: int, target: str, rounding: Rounding, expected: int
) -> None:
    got = round_codes(
        torch.tensor([number], dtype=torch.uint64).view(torch.int64),
        INTEGERS["uint64"], find_format(target), rounding,
    )  # fmt: skip
    assert got.item() == expected


def test_formats_that_int64_cannot_compute_with_are_refused() -> None:
    f32 = FORMATS["float32"]
    codes = torch.zeros(3, dtype=torch.int64)
    for name, why in (("binary64p48ue", "63 bits and a sign"), ("e4m59", "formats of up to 59")):
        with pytest.raises(UnavailableError, match=why):
            round_codes(codes, find_format(name), f32)
        with pytest.raises(UnavailableError, match=why):
            round_codes(codes, FORMATS["float64"], find_format(name))
    with pytest.raises(UnavailableError, match="float128 has 128 bits"):
        round_codes(codes, FORMATS["float128"], f32)


def test_blocks_of_formats_without_a_sign_take_no_short_way_that_needs_one() -> None:
    """Codes from 0x8000 up are negative in their container, and are no negative numbers."""
    origin, target = find_format("binary16p9ue"), FORMATS["bfloat16"]
    codes = list(range(0x8000, 0x8F00))
    got = round_codes(tensor(codes, origin), origin, target)
    for code, result in zip(codes[::101], got[::101].tolist(), strict=True):
        value = codec.decode(code, origin)
        assert value is not None
        expected = codec.round_exact(*value.fraction.as_integer_ratio(), target).code
        assert result % (1 << 16) == expected
