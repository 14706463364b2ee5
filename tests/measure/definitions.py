"""The statistics of a cast from their definitions, in exact fractions."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch

from fpx.casts.device import Device
from fpx.core.spec import FormatSpec
from fpx.measure.block import SourceBlock
from fpx.measure.cast_compare import cast_compare
from fpx.measure.measurement import Measurer
from fpx.measure.metrics import measure, metrics_of
from fpx.measure.stats import CastStats
from fpx.report.cast_compare import CastRow, Location
from tests.helpers import BF16, F16, F32, F64, FP8

TARGETS = [F16, BF16, F32, F64, *FP8]


def row_of(x: Any, target: FormatSpec, **kinds: Any) -> CastRow:
    """The row of one tensor."""
    return cast_compare([x], [target], from_=F32, **kinds).rows[0]


def cpu(block: int) -> Device:
    """The CPU, with blocks of so many elements."""
    return Device(torch.device("cpu"), "cpu", block)


def reference_row(
    x: np.ndarray[Any, Any], q: np.ndarray[Any, Any], spec: FormatSpec
) -> dict[str, Any]:
    """The statistics from their definitions; exact rationals for the errors."""
    value = [Fraction(v) if np.isfinite(v) else None for v in x.tolist()]
    result = [Fraction(v) if np.isfinite(v) else None for v in q.tolist()]
    limit, stays = overflow_threshold(spec)
    over = [v is not None and (abs(v) > limit or (abs(v) == limit and not stays)) for v in value]
    pairs = [(v, r) for v, r in zip(value, result, strict=True) if v is not None and r is not None]
    errors = [abs(r - v) for v, r in pairs]
    ulps = [abs(r - v) / Fraction(2) ** ulp_exponent(abs(v), spec) for v, r in pairs]
    return {
        "count": len(value),
        "overflow_count": sum(over),
        "overflow_to_inf_count": int(np.isinf(q[over]).sum()),
        "overflow_to_nan_count": int(np.isnan(q[over]).sum()),
        "saturated_count": int(np.isfinite(q[over]).sum()),
        "unexpected_nonfinite_count": int(
            (np.isfinite(x) & ~np.isfinite(q) & ~np.array(over)).sum()
        ),
        "underflow_count": int(((x != 0) & (q == 0)).sum()),
        "nan_input_count": int(np.isnan(x).sum()),
        "inf_input_count": int(np.isinf(x).sum()),
        "nan_lost_count": int((np.isnan(x) & ~np.isnan(q)).sum()),
        "subnormal_count": sum(
            r is not None and 0 < abs(r) < spec.smallest_normal.fraction for r in result
        ),
        "exact_count": sum(v == r for v, r in pairs) + int((np.isinf(x) & (x == q)).sum()),
        "max_abs_error": float(max(errors)),
        "max_rel_error": float(max((abs(r - v) / abs(v) for v, r in pairs if v), default=0)),
        "max_error_ulp": float(max(ulps)),
        "rms_error": math.sqrt(sum(float(e) ** 2 for e in errors) / len(errors)),
    }


def overflow_threshold(spec: FormatSpec) -> tuple[Fraction, bool]:
    """Half an ulp above the largest value, and whether that itself is still rounded to it."""
    top = spec.max_finite.fraction
    half = Fraction(2) ** (ulp_exponent(top, spec) - 1)
    return top + half, spec.max_finite_magnitude % 2 == 0


def ulp_exponent(magnitude: Fraction, spec: FormatSpec) -> int:
    """The exponent of the ulp of a format at a magnitude, which has its own range of exponents."""
    return min(max(exponent_of(magnitude), spec.emin), spec.emax) - spec.fraction_bits


def exponent_of(magnitude: Fraction) -> int:
    """The floor of log2; for 0, below that of all numbers."""
    if not magnitude:
        return -(1 << 30)
    exponent = magnitude.numerator.bit_length() - magnitude.denominator.bit_length()
    return exponent if magnitude >= Fraction(2) ** exponent else exponent - 1


def integer_reference(x: Any, q: np.ndarray[Any, Any], spec: FormatSpec) -> dict[str, Any]:
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


def block_of(x: torch.Tensor, q: torch.Tensor, target: FormatSpec, start: int = 0) -> CastStats:
    """The statistics of one block of a tensor, which begins at `start` there."""
    return taken(SourceBlock(x), q, target, start.__add__)


def taken(
    source: SourceBlock,
    q: torch.Tensor,
    target: FormatSpec,
    index: Callable[[int], int] = int,
    measurer: Measurer = measure,
) -> CastStats:
    """The statistics of one block of a tensor called x; `index` takes positions in the block."""

    def locate(at: int) -> Location:
        value, result = source.x[at].item(), float(q[at].to(torch.float64))
        return Location("x", (index(at),), value, result)

    stats = CastStats()
    stats.take(measurer(source, q, target), locate)
    return stats


def same(one: CastStats, other: CastStats) -> None:
    """Equal, but for the last bits of sums."""
    assert one.counts == other.counts
    assert one.maxima == other.maxima
    shown = [{name: repr(at) for name, at in stats.locations.items()} for stats in (one, other)]
    assert shown[0] == shown[1]  # as text, because a result may be NaN
    assert one.exponents == other.exponents
    for name, value in metrics_of(one, on_device=True).items():
        expected = metrics_of(other, on_device=True)[name]
        assert value == pytest.approx(expected, rel=1e-12, nan_ok=True), name


def adversarial(dtype: torch.dtype, seed: int) -> list[torch.Tensor]:
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


def first_largest(
    x: np.ndarray[Any, Any], q: np.ndarray[Any, Any], spec: FormatSpec
) -> dict[str, tuple[int, ...] | None]:
    """Where each error is largest, the first of equals; None where all are exact."""
    errors: dict[str, list[float]] = {name: [] for name in ("abs", "rel", "ulp")}
    for v, r in zip(x.tolist(), q.tolist(), strict=True):
        if not (math.isfinite(v) and math.isfinite(r)):
            three = [Fraction(0)] * 3
        else:
            error, magnitude = abs(Fraction(r) - Fraction(v)), abs(Fraction(v))
            ulp = Fraction(2) ** ulp_exponent(magnitude, spec)
            three = [error, error / magnitude if v else Fraction(0), error / ulp]
        for kept, one in zip(errors.values(), three, strict=True):
            kept.append(float(one))
    return {
        name: (kept.index(max(kept)),) if max(kept) else None
        for name, kept in zip(("max_abs_error", "max_rel_error", "max_error_ulp"), errors.values(),
                              strict=True)
    }  # fmt: skip
