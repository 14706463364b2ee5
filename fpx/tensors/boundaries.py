"""The values around every threshold of a format: where the result of a cast changes."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from fpx.core.dyadic import Dyadic
from fpx.core.spec import FormatSpec
from fpx.core.thresholds import Thresholds
from fpx.errors import InputError
from fpx.tensors.dtypes import container, spec_of, wrapped

_EVERY_VALUE_UP_TO = 16  # bits


def boundaries(target: FormatSpec, dtype: torch.dtype) -> Tensor:
    """The target's thresholds in a source dtype, each with the dtype's values around it.

    A threshold is where the result of a cast changes: the midpoints between neighbouring values of
    the target, and the values themselves, where exactness does. Where the source has no such value,
    its two neighbours stand around the threshold. Both signs; sorted, without repeats, 1-D.

    Raises:
        InputError: no format is of this dtype.
    """
    source = spec_of(dtype)
    if source is None:
        raise InputError(f"fpx has no format for {dtype}")
    bits = container(source)
    top = source.max_finite_magnitude
    codes = _thresholds(target).to(dtype).view(bits).to(torch.int64) & source.magnitude_mask
    codes = torch.cat([codes[codes <= top], torch.tensor([top])])
    positive = torch.unique(torch.cat([codes - 1, codes, codes + 1]).clamp_(0, top))
    found = positive
    if source.signed and target.signed:
        mirrored = positive if source.has_negative_zero else positive[positive > 0]
        found = torch.cat([mirrored.flip(0) | wrapped(source.sign_mask, torch.int64), positive])
    values: Tensor = found.to(bits).view(dtype)
    return values


def _thresholds(target: FormatSpec) -> Tensor:
    """The positive thresholds of a format in float64, exact: they need one bit beyond its own."""
    last = target.max_finite_magnitude
    if target.bits <= _EVERY_VALUE_UP_TO:
        magnitudes = range(last + 1)
    else:
        steps = 1 << target.fraction_bits
        binades = range(0, last + 2, steps)  # first and last value of each binade, and between
        magnitudes = sorted({m for b in binades for m in (b - 1, b, b + 1) if 0 <= m <= last})  # type: ignore[assignment]
    values = [target.finite(m) for m in magnitudes]
    halves = [Dyadic(2 * v.significand + 1, v.exponent - 1) for v in values]
    limit = Thresholds.of(target).overflow
    floats = [math.ldexp(*value) for value in (*values, *halves[:-1])]
    return torch.tensor([*floats, limit], dtype=torch.float64)
