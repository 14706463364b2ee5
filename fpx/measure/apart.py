"""How many codes two blocks are apart, element by element, in integer arithmetic alone."""

from __future__ import annotations

from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor

from fpx.casts.rounding import round_codes
from fpx.casts.unpacked import nans
from fpx.core.spec import FormatSpec, NanEncoding
from fpx.measure.block import SourceBlock
from fpx.measure.pair import Pair
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


def finite(codes: Tensor, type_: Origin) -> Tensor:
    """Which codes, in the type's `container`, are finite numbers, as bools."""
    if isinstance(type_, IntegerType):
        return torch.ones_like(codes, dtype=torch.bool)
    if type_.bits > 8 and not type_.signed:
        codes = codes.to(torch.int64)  # the container's sign is a bit of the magnitude
    magnitude = codes & wrapped(type_.magnitude_mask, codes.dtype)
    found = magnitude <= type_.max_finite_magnitude
    if type_.nan is NanEncoding.NEGATIVE_ZERO:
        found &= ~nans(codes, type_)
    return found


class Expected(NamedTuple):
    """What a block should be in another dtype.

    Attributes:
        codes: A's values in B's dtype, in its `container`.
        finite: where they are finite; elsewhere B's dtype has no finite value that A's rounds to,
            or A's is not finite itself.
    """

    codes: Tensor
    finite: Tensor


def expected(x: Tensor, type_: Origin) -> Expected:
    """A block in another format or integer type: each value to the nearest, ties to even.

    Args:
        x: of shape (n,), of a dtype that has a format or integer type.
        type_: that of the other block.
    """
    origin = origin_of(x.dtype)
    if origin == type_:
        return Expected(codes_of(x), finite(codes_of(x), origin))
    if isinstance(type_, FormatSpec):
        codes = round_codes(codes_of(x), origin, type_)
        return Expected(codes, finite(codes, type_))
    wide, inside, above = _whole(x, origin)
    if type_.bits == 64 and not type_.signed:
        fits = above | (inside & (wide >= 0))
    else:
        least = -(1 << (type_.bits - 1)) if type_.signed else 0
        most = (1 << (type_.bits - type_.signed)) - 1
        fits = inside & (wide >= least) & (wide <= most)
    return Expected(wide.to(container(type_)), fits)


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


class Elements:
    """Elements of two tensors side by side, and which of them are not as expected.

    Args:
        x, y: of shape (n,), each of a dtype that has a format or integer type.
        wanted: what x is `expected` to be; without it, that is worked out.
    """

    def __init__(self, x: Tensor, y: Tensor, wanted: Expected | None = None) -> None:
        self.x, self.y = x, y
        self.a, self.b = codes_of(x), codes_of(y)
        self.a_type, self.b_type = origin_of(x.dtype), origin_of(y.dtype)
        self.same_type = x.dtype == y.dtype
        self.wanted = expected(x, self.b_type) if wanted is None else wanted

    def at(self, positions: Tensor) -> Elements:
        """Some of them."""
        x, y = (
            codes[positions].view(whole.dtype)  # torch cannot pick from every dtype
            for codes, whole in ((self.a, self.x), (self.b, self.y))
        )
        return Elements(x, y, Expected(*(part[positions] for part in self.wanted)))

    @cached_property
    def unusual(self) -> Tensor:
        """The positions of those that need a look: not the expected code, or one of no number.

        Where the dtypes are the same, an infinity or a NaN of the same bits needs none.
        """
        differs = self.wanted.codes != self.b
        if not self.same_type:
            differs |= ~self.wanted.finite
        return differs.nonzero().view(-1)

    @cached_property
    def comparable(self) -> Tensor:
        """Which of them have a distance: finite in A, in A as B's dtype has it, and in B."""
        return self.wanted.finite & finite(self.b, self.b_type)

    @cached_property
    def both_nan(self) -> Tensor:
        """Which are NaNs in both."""
        return nans(self.a, self.a_type) & nans(self.b, self.b_type)

    def losses(self) -> dict[str, Tensor]:
        """Of each count in `fpx.report.diff_row.LOSSES`, which of them it counts."""
        a_nan, b_nan = nans(self.a, self.a_type), nans(self.b, self.b_type)
        a_finite = finite(self.a, self.a_type)
        a_inf, b_inf = ~a_finite & ~a_nan, ~finite(self.b, self.b_type) & ~b_nan
        same_sign = (places(self.a, self.a_type) < 0) == (places(self.b, self.b_type) < 0)
        same_inf = a_inf & b_inf & same_sign
        return {
            "nan_appeared_count": b_nan & ~a_nan,
            "nan_vanished_count": a_nan & ~b_nan,
            "inf_appeared_count": b_inf & ~same_inf,
            "inf_vanished_count": a_inf & ~same_inf,
            "out_of_range_count": a_finite & ~self.wanted.finite,
        }


def may_be_unusual(x: Tensor, y: Tensor) -> Tensor | None:
    """The positions outside of which y is x, correctly rounded to another format; None is all.

    An error of less than half an ulp is that of the nearest value, so that only what is left has to
    be rounded again: ties, zeros (which may have the wrong sign), and what is wrong.

    Args:
        x, y: of shape (n,), not empty, of different dtypes.
    """
    origin, target = origin_of(x.dtype), origin_of(y.dtype)
    if isinstance(origin, IntegerType) or isinstance(target, IntegerType):
        return None  # 64-bit integers less a float64 may be rounded
    if not (target.signed and target.zero):
        return None
    pair = Pair.of(SourceBlock(x), y, target)
    if not pair.all_finite or pair.overflow is not None:
        return None
    unsure = pair.error_in_ulps >= 0.5
    if pair.zero is not None:
        unsure |= pair.zero
    return unsure.nonzero().view(-1)


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
