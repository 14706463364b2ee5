"""The statistics of a cast from their definitions, in exact fractions."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch

from fpx.casts.device import Device
from fpx.core.spec import FormatSpec
from fpx.measure.block import SourceBlock
from fpx.measure.cast_compare import cast_compare
from fpx.measure.derived import metrics_of
from fpx.measure.measurement import Measurer
from fpx.measure.metrics import measure
from fpx.measure.stats import CastStats
from fpx.report.cast_row import CastRow, Location
from fpx.report.metrics import METRICS
from tests.helpers import BF16, F16, F32, F64, FP8

TARGETS = [F16, BF16, F32, F64, *FP8]


def row_of(x: Any, target: FormatSpec, **kinds: Any) -> CastRow:
    """The row of one tensor, of integers too."""
    return cast_compare([x], [target], from_=F32, integers=True, **kinds).rows[0]


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
    finite = [abs(v) for v in value if v is not None]
    counts = {
        "overflow_count": sum(over),
        "overflow_to_inf_count": int(np.isinf(q[over]).sum()),
        "overflow_to_nan_count": int(np.isnan(q[over]).sum()),
        "saturated_count": int(np.isfinite(q[over]).sum()),
        "unexpected_nonfinite_count": int(
            (np.isfinite(x) & ~np.isfinite(q) & ~np.array(over)).sum()
        ),
        "destroyed_count": int((np.isfinite(x) & ~np.isfinite(q)).sum()),
        "underflow_count": int((np.isfinite(x) & (x != 0) & (q == 0)).sum()),
        "nan_input_count": int(np.isnan(x).sum()),
        "inf_input_count": int(np.isinf(x).sum()),
        "nan_lost_count": int((np.isnan(x) & ~np.isnan(q)).sum()),
        "subnormal_count": sum(
            r is not None and 0 < abs(r) < spec.smallest_normal.fraction for r in result
        ),
        "exact_count": sum(v == r for v, r in pairs) + int((np.isinf(x) & (x == q)).sum()),
    }
    rates = {name.replace("count", "rate"): n / len(value) for name, n in counts.items()}
    nonzero = [v for v in finite if v]
    rates["underflow_rate"] = counts["underflow_count"] / len(nonzero) if nonzero else math.nan
    found = {
        "count": len(value),
        **counts,
        **rates,
        "max_abs": float(max(finite)),
        "min_abs": float(min(nonzero, default=math.nan)),
        "headroom_binades": (
            log2(spec.max_finite.fraction / max(finite)) if max(finite) else math.inf
        ),
    }
    return found | errors_of(finite, pairs, spec)


def errors_of(
    finite: list[Fraction], pairs: list[tuple[Fraction, Fraction]], spec: FormatSpec
) -> dict[str, float]:
    """The metrics of errors: of finite magnitudes, and of those whose results are finite too."""
    destroyed = len(finite) > len(pairs)
    errors = [abs(r - v) for v, r in pairs]
    ulps = [(r - v) / Fraction(2) ** ulp_exponent(abs(v), spec) for v, r in pairs]
    signal, noise = sum(v * v for v, _ in pairs), sum(e * e for e in errors)
    # no smallest exponent: errors of half an ulp at most, each as likely as the others
    usual = {
        v: Fraction(4) ** (exponent_of(v) - spec.fraction_bits) / 12 if v else Fraction(0)
        for v in finite
    }
    smallest = spec.smallest_normal.fraction
    in_range = sum(usual[v] for v in finite if v < smallest) + sum(
        (r - v) ** 2 for v, r in pairs if abs(v) >= smallest
    )
    survivors = {
        "max_abs_error": float(max(errors)),
        "max_rel_error": float(
            max((e / abs(v) for e, (v, _) in zip(errors, pairs, strict=True) if v), default=0)
        ),
        "max_error_ulp": float(max(map(abs, ulps))),
        "rms_error": math.sqrt(noise / len(errors)) if noise > 1e-280 else None,
        "sqnr_db": decibels(signal, noise),
    }
    destroyed_ones = {name: -math.inf if name == "sqnr_db" else math.inf for name in survivors}
    top = Fraction(2) ** (spec.emax + 1)
    loss = [decibels(noise, of) for of in (sum(usual[v] for v in finite if v < top), in_range)]
    found = {
        **(destroyed_ones if destroyed else survivors),
        **{f"surviving_{name}": value for name, value in survivors.items()},
        "mean_error_ulp": math.nan if destroyed else float(sum(ulps) / len(ulps)),
        "small_value_loss_db": max(0.0, min(loss)) if noise else 0.0,
    }
    return {name: value for name, value in found.items() if value is not None}


def decibels(over: Fraction | int, under: Fraction | int) -> float:
    """10 log10 of their ratio."""
    if not under:
        return math.inf
    return 10 * math.log10(2) * log2(Fraction(over) / under) if over else -math.inf


def log2(ratio: Fraction) -> float:
    """The logarithm of any positive fraction."""
    shift = ratio.numerator.bit_length() - ratio.denominator.bit_length()
    return shift + math.log2(ratio / Fraction(2) ** shift)


_FROM_SUMS = ("rms_error", "sqnr_db", "headroom_binades", "mean_error_ulp", "loss_db")


def agree(metrics: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
    """Metrics equal those of `reference_row`: exactly, but for what is worked out from sums."""
    measured = {name for name, row in METRICS.items() if row.is_of_all}
    # the squares of the tiniest errors underflow in the reference
    assert measured - {*expected} <= {"rms_error", "surviving_rms_error"}
    for name, value in expected.items():
        tolerance = (
            {"rel": 1e-12, "abs": 1e-9} if name.endswith(_FROM_SUMS) else {"rel": 0, "abs": 0}
        )
        if name.endswith("rms_error"):
            tolerance["abs"] = 0
        assert metrics[name] == pytest.approx(value, nan_ok=True, **tolerance), name


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
    expected["exact_rate"] = expected["exact_count"] / len(x)
    exact = errors_of(
        [Fraction(abs(int(v))) for v in x], [(Fraction(v), r) for v, r in pairs], spec
    )
    return expected | exact


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
    assert one.minima == other.minima
    expected = metrics_of(other, F16, on_device=True)
    for name, value in metrics_of(one, F16, on_device=True).items():
        off = 1e-300
        if name.endswith("_db"):
            off = 1e-9  # a logarithm may be near 0
        elif name == "mean_error_ulp":  # terms with signs, whose sum may be near 0
            off = 1e-12 * max(1.0, other.maximum("surviving_max_error_ulp"))
        if value is None:
            assert expected[name] is None
            continue
        assert value == pytest.approx(expected[name], rel=1e-12, abs=off, nan_ok=True), name


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
    """Where each error is largest, the first of equals; None where all are exact.

    What became infinite or NaN has an infinite error.
    """
    errors: dict[str, list[float]] = {name: [] for name in ("abs", "rel", "ulp")}
    for v, r in zip(x.tolist(), q.tolist(), strict=True):
        three: Sequence[Fraction | float]
        if not math.isfinite(v):
            three = [0.0] * 3
        elif not math.isfinite(r):
            three = [math.inf] * 3
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
