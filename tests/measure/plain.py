"""A second measurer: from the definitions, element by element, in exact fractions."""

from __future__ import annotations

import math
from collections import Counter
from fractions import Fraction

import torch

from fpx.core.spec import FormatSpec
from fpx.measure.block import SourceBlock
from fpx.measure.measurement import NOTHING, Known, Maximum, Measurement
from fpx.measure.squares import ScaledSquares
from tests.measure.definitions import exponent_of, overflow_threshold, ulp_exponent

Number = Fraction | float
"""A float stands for what is not finite."""

SUBNORMAL = -1023
"""The exponent that stands for all subnormals of float64."""


def number(element: float) -> Number:
    return Fraction(element) if math.isfinite(element) else element


def measure_plainly(
    source: SourceBlock, q: torch.Tensor, target: FormatSpec, known: Known = NOTHING
) -> Measurement:
    """As `Measurer`."""
    x = [number(element.item()) for element in source.x]
    results = [number(element) for element in q.to(torch.float64).tolist()]
    weights = [1] * len(x) if source.weights is None else [int(w) for w in source.weights]
    limit, stays = overflow_threshold(target)
    counts: Counter[str] = Counter()
    firsts: dict[str, int] = {}
    exponents: Counter[int] = Counter()
    errors: dict[str, list[float]] = {
        name: []
        for name in (
            "max_abs", "surviving_max_abs_error", "surviving_max_rel_error",
            "surviving_max_error_ulp",
        )
    }  # fmt: skip
    signal = noise = normal_noise = error_ulp = Fraction(0)
    least: float | None = None
    for at, (before, after, weight) in enumerate(zip(x, results, weights, strict=True)):
        found = ["count"]
        if isinstance(before, float):
            found.append("nan_input_count" if math.isnan(before) else "inf_input_count")
        elif before:
            exponents[max(exponent_of(abs(before)), SUBNORMAL)] += weight
        if isinstance(before, float) and math.isnan(before):
            if isinstance(after, Fraction) or not math.isnan(after):
                found.append("nan_lost_count")
        elif before == after:
            found.append("exact_count")
        beyond = isinstance(before, Fraction) and (
            abs(before) > limit or (abs(before) == limit and not stays)
        )
        if beyond:
            found.append("overflow_count")
            firsts.setdefault("overflow_count", at)
        if isinstance(after, float):
            kind = "nan" if math.isnan(after) else "inf"
            if beyond:
                found.append(f"overflow_to_{kind}_count")
            elif isinstance(before, Fraction):
                found.append("unexpected_nonfinite_count")
            if isinstance(before, Fraction):
                found.append("destroyed_count")
                firsts.setdefault("destroyed_count", at)
        else:
            if beyond:
                found.append("saturated_count")
            if not after and isinstance(before, Fraction) and before:
                found.append("underflow_count")
            if 0 < abs(after) < target.smallest_normal.fraction:
                found.append("subnormal_count")
        largest = 0.0
        if isinstance(before, Fraction):
            largest = float(abs(before))
            if before:
                least = largest if least is None else min(least, largest)
        three = [0.0] * 3
        if isinstance(before, Fraction) and isinstance(after, Fraction):
            found.append("finite_count")
            signal += weight * before**2
            noise += weight * (after - before) ** 2
            if abs(before) >= target.smallest_normal.fraction:
                normal_noise += weight * (after - before) ** 2
            error = float(abs(after - before))
            ulp = Fraction(2) ** ulp_exponent(abs(before), target)
            error_ulp += weight * (after - before) / ulp
            relative = error / float(abs(before)) if before else 0.0
            if before and not source.x.is_floating_point():  # which float64 may lack
                relative = float(abs(after - before) / abs(before))
            three = [error, relative, float(error / ulp)]
        for name, one in zip(errors, [largest, *three], strict=True):
            errors[name].append(one)
        for name in found:
            counts[name] += weight
    return Measurement(
        counts={name: counts[name] for name in _COUNTS},
        maxima={
            name: Maximum(max(each), each.index(max(each)))
            for name, each in errors.items()
            if max(each) > known.maxima.get(name, 0.0)
        },
        minima={} if least is None else {"min_abs": least},
        sums={
            "signal": _squares(signal),
            "noise": _squares(noise),
            "normal_noise": _squares(normal_noise),
            "error_ulp": float(error_ulp),
        },
        firsts={name: at for name, at in firsts.items() if name not in known.firsts},
        exponents=dict(exponents),
    )


_COUNTS = (
    "count", "overflow_count", "overflow_to_inf_count", "overflow_to_nan_count", "saturated_count",
    "unexpected_nonfinite_count", "destroyed_count", "underflow_count", "subnormal_count",
    "nan_input_count", "inf_input_count", "nan_lost_count", "exact_count", "finite_count",
)  # fmt: skip


def _squares(total: Fraction) -> ScaledSquares:
    if not total:
        return ScaledSquares()
    exponent = (total.numerator.bit_length() - total.denominator.bit_length()) // 2
    return ScaledSquares(float(total / Fraction(4) ** exponent), exponent)
