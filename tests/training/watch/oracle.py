"""What casts make of tensors by fpx's exact rounding, element by element: what counts must say."""

from __future__ import annotations

from dataclasses import dataclass, fields
from fractions import Fraction
from functools import cache

import torch
from torch import Tensor

from fpx.casts.rounding import round_codes
from fpx.core.codec import Classification, classify, decode
from fpx.core.policy import Overflow
from fpx.core.spec import FormatSpec
from fpx.tensors.dtypes import codes_of, spec_of


@dataclass(frozen=True)
class Counts:
    """What became of a tensor's elements; see `fpx.report.watch_rows.ValueRow`."""

    count: int
    zero_count: int
    inf_count: int
    nan_count: int
    overflow_count: int
    underflow_count: int
    subnormal_count: int


NAMES = tuple(field.name for field in fields(Counts))


def code(number: int, spec: FormatSpec) -> int:
    """A code as its container has it, without the container's sign."""
    return number & ((1 << spec.bits) - 1)


def counts(x: Tensor, target: FormatSpec) -> Counts:
    """By casting each element, once as the format itself says and once saturating."""
    source = spec_of(x.dtype)
    assert source is not None
    codes = codes_of(x.detach().contiguous().reshape(-1))
    saturated = round_codes(codes, source, target, overflow=Overflow.SATURATE).tolist()
    kinds = [classify(code(each, source), source) for each in codes.tolist()]
    found = dict.fromkeys(NAMES, 0)
    for before, kind, after in zip(codes.tolist(), kinds, saturated, strict=True):
        found["count"] += 1
        found["zero_count"] += kind is Classification.ZERO
        found["inf_count"] += kind is Classification.INFINITY
        is_nan = kind not in _NUMBERS and kind is not Classification.INFINITY
        found["nan_count"] += is_nan
        if kind not in (Classification.NORMAL, Classification.SUBNORMAL):
            continue
        became = classify(code(after, target), target)
        found["underflow_count"] += became is Classification.ZERO
        found["subnormal_count"] += became is Classification.SUBNORMAL
        found["overflow_count"] += is_beyond(code(before, source), source, target)
    return Counts(**found)


_NUMBERS = (Classification.ZERO, Classification.NORMAL, Classification.SUBNORMAL)


def is_beyond(number: int, source: FormatSpec, target: FormatSpec) -> bool:
    """Whether a value is nearer to the next value that a format would have than to its largest.

    Just between them it is the even one.
    """
    value = decode(number, source)
    assert value is not None
    magnitude, edge = abs(value.fraction), _edge(target)
    return magnitude > edge or (magnitude == edge and target.max_finite_magnitude % 2 == 1)


def are_beyond(numbers: Tensor, target: FormatSpec) -> Tensor:
    """The same of float64, for a target whose edge that has."""
    edge, magnitudes = float(_edge(target)), numbers.abs()
    assert Fraction(edge) == _edge(target)
    beyond = magnitudes > edge
    if target.max_finite_magnitude % 2 == 1:
        beyond |= magnitudes == edge
    return beyond


@cache
def _edge(target: FormatSpec) -> Fraction:
    ulp = Fraction(2) ** (target.emax - target.fraction_bits)
    return target.max_finite.fraction + ulp / 2


def spread(dtype: torch.dtype, size: int, seed: int = 0) -> Tensor:
    """Numbers of all exponents and signs, infinities and NaNs: random codes."""
    generator = torch.Generator().manual_seed(seed)
    container = {2: torch.int16, 4: torch.int32, 8: torch.int64, 1: torch.uint8}[dtype.itemsize]
    limits = torch.iinfo(container)
    codes = torch.randint(limits.min, limits.max, (size,), generator=generator, dtype=container)
    return codes.view(dtype)
