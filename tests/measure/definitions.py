"""The statistics of a cast from their definitions, in exact fractions."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch

from fpx.core.interval import rounding_interval
from fpx.core.spec import FormatSpec
from fpx.measure.cast_compare import cast_compare
from fpx.measure.stats import CastStats
from fpx.report.cast_compare import CastRow
from tests.helpers import BF16, F16, F32, F64, FP8

TARGETS = [F16, BF16, F32, F64, *FP8]


def row_of(x: Any, target: FormatSpec) -> CastRow:
    return cast_compare([x], [target], from_=F32).rows[0]


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


def ulp_exponent(magnitude: Fraction, spec: FormatSpec) -> int:
    exponent = spec.emin
    while exponent < spec.emax and magnitude >= Fraction(2) ** (exponent + 1):
        exponent += 1
    return exponent - spec.fraction_bits


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


def same(one: CastStats, other: CastStats) -> None:
    assert one.counters == other.counters
    assert one.errors == other.errors
    assert repr(one.first_overflow) == repr(other.first_overflow)  # its result may be NaN
    assert one.exponent_histogram() == other.exponent_histogram()
    assert one.finite_count == other.finite_count
    assert one.rms_error == pytest.approx(other.rms_error, rel=1e-12, nan_ok=True)
    assert one.sqnr_db == pytest.approx(other.sqnr_db, rel=1e-12, nan_ok=True)


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
