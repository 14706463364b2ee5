"""Arrays of codes: as libraries' integers and back, as numbers, and what kind each is."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from fpx.casts.rounding import round_codes
from fpx.core.formats import FORMATS
from fpx.core.spec import FormatSpec, NanEncoding
from fpx.tensors.dtypes import container

Codes = np.ndarray[Any, np.dtype[np.int64]]
"""Codes of a format as integers of 64 bits, (n,); those of float64 wrap."""

Bools = np.ndarray[Any, np.dtype[np.bool_]]
Floats = np.ndarray[Any, np.dtype[np.float64]]

_FLOAT64 = FORMATS["float64"]


def held(codes: Codes, spec: FormatSpec) -> Tensor:
    """The codes in the format's `container`."""
    return torch.from_numpy(np.ascontiguousarray(codes)).to(container(spec))


def taken(codes: Tensor, spec: FormatSpec) -> Codes:
    """Codes out of their `container`."""
    found: Codes = codes.to("cpu", torch.int64).numpy()
    return found & ((1 << spec.bits) - 1) if spec.bits < 64 else found


def values(codes: Codes, spec: FormatSpec) -> Floats:
    """The numbers of codes of a format that float64 holds; by integer arithmetic alone."""
    found: Floats = round_codes(held(codes, spec), spec, _FLOAT64).view(torch.float64).numpy()
    return found


def nearest(numbers: Floats, spec: FormatSpec) -> Codes:
    """The codes of numbers, rounded once; by integer arithmetic alone."""
    bits = torch.from_numpy(np.ascontiguousarray(numbers)).view(torch.int64)
    return taken(round_codes(bits, _FLOAT64, spec), spec)


def magnitudes(codes: Codes, spec: FormatSpec) -> Codes:
    """Codes without their signs."""
    return codes & spec.magnitude_mask


def negative(codes: Codes, spec: FormatSpec) -> Bools:
    """Whether the sign bit is set."""
    if spec.bits == 64 and spec.signed:
        found: Bools = codes < 0
    else:
        found = (codes & spec.sign_mask) != 0
    return found


def is_nan(codes: Codes, spec: FormatSpec) -> Bools:
    """Whether codes are NaNs."""
    if spec.nan is NanEncoding.NEGATIVE_ZERO:
        found: Bools = codes == wrapped(spec.sign_mask, spec)
        return found
    beyond: Bools = magnitudes(codes, spec) > spec.max_finite_magnitude
    return beyond & ~is_infinite(codes, spec)


def is_infinite(codes: Codes, spec: FormatSpec) -> Bools:
    """Whether codes are infinities."""
    top = spec.infinity_magnitude
    found: Bools = magnitudes(codes, spec) == (-1 if top is None else top)
    return found


def is_finite(codes: Codes, spec: FormatSpec) -> Bools:
    """Whether codes are numbers."""
    return ~is_nan(codes, spec) & ~is_infinite(codes, spec)


def is_zero(codes: Codes, spec: FormatSpec) -> Bools:
    """Whether codes are zeros, of either sign."""
    found: Bools = magnitudes(codes, spec) == 0
    return found & ~is_nan(codes, spec)


def is_subnormal(codes: Codes, spec: FormatSpec) -> Bools:
    """Whether codes are subnormal numbers."""
    size = magnitudes(codes, spec)
    found: Bools = (size > 0) & (size < 1 << spec.fraction_bits)
    return found


def ordinals(codes: Codes, spec: FormatSpec) -> Codes:
    """Places on the line of values: neighbours differ by 1, both zeros are at 0."""
    size = magnitudes(codes, spec)
    return np.where(negative(codes, spec), -size, size)


def wrapped(code: int, spec: FormatSpec) -> int:
    """A code as `Codes` hold it."""
    return code - (1 << 64) if spec.bits == 64 and code >> 63 else code


def unwrapped(code: int, spec: FormatSpec) -> int:
    """A code out of `Codes`, 0 or more."""
    return code & ((1 << spec.bits) - 1)
