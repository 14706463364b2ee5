"""Cast statistics against hand-computed tensors and a numpy reference; sources and files."""

from __future__ import annotations

import math
import os
import pickle
import subprocess
import sys
import zipfile
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import fpx
from fpx.casts.backends import BACKENDS, TorchBackend
from fpx.casts.device import Device, find_device
from fpx.core.formats import FORMATS
from fpx.core.interval import rounding_interval
from fpx.core.spec import FormatSpec
from fpx.errors import InputError, UnavailableError
from fpx.measure.block import SourceBlock
from fpx.measure.cast_compare import DeviceDifferences, cast_compare
from fpx.measure.distinct import DistinctValues
from fpx.measure.pair import Pair
from fpx.measure.squares import ScaledSquares
from fpx.measure.stats import COUNTERS, CastStats
from fpx.report.cast_compare import CastReport, CastRow, Location, parse_condition
from fpx.tensors.boundaries import boundaries
from fpx.tensors.distributions import DISTRIBUTIONS, NAMES, named_source
from fpx.tensors.dtypes import cast_dtype, torch_dtype
from fpx.tensors.entry import entry_of
from tests import reference

F16, BF16, F32, F64 = (FORMATS[n] for n in ("float16", "bfloat16", "float32", "float64"))
FP8 = [FORMATS["float8_e4m3fn"], FORMATS["float8_e5m2"]]
TARGETS = [F16, BF16, F32, F64, *FP8]


def compare(x: Any, target: FormatSpec) -> CastRow:
    return cast_compare([x], [target], from_=F32).rows[0]


# -- by hand ---------------------------------------------------------------------------------------


def test_counts_by_hand() -> None:
    inf, nan = math.inf, math.nan
    x = torch.tensor([1.0, 65519.0, 65520.0, -1e30, 1e-9, -1e-7, 0.0, -0.0, inf, nan, 1.0001])
    row = compare(x, F16)
    assert row.count == 11
    assert (row.overflow_count, row.overflow_to_inf_count) == (2, 2)
    assert (row.overflow_to_nan_count, row.saturated_count) == (0, 0)
    assert (row.underflow_count, row.subnormal_count) == (1, 1)
    assert (row.nan_input_count, row.inf_input_count, row.nan_lost_count) == (1, 1, 0)
    assert row.exact_count == 4  # 1, both zeros, inf
    assert row.max_abs_error == 15
    assert row.max_abs_error_at == Location("tensor", (1,), 65519.0, 65504.0)
    assert row.max_rel_error == 1.0
    assert row.max_error_ulp == pytest.approx(15 / 32)
    assert row.first_overflow == Location("tensor", (2,), 65520.0, inf)
    assert row.exponent_histogram == {0: 2, 15: 2, 99: 1, -30: 1, -24: 1}


def test_integers_beyond_float64() -> None:
    x = torch.tensor([2**62 + 1, 2**53 + 1, -(2**62) - 3, 16973823])
    row = compare(x, F64)
    assert row.exact_count == 1
    assert row.max_abs_error == 3
    y = torch.tensor([2**64 - 1, 2**63 + 1], dtype=torch.uint64)
    assert compare(y, F64).max_abs_error == 1


def test_torchs_double_rounding_shows_as_more_than_half_an_ulp() -> None:
    row = compare(torch.tensor([1 + 2**-11 + 2**-40], dtype=torch.float64), F16)
    assert row.max_error_ulp > 0.5
    row = compare(torch.tensor([65519.999999999], dtype=torch.float64), F16)
    assert (row.overflow_count, row.unexpected_nonfinite_count) == (0, 1)


@pytest.mark.parametrize(
    ("target", "db"), [(F16, 73.65), (BF16, 55.60), (FP8[0], 31.53), (FP8[1], 25.55)]
)
def test_golden_sqnr(target: FormatSpec, db: float) -> None:
    row = cast_compare(["normal"], [target], from_=F32, size=1 << 20).rows[0]
    assert row.sqnr_db == pytest.approx(db, abs=0.05)


def test_no_data_and_no_noise() -> None:
    empty = compare(torch.zeros(0, 3), F16)
    assert empty.count == 0
    assert math.isnan(empty.sqnr_db)
    assert math.isnan(empty.rms_error)
    assert compare(torch.ones(3), F16).sqnr_db == math.inf


def test_norms_of_huge_and_tiny_values() -> None:
    for scale in (1e-300, 1.0, 1e300):
        x = torch.tensor([3.0, 4.0], dtype=torch.float64) * scale
        assert ScaledSquares.of(x, 4.0 * scale).root() == pytest.approx(5 * scale, rel=1e-14)
    big, small = ScaledSquares.of(x, 4e300), ScaledSquares(25.0)
    assert big.ratio_db(small) == pytest.approx(6000)
    assert (big + small).root() == pytest.approx(5e300)


# -- against numpy ---------------------------------------------------------------------------------


def reference_row(
    x: np.ndarray[Any, Any], q: np.ndarray[Any, Any], spec: FormatSpec
) -> dict[str, Any]:
    """The statistics from their definitions; exact rationals for the errors."""
    value = [Fraction(v) if np.isfinite(v) else None for v in x.tolist()]
    result = [Fraction(v) if np.isfinite(v) else None for v in q.tolist()]
    top = rounding_interval(spec.max_finite_magnitude, spec)
    assert top is not None
    assert top.high is not None
    limit = top.high.fraction
    over = [
        v is not None and (abs(v) > limit or (abs(v) == limit and not top.high_closed))
        for v in value
    ]
    pairs = [(v, r) for v, r in zip(value, result, strict=True) if v is not None and r is not None]
    errors = [abs(r - v) for v, r in pairs]
    ulps = [abs(r - v) / Fraction(2) ** _ulp_exponent(abs(v), spec) for v, r in pairs]
    return {
        "count": len(value),
        "overflow_count": sum(over),
        "overflow_to_inf_count": int(np.isinf(q[over]).sum()),
        "overflow_to_nan_count": int(np.isnan(q[over]).sum()),
        "saturated_count": int(np.isfinite(q[over]).sum()),
        "underflow_count": int(((x != 0) & (q == 0)).sum()),
        "subnormal_count": sum(
            r is not None and 0 < abs(r) < spec.smallest_normal.fraction for r in result
        ),
        "exact_count": sum(v == r for v, r in pairs) + int((np.isinf(x) & (x == q)).sum()),
        "max_abs_error": float(max(errors)),
        "max_rel_error": float(max((abs(r - v) / abs(v) for v, r in pairs if v), default=0)),
        "max_error_ulp": float(max(ulps)),
        "rms_error": math.sqrt(sum(float(e) ** 2 for e in errors) / len(errors)),
    }


def _ulp_exponent(magnitude: Fraction, spec: FormatSpec) -> int:
    exponent = spec.emin
    while exponent < spec.emax and magnitude >= Fraction(2) ** (exponent + 1):
        exponent += 1
    return exponent - spec.fraction_bits


FLOATS = [torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.float8_e5m2]
INTEGERS = [torch.int8, torch.int16, torch.int32, torch.int64, torch.uint8, torch.uint16,
            torch.uint32, torch.uint64, torch.bool]  # fmt: skip


@pytest.mark.parametrize("target", [F16, BF16, *FP8], ids=lambda s: s.name)
@pytest.mark.parametrize("dtype", [*FLOATS, *INTEGERS], ids=str)
def test_random_tensors_of_every_dtype(dtype: torch.dtype, target: FormatSpec) -> None:
    g = torch.Generator().manual_seed(1)
    if dtype.is_floating_point:
        spread = torch.exp(torch.randn(300, generator=g, dtype=torch.float64) * 8)
        x = (torch.randn(300, generator=g, dtype=torch.float64) * spread).to(dtype)
        specials = torch.tensor([0.0, -0.0, math.inf, -math.inf, math.nan, 65520.0, 464.0])
        x = torch.cat([x, specials.to(dtype)])
    else:
        bits = torch.randint(-(2**62), 2**62, (300,), generator=g) >> torch.randint(
            0, 62, (300,), generator=g
        )
        x = bits.to(dtype)
    row = compare(x, target)
    exact = [v.item() for v in x] if not dtype.is_floating_point else x.to(torch.float64).tolist()
    values = np.array(exact, dtype=object if not dtype.is_floating_point else np.float64)
    result = x.to(torch_dtype(target)).to(torch.float64).numpy()
    if values.dtype == object:  # integers, exactly
        expected = _integer_reference(values, result, target)
    else:
        expected = reference_row(values, result, target)
    for name, value in expected.items():
        assert getattr(row, name) == pytest.approx(value, rel=1e-12), name


def _integer_reference(x: Any, q: np.ndarray[Any, Any], spec: FormatSpec) -> dict[str, Any]:
    as_floats = np.array([float(v) for v in x])
    expected = reference_row(as_floats, q, spec)
    pairs = [(int(v), Fraction(r)) for v, r in zip(x, q.tolist(), strict=True) if np.isfinite(r)]
    errors = [abs(r - v) for v, r in pairs]
    expected["exact_count"] = sum(e == 0 for e in errors)
    expected["max_abs_error"] = float(max(errors))
    expected["rms_error"] = math.sqrt(sum(float(e) ** 2 for e in errors) / len(errors))
    for key in ("max_rel_error", "max_error_ulp"):
        del expected[key]
    return expected


@pytest.mark.parametrize("target", TARGETS, ids=lambda s: s.name)
def test_split_anywhere_and_merged_is_the_whole(target: FormatSpec) -> None:
    x = torch.cat([torch.randn(5000) * 1e4, torch.tensor([1e30, math.nan, 0.0])])
    backend = BACKENDS["torch"]

    def stats(start: int, end: int) -> CastStats:
        one = CastStats()
        block = SourceBlock(x[start:end], lambda i: ("x", (start + i,)))
        one.add(block, backend.cast(block.x, target), target)
        return one

    whole, merged = (
        stats(0, len(x)),
        stats(0, 700).merge(stats(700, 4000).merge(stats(4000, len(x)))),
    )
    assert merged.counters == whole.counters
    assert merged.errors == whole.errors
    assert merged.first_overflow == whole.first_overflow
    assert merged.exponent_histogram() == whole.exponent_histogram()
    assert merged.rms_error == pytest.approx(whole.rms_error, rel=1e-12)
    assert merged.sqnr_db == pytest.approx(whole.sqnr_db, rel=1e-12)


def test_block_size_does_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    x = torch.randn(300, 7).t()
    rows = []
    for block in (1, 13, 1 << 16):
        cpu = Device(torch.device("cpu"), "cpu", block)
        monkeypatch.setattr("fpx.measure.cast_compare.find_device", lambda _, cpu=cpu: cpu)
        row = compare(x, BF16)
        rows.append((row.max_abs_error_at, row.exact_count, row.max_error_ulp_at))
    assert rows[0] == rows[1] == rows[2]
    at = rows[0][0]
    assert at is not None
    assert x[at.index].item() == at.value


def _same(one: CastStats, other: CastStats) -> None:
    assert one.counters == other.counters
    assert one.errors == other.errors
    assert repr(one.first_overflow) == repr(other.first_overflow)  # its result may be NaN
    assert one.exponent_histogram() == other.exponent_histogram()
    assert one.finite_count == other.finite_count
    assert one.rms_error == pytest.approx(other.rms_error, rel=1e-12, nan_ok=True)
    assert one.sqnr_db == pytest.approx(other.sqnr_db, rel=1e-12, nan_ok=True)


def _adversarial(dtype: torch.dtype, seed: int) -> list[torch.Tensor]:
    """Random codes of every exponent, and blocks without the extreme ones."""
    rng = np.random.default_rng(seed)
    bits = {4: torch.int32, 2: torch.int16}[dtype.itemsize]
    info = torch.iinfo(bits)
    codes = torch.from_numpy(rng.integers(info.min, info.max, 40_000, endpoint=True)).to(bits)
    x = codes.view(dtype)
    tame = x[x.float().abs() < 4e4]
    normal = torch.from_numpy(rng.standard_normal(40_000)).to(dtype)
    zeros = torch.cat([normal[:500], torch.zeros(50, dtype=dtype), -normal[:500] * 1e-8])
    return [x, tame, tame[tame.float().abs() > 1e-30], normal, zeros, torch.zeros(9, dtype=dtype)]


@pytest.mark.parametrize("target", [*TARGETS, FORMATS["float8_e5m2fnuz"]], ids=lambda s: s.name)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16], ids=str)
def test_measuring_in_float32_loses_nothing(dtype: torch.dtype, target: FormatSpec) -> None:
    narrow_blocks = 0
    for x in _adversarial(dtype, 1):
        q = BACKENDS["torch"].cast(x, target)
        default, wide = CastStats(), CastStats()
        block = SourceBlock(x, lambda i: ("x", (i,)))
        default.add(block, q, target)
        wide.add(block.wide, q, target)
        _same(default, wide)
        narrow_blocks += Pair(block, q, target).is_narrow
    assert (narrow_blocks > 2) == (target is not F64)


@pytest.mark.parametrize("target", [F16, BF16, F32, *FP8], ids=lambda s: s.name)
@pytest.mark.parametrize(
    ("dtype", "by_code"),
    [
        (torch.float32, False),
        *((dtype, False) for dtype in (torch.bfloat16, torch.float16, torch.float8_e5m2)),
        *((dtype, True) for dtype in (torch.bfloat16, torch.float16, torch.float8_e5m2)),
    ],
    ids=str,
)
def test_blocks_of_every_kind_against_fractions(
    dtype: torch.dtype, target: FormatSpec, by_code: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Short blocks, some tame and some with specials, so that every way of measuring is merged."""
    rng = np.random.default_rng(7)
    inf, tiny = math.inf, 2.0**-149
    specials = [0.0, -0.0, inf, -inf, math.nan, tiny, -3 * tiny, 2.0**-24, 65519.0, -65520.0, 464.0]
    parts = [torch.from_numpy(rng.standard_normal(60) * 2.0**e) for e in (0, -12, -130, 9, 125)]
    parts[1][::3] = 0.0
    parts += [torch.tensor(specials, dtype=torch.float64), torch.arange(-20, 20) * 2.0**-11 + 1]
    x = torch.cat(parts).to(dtype)
    monkeypatch.setattr("fpx.measure.cast_compare.has_few_codes", lambda _: by_code)
    cpu = Device(torch.device("cpu"), "cpu", 30)
    monkeypatch.setattr("fpx.measure.cast_compare.find_device", lambda _: cpu)
    row = compare(x, target)
    values = x.to(torch.float64).numpy()
    result = x.to(torch_dtype(target)).to(torch.float64).numpy()
    expected = reference_row(values, result, target)
    assert row.rms_error == pytest.approx(expected.pop("rms_error"), rel=1e-12)
    assert {name: getattr(row, name) for name in expected} == expected
    for name, at in _first_largest(values, result, target).items():
        found = getattr(row, f"{name}_at")
        assert (found and found.index) == at, name
    exponents = [math.frexp(v)[1] - 1 for v in values.tolist() if v and math.isfinite(v)]
    assert row.exponent_histogram == {e: exponents.count(e) for e in sorted(set(exponents))}


def _first_largest(
    x: np.ndarray[Any, Any], q: np.ndarray[Any, Any], spec: FormatSpec
) -> dict[str, tuple[int, ...] | None]:
    """Where each error is largest, the first of equals; None where all are exact."""
    errors: dict[str, list[float]] = {name: [] for name in ("abs", "rel", "ulp")}
    for v, r in zip(x.tolist(), q.tolist(), strict=True):
        if not (math.isfinite(v) and math.isfinite(r)):
            three = [Fraction(0)] * 3
        else:
            error, magnitude = abs(Fraction(r) - Fraction(v)), abs(Fraction(v))
            ulp = Fraction(2) ** _ulp_exponent(magnitude, spec)
            three = [error, error / magnitude if v else Fraction(0), error / ulp]
        for kept, one in zip(errors.values(), three, strict=True):
            kept.append(float(one))
    return {
        name: (kept.index(max(kept)),) if max(kept) else None
        for name, kept in zip(("max_abs_error", "max_rel_error", "max_error_ulp"), errors.values(),
                              strict=True)
    }  # fmt: skip


def test_a_backend_that_is_far_off_is_measured_exactly() -> None:
    x = torch.tensor([1 + 2**-23, 2.0**-20 + 2**-43, 3.0, 0.0])
    q = torch.tensor([2.0, 1.0, -(2.0**-20), 2.0**-14], dtype=torch.float16)
    stats = CastStats()
    stats.add(SourceBlock(x, lambda i: ("x", (i,))), q, F16)
    errors = (q.double() - x.double()).abs()
    assert stats.errors["max_abs_error"][0] == errors.max().item() == 3 + 2.0**-20
    assert stats.errors["max_rel_error"][0] == (errors[:3] / x[:3].double()).max().item()
    assert stats.rms_error == pytest.approx(math.sqrt((errors**2).mean().item()), rel=1e-15, abs=0)


def test_relative_errors_that_look_alike_in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    x = torch.from_numpy(np.random.default_rng(5).standard_normal(100_000)).to(torch.float32)
    error = (x.to(torch.float16).double() - x.double()).abs()
    exact = error / x.double().abs()
    rounded = error.float() / x.abs()
    order = exact.argsort()
    alike = (rounded[order][1:] == rounded[order][:-1]) & (exact[order][1:] != exact[order][:-1])
    down = rounded.double()[order][:-1] < exact[order][:-1]
    chosen = [*alike.nonzero()[:20].view(-1), *(alike & down).nonzero()[:20].view(-1)]
    assert len(chosen) > 30
    for block in (1, 2):  # in blocks of their own, the larger must not be passed over either
        cpu = Device(torch.device("cpu"), "cpu", block)
        monkeypatch.setattr("fpx.measure.cast_compare.find_device", lambda _, cpu=cpu: cpu)
        for at in chosen:
            pair = order[at : at + 2]  # the smaller error first
            row = compare(x[pair], F16)
            assert row.max_rel_error == exact[pair[1]].item()
            assert row.max_rel_error_at is not None
            assert row.max_rel_error_at.index == (1,)


@pytest.mark.parametrize("target", TARGETS, ids=lambda s: s.name)
@pytest.mark.parametrize(
    "dtype",
    [torch.bfloat16, torch.float16, torch.float8_e5m2, torch.int8, torch.uint8, torch.bool,
     torch.int16],
    ids=str,
)  # fmt: skip
def test_distinct_codes_tell_the_same(
    dtype: torch.dtype, target: FormatSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(3)
    raw = torch.from_numpy(rng.integers(0, 256, 3 * 800 * dtype.itemsize, dtype=np.uint8))
    x = (raw % 2).bool() if dtype is torch.bool else raw.view(dtype)
    entry = entry_of("x", x[: len(x) // 3 * 3].view(-1, 3))
    monkeypatch.setattr("fpx.measure.distinct._BLOCK", 100)
    read: list[int] = []
    seen = DistinctValues(entry)
    assert seen.block() is None
    seen.read(read.append)
    source = seen.block()
    assert source is not None
    assert sum(read) == entry.count
    assert len(source.x) <= 1 << (8 * dtype.itemsize)
    by_code, direct = CastStats(), CastStats()
    by_code.add(source, BACKENDS["torch"].cast(source.x, target), target)
    flat = next(iter(entry.blocks(1 << 20)))
    whole = SourceBlock(flat, lambda i: ("x", entry.index(i)))
    direct.add(whole, BACKENDS["torch"].cast(flat, target), target)
    _same(by_code, direct)


def test_long_16_bit_tensors_are_taken_by_code(monkeypatch: pytest.MonkeyPatch) -> None:
    x = torch.randn(1 << 18).to(torch.bfloat16)
    by_code = compare(x, F16)
    monkeypatch.setattr("fpx.measure.cast_compare.has_few_codes", lambda _: False)
    direct = compare(x, F16)
    assert by_code.to == direct.to
    assert by_code.max_error_ulp_at == direct.max_error_ulp_at
    assert by_code.exact_count == direct.exact_count
    assert by_code.sqnr_db == pytest.approx(direct.sqnr_db, rel=1e-12)


# -- devices ---------------------------------------------------------------------------------------


class _Faulty(TorchBackend):
    """Truncates, and sets other NaN bits: what a device could do."""

    def cast(self, x: torch.Tensor, target: FormatSpec) -> torch.Tensor:
        q = (x.view(torch.int32) >> 16).to(torch.int16)
        return torch.where(x.isnan(), torch.tensor(0x7FFF, dtype=torch.int16), q).view(
            torch.bfloat16
        )


def test_results_that_differ_from_the_cpu_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    other = Device(torch.device("cpu"), "a device", 2)
    monkeypatch.setattr(Device, "is_cpu", property(lambda self: self.label != "a device"))
    monkeypatch.setattr("fpx.measure.cast_compare.find_device", lambda _: other)
    x = torch.tensor([1.0, 1.999, math.nan, -1.999])
    row = cast_compare([x], [BF16], from_=F32, backend=_Faulty()).rows[0]
    assert row.device_mismatch_count == 2
    assert row.device_nan_bits_mismatch_count == 1
    assert row.first_device_mismatch == Location("tensor", (1,), x[1].item(), 1.9921875)
    same = cast_compare([x], [BF16], from_=F32).rows[0]
    assert same.device_mismatch_count == 0
    assert DeviceDifferences(1).merge(DeviceDifferences(2, 3)) == DeviceDifferences(3, 3)


def test_devices() -> None:
    assert find_device("cpu").is_cpu
    for bad in ("tpu", "cuda:x", "cuda:-1", "cpu:0", ""):
        with pytest.raises(InputError, match="cuda:N"):
            find_device(bad)
    if not torch.cuda.is_available():
        with pytest.raises(UnavailableError):
            find_device("cuda:0")


def test_a_card_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UnavailableError, match="no usable card"):
        find_device("cuda")


def test_a_format_that_torch_lacks() -> None:
    with pytest.raises(UnavailableError, match="no dtype"):
        cast_compare(["normal"], [FORMATS["float8_e3m4"]], from_=F32)


# -- sources ---------------------------------------------------------------------------------------


def drawn(name: str, size: int = 20_000, seed: int = 0) -> torch.Tensor:
    (entry,) = named_source(name, torch.float32, size, seed, [F16]).entries
    return torch.cat([block.clone() for block in entry.blocks(1000)])


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_distributions_depend_on_the_seed_alone(name: str) -> None:
    x = drawn(name)
    assert x.shape == (20_000,)
    assert x.isfinite().all()
    torch.manual_seed(5)
    assert torch.equal(x, drawn(name))
    assert not torch.equal(x, drawn(name, seed=1))


def test_distributions_are_what_they_say() -> None:
    assert drawn("normal").std().item() == pytest.approx(1, abs=0.02)
    assert drawn("uniform").abs().max() <= 1
    assert drawn("lognormal").log().std().item() == pytest.approx(3, rel=0.03)
    assert drawn("gradients").abs().median().item() == pytest.approx(1e-6, rel=0.1)
    assert (drawn("activations").abs() > 65504).sum() > 0
    assert (drawn("activations").abs() > 1000).float().mean().item() == pytest.approx(
        1 / 997, rel=0.1
    )
    assert drawn("subnormals").abs().max() <= 2**-13


@pytest.mark.parametrize("target", [F16, BF16], ids=lambda s: s.name)
def test_boundaries_have_every_midpoint_and_both_sides(target: FormatSpec) -> None:
    x = {Fraction(v) for v in boundaries(target, torch.float64).tolist()}
    ladder, finite = reference.values(target)
    for low in range(finite):
        midpoint = (ladder[low] + ladder[low + 1]) / 2
        above = Fraction(math.nextafter(float(midpoint), math.inf))
        below = Fraction(math.nextafter(float(midpoint), 0))
        assert {midpoint, above, below, -midpoint, -above, -below} <= x


CAST_TYPES = [spec for spec in FORMATS.values() if spec.torch is not None and spec.bits >= 8]


@pytest.mark.parametrize("source", CAST_TYPES, ids=lambda s: s.name)
def test_boundaries_in_every_source(source: FormatSpec) -> None:
    dtype = cast_dtype(source)
    for target in CAST_TYPES:
        x = boundaries(target, dtype)
        assert x.dtype == dtype
        values = x.to(torch.float64)
        assert values.isfinite().all()
        steps = values.diff()
        assert ((steps > 0) | ((values[1:] == 0) & (values[:-1] == 0))).all()  # -0 before 0
        assert (values.signbit().any()) == (source.signed and target.signed)
        assert float(values[-1]) == source.max_finite.fraction
        if source.signed and target.signed:
            assert torch.equal(values[values > 0], -values[values < 0].flip(0))


@pytest.mark.parametrize("source", CAST_TYPES, ids=lambda s: s.name)
def test_every_distribution_in_every_source(source: FormatSpec) -> None:
    report = cast_compare([], [F16, BF16], from_=source, size=2000)
    assert {row.source for row in report.rows} == set(NAMES)
    for row in report.rows:
        assert row.count > 0
        assert {row.from_} == {source.name}


def test_what_torch_only_stores_is_unavailable() -> None:
    four = FORMATS["float4_e2m1fn"]
    with pytest.raises(UnavailableError, match="only stores"):
        cast_compare(["normal"], [four], from_=F32, size=10)
    with pytest.raises(UnavailableError, match="only stores"):
        cast_compare(["normal"], [F16], from_=four, size=10)


@pytest.mark.parametrize("seed", [-1, 1 << 63, 10**30])
def test_a_seed_has_63_bits(seed: int) -> None:
    with pytest.raises(InputError, match="seed"):
        cast_compare(["normal"], [F16], from_=F32, size=10, seed=seed)


def test_boundaries_of_a_wide_target() -> None:
    x = boundaries(F32, torch.float64)
    assert 1e3 < x.numel() < 1e4
    assert (2.0**128 - 2.0**103) in x.tolist()


def test_names() -> None:
    assert [*DISTRIBUTIONS, "boundaries"] == list(NAMES)
    report = cast_compare([], [F16], from_=F32, size=100)
    assert [row.source for row in report.rows] == list(NAMES)
    with pytest.raises(InputError, match="size"):
        cast_compare(["normal"], [F16], from_=F32, size=0)


# -- files -----------------------------------------------------------------------------------------


def tensors() -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    return {
        "weight": torch.randn(30, 40) * 1e5,
        "scalar": torch.tensor(1e9),
        "empty": torch.zeros(0, 3),
        "half": torch.randn(10).half(),
        "brain": torch.randn(10).bfloat16(),
        "count": torch.arange(100),
    }


def rows_of(source: object) -> dict[str, CastRow]:
    return {row.tensor: row for row in cast_compare([source], [F16], from_=F32).rows}


def check(path: Path, names: Callable[[str], str], only: list[str] | None = None) -> None:
    rows = rows_of(str(path))
    for name, tensor in tensors().items():
        if only and name not in only:
            continue
        expected, row = rows_of(tensor)["tensor"], rows[names(name)]
        for metric in COUNTERS:
            assert getattr(row, metric) == getattr(expected, metric), (name, metric)
        assert row.max_abs_error == expected.max_abs_error
        assert row.from_ == expected.from_


def test_safetensors(tmp_path: Path) -> None:
    save_file(tensors(), tmp_path / "x.safetensors")
    check(tmp_path / "x.safetensors", str)


@pytest.mark.parametrize("zipped", [True, False])
def test_torch_files(tmp_path: Path, zipped: bool) -> None:
    nested = {"model": tensors(), "list": [torch.ones(3), {"deep": torch.ones(2)}], "epoch": 3}
    torch.save(nested, tmp_path / "x.pt", _use_new_zipfile_serialization=zipped)
    check(tmp_path / "x.pt", lambda name: f"model.{name}")
    assert {"list.0", "list.1.deep"} <= set(rows_of(str(tmp_path / "x.pt")))


def test_a_transposed_view_in_a_torch_file(tmp_path: Path) -> None:
    points = torch.arange(6.0).reshape(2, 3)
    points[1, 2] = 1e6
    torch.save({"p": points, "t": points.t()}, tmp_path / "x.pt")
    rows = rows_of(tmp_path / "x.pt")
    assert rows["p"].first_overflow == Location("p", (1, 2), 1e6, math.inf)
    assert rows["t"].first_overflow == Location("t", (2, 1), 1e6, math.inf)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("endian", ["<", ">"])
def test_numpy_files(tmp_path: Path, order: Any, endian: str) -> None:
    array = np.asarray(tensors()["weight"].numpy(), dtype=f"{endian}f4", order=order)
    np.save(tmp_path / "weight.npy", array)
    check(tmp_path / "weight.npy", str, ["weight"])
    at = rows_of(str(tmp_path / "weight.npy"))["weight"].max_abs_error_at
    assert at is not None
    assert array[at.index] == at.value


def test_npz(tmp_path: Path) -> None:
    arrays = {name: t.numpy() for name, t in tensors().items() if name != "brain"}
    np.savez_compressed(tmp_path / "x.npz", allow_pickle=False, **arrays)
    check(tmp_path / "x.npz", str, list(arrays))


class _Evil:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return (Path.touch, (self.path,))


def _write_bad(kind: str, path: Path) -> None:
    good = path.with_suffix(".good")
    save_file(tensors(), good)
    data = good.read_bytes()
    match kind:
        case "truncated safetensors":
            path.write_bytes(data[:-10])
        case "huge header":
            path.write_bytes((2**63).to_bytes(8, "little") + data[8:])
        case "broken header":
            path.write_bytes(data[:20] + b"!!" + data[22:])
        case "object array":
            np.save(path.with_suffix(".npy"), np.array([{}], dtype=object), allow_pickle=True)
            path.with_suffix(".npy").rename(path)
        case "npy that ends early":
            np.save(path.with_suffix(".npy"), np.ones(1000))
            path.write_bytes(path.with_suffix(".npy").read_bytes()[:500])
        case "npy with a wild shape":
            path.write_bytes(
                b"\x93NUMPY\x01\x00v\x00"
                + b"{'descr': '<f4', 'fortran_order': False, 'shape': (-5,), }".ljust(117)
                + b"\n"
            )
        case "pickle with code":
            torch.save(_Evil(path.parent / "pwned"), path)
        case "legacy pickle with code":
            torch.save(_Evil(path.parent / "pwned"), path, _use_new_zipfile_serialization=False)
        case "plain pickle":
            path.write_bytes(pickle.dumps(_Evil(path.parent / "pwned")))
        case "truncated torch":
            torch.save(tensors(), path)
            path.write_bytes(path.read_bytes()[:-2000])
        case "empty zip member":
            with zipfile.ZipFile(path, "w") as archive:
                archive.writestr("x.npy", b"")
        case "junk":
            path.write_bytes(os.urandom(100))
        case "empty":
            path.write_bytes(b"")
        case "directory":
            path.mkdir()
        case "fifo":
            os.mkfifo(path)


@pytest.mark.parametrize(
    "kind",
    ["truncated safetensors", "huge header", "broken header", "object array", "npy that ends early",
     "npy with a wild shape", "pickle with code", "legacy pickle with code", "plain pickle",
     "truncated torch", "empty zip member", "junk", "empty", "directory", "fifo", "absent"],
)  # fmt: skip
def test_hostile_files_are_one_line(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "bad"
    _write_bad(kind, path)
    with pytest.raises(InputError) as caught:
        rows_of(str(path))
    assert "\n" not in str(caught.value)
    assert "weights_only" not in str(caught.value)
    assert "bad" in str(caught.value)
    assert not (tmp_path / "pwned").exists()


MEASURE = """
import sys, resource, torch
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
from fpx.core.formats import FORMATS
from fpx.measure.cast_compare import cast_compare
row = cast_compare([sys.argv[1]], [FORMATS["float16"]], from_=FORMATS["float32"]).rows[0]
print(row.count, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


@pytest.mark.parametrize("kind", ["safetensors", "npy", "pt"])
def test_memory_stays_flat(kind: str, tmp_path: Path) -> None:
    count = 150_000_000  # 600 MB; zeros, so that writing them is quick
    path = tmp_path / f"x.{kind}"
    tensor = torch.zeros(2, count // 2)
    if kind == "safetensors":
        save_file({"x": tensor}, path)
    elif kind == "npy":
        np.save(path, tensor.numpy())
    else:
        torch.save({"x": tensor}, path)
    del tensor
    result = subprocess.run(
        [sys.executable, "-c", MEASURE, str(path)], capture_output=True, text=True, check=True
    )
    path.unlink()
    compared, megabytes = map(int, result.stdout.split())
    assert compared == count
    assert megabytes < 500


# -- the report and the Python API -----------------------------------------------------------------


def test_worst_rows_first_and_totals() -> None:
    report = cast_compare(
        [torch.ones(5), torch.tensor([1e9, 1.0]), torch.tensor([1e-9])], [F16], from_=F32
    )
    assert [row.tensor for row in report.worst_first()] == ["tensor1", "tensor2", "tensor"]
    (total,) = report.totals
    assert (total.count, total.overflow_count, total.underflow_count) == (8, 1, 1)
    assert report.failures([parse_condition("overflow_count>=50%")])
    assert not report.failures([parse_condition("overflow_count>50%")])
    assert not report.failures([parse_condition("device_mismatch_count>=0")])


@pytest.mark.parametrize(
    "text", ["", "overflow_count", "x>1", "overflow_count>>1", "sqnr_db<1%", "count>1.2.3"]
)
def test_bad_conditions(text: str) -> None:
    with pytest.raises(InputError):
        parse_condition(text)


def test_python_api_takes_tensors_and_arrays() -> None:
    x = np.array([1.0, 1e6])
    for data in (x, torch.tensor(x, requires_grad=True), np.float64(1e6), x[::-1]):
        report = fpx.cast_compare(data, to="fp16")
        assert isinstance(report, CastReport)
        assert report.rows[0].overflow_count == 1
    brain = np.array([1.0, 3e38], dtype=ml_dtypes.bfloat16)
    assert fpx.cast_compare(brain, to=["fp16"]).rows[0].from_ == "bfloat16"
    for bad in (object(), np.array(["a"]), torch.ones(2, dtype=torch.complex64)):
        with pytest.raises(fpx.FpxError):
            fpx.cast_compare(bad)


def test_reports_draw_themselves() -> None:
    from rich.console import Console

    console = Console(width=80, file=open(os.devnull, "w", encoding="utf-8"), record=True)  # noqa: SIM115, PTH123
    for report in (fpx.decode("3.14"), fpx.encode("3.14"), fpx.format_info("bf16"),
                   fpx.cast_compare(torch.ones(2))):  # fmt: skip
        console.print(report)
        bundle = report._repr_mimebundle_()
        assert "<pre" in bundle["text/html"]
        assert bundle["text/plain"].strip()
    text = console.export_text()
    console.file.close()
    assert "0x4048f5c3" in text
    assert "bfloat16" in text
