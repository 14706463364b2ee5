"""How many codes two blocks are apart, element by element, in integer arithmetic alone."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from fpx.casts.rounding import nans, round_codes
from fpx.core.spec import FormatSpec
from fpx.tensors.dtypes import IntegerType, Origin, codes_of, container, origin_of, wrapped

_TOP = -(1 << 63)  # int64 with the highest bit alone


def places(codes: Tensor, type_: Origin) -> Tensor:
    """Where codes are on the line of values: neighbours differ by 1, as `core.codec.ordinal`.

    Args:
        codes: in the type's `container`; where a NaN or an infinity is means nothing.
        type_: their format or integer type.

    Returns:
        int64, of the same shape; of uint64, 2^63 less.
    """
    wide = codes.to(torch.int64)
    if isinstance(type_, IntegerType):
        if type_.bits == 64 and not type_.signed:
            return wide ^ _TOP
        if type_.bits == 1:
            return (wide != 0).to(torch.int64)
        return wide if type_.signed else wide & ((1 << type_.bits) - 1)
    magnitude = wide & type_.magnitude_mask
    negative = (wide & wrapped(type_.sign_mask, torch.int64)) != 0
    return torch.where(negative, -magnitude, magnitude)


def infinite(codes: Tensor, type_: Origin) -> Tensor:
    """Which codes are infinities, as bools."""
    if isinstance(type_, IntegerType) or not type_.infinity:
        return torch.zeros_like(codes, dtype=torch.bool)
    return (codes.to(torch.int64) & type_.magnitude_mask) == type_.max_finite_magnitude + 1


class Expected(NamedTuple):
    """What a block should be in another dtype.

    Attributes:
        codes: A's values in B's dtype, in its `container`.
        finite: where they are finite; elsewhere B's dtype has no finite value that A's rounds to,
            or A's is not finite itself. None stands for everywhere.
    """

    codes: Tensor
    finite: Tensor | None


def expected(x: Tensor, type_: Origin) -> Expected:
    """A block in another format or integer type: each value to the nearest, ties to even.

    Args:
        x: of shape (n,), of a dtype that has a format or integer type.
        type_: that of the other block; not x's own.
    """
    origin = origin_of(x.dtype)
    if isinstance(type_, FormatSpec):
        codes = round_codes(codes_of(x), origin, type_)
        lost = nans(codes, type_) | infinite(codes, type_)
        return Expected(codes, ~lost if lost.any() else None)
    wide, inside, above = _whole(x, origin)
    if type_.bits == 64 and not type_.signed:
        fits = above | (inside & (wide >= 0))
    else:
        least = -(1 << (type_.bits - 1)) if type_.signed else 0
        most = (1 << (type_.bits - type_.signed)) - 1
        fits = inside & (wide >= least) & (wide <= most)
    return Expected(wide.to(container(type_)), None if fits.all() else fits)


def _whole(x: Tensor, origin: Origin) -> tuple[Tensor, Tensor, Tensor]:
    """Values rounded to whole numbers: the low 64 bits, who is in int64, and who is just above it.

    Just above are those from 2^63 up to where uint64 ends.
    """
    if isinstance(origin, IntegerType):
        if x.dtype is torch.uint64:
            bits = x.view(torch.int64)
            return bits, bits >= 0, bits < 0
        return (
            x.to(torch.int64),
            torch.ones_like(x, dtype=torch.bool),
            torch.zeros_like(x, dtype=torch.bool),
        )
    real = x.to(torch.float64).round()  # float64 has all values of every dtype
    inside = (real >= -(2.0**63)) & (real < 2.0**63)
    above = (real >= 2.0**63) & (real < 2.0**64)
    low = torch.where(above, real - 2.0**63, torch.where(inside, real, 0.0)).to(torch.int64)
    return torch.where(above, low ^ _TOP, low), inside, above


class Distances:
    """How far apart places are: whole numbers below 2^64, held in int64 as if it had no sign.

    Args:
        first, second: `places`, each of shape (n,).
    """

    def __init__(self, first: Tensor, second: Tensor) -> None:
        high, low = torch.maximum(first, second), torch.minimum(first, second)
        self._bits = high - low  # what int64 has no room for comes out as the same bits

    def total(self) -> int:
        """Their sum, exact."""
        low, high = self._bits & 0xFFFFFFFF, (self._bits >> 32) & 0xFFFFFFFF
        return int(low.sum()) + (int(high.sum()) << 32)

    def largest(self) -> tuple[int, int]:
        """The largest and the position of the first that is so large; there must be one."""
        ordered = self._bits ^ _TOP
        at = int(ordered.argmax())
        return int(ordered[at]) - _TOP, at

    def beyond(self, limit: int) -> Tensor:
        """Which are larger than a limit, as bools."""
        if limit >= 1 << 64:
            return torch.zeros_like(self._bits, dtype=torch.bool)
        return (self._bits ^ _TOP) > limit + _TOP
