"""Correct rounding of whole tensors of codes, in integer arithmetic alone.

The rules are those of `fpx.core.codec`, the steps are torch's integer operations, so the result
depends neither on a library's casts nor on the state of the floating-point unit, and any device can
run it. Codes come and go as integers of the format's container (see `container`): the bits of a
float32 as int32, those of an E4M3 as uint8.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from fpx.core.policy import Overflow, Rounding
from fpx.core.spec import FormatSpec, NanEncoding
from fpx.tensors.dtypes import IntegerType, Origin, container, wrapped


class Span(NamedTuple):
    """The first and last magnitude of some codes that share a sign."""

    low: int
    high: int
    negative: bool


def round_codes(
    codes: Tensor,
    origin: Origin,
    target: FormatSpec,
    rounding: Rounding = Rounding.TIES_TO_EVEN,
    overflow: Overflow = Overflow.IEEE,
    span: Span | None = None,
) -> Tensor:
    """The codes of the target that the origin's values round to, each once and exactly.

    A NaN keeps its sign, becomes quiet and keeps the leading bits of its payload (IEEE 754-2019,
    6.2.3, recommends that), as far as the target has such. A target without NaNs gives 0 for it.

    Args:
        codes: 1-D, in the origin's `container`.
        origin, target: up to 64 bits.
        rounding: ties to even or to away, or toward zero.
        overflow: as in `codec.encode`.
        span: of these codes, where the caller knows it; saves two passes over them.

    Returns:
        As many codes, in the target's `container`, on the same device.
    """
    dtype = container(target)
    if not codes.numel():
        return torch.empty_like(codes, dtype=dtype)
    if isinstance(origin, FormatSpec) and rounding is Rounding.TIES_TO_EVEN:
        span = span or _span(codes, origin)
        if span is not None:
            found = _round_span(codes, span, origin, target, overflow)
            if found is not None:
                return found
    numbers = _unpack(codes, origin)
    return _round_numbers(numbers, target, rounding, overflow).to(dtype)


# -- the short way: codes that share a sign, all of them plain numbers -----------------------------


def _span(codes: Tensor, spec: FormatSpec) -> Span | None:
    """The span of the codes; None if their signs differ or the container's sign is not theirs."""
    if spec.bits != 8 * codes.itemsize or spec.bits == 8:
        return None
    low, high = (int(end) for end in codes.aminmax())
    if low < 0 <= high:
        return None
    return Span(low & spec.magnitude_mask, high & spec.magnitude_mask, low < 0)


def _round_span(
    codes: Tensor, span: Span, origin: FormatSpec, target: FormatSpec, overflow: Overflow
) -> Tensor | None:
    """As `round_codes`, ties to even; None if some of these codes need more care."""
    if span.high > origin.max_finite_magnitude or origin.bits != 8 * codes.itemsize:
        return None
    sign = origin.sign_mask if span.negative else 0
    if not span.low and (origin.nan is NanEncoding.NEGATIVE_ZERO or not target.zero):
        return None
    top_bit = 1 << (target.bits - 1)
    ends = torch.tensor(
        [wrapped(sign | end, codes.dtype) for end in (span.low, span.high)], dtype=codes.dtype
    )
    rounded = _round_numbers(_unpack(ends, origin), target, Rounding.TIES_TO_EVEN, overflow)
    first, last = (code & (2 * top_bit - 1) for code in rounded.tolist())
    dtype = container(target)
    if first == last:  # rounding is monotonic: what lies between rounds likewise
        return torch.full_like(codes, wrapped(first, dtype), dtype=dtype)
    # Magnitudes of normal numbers are integers that count the origin's values; seen from the
    # target's exponent range, the low bits of the difference are what rounding drops.
    dropped = origin.fraction_bits - target.fraction_bits
    rebias = (origin.bias - target.bias) << origin.fraction_bits
    least_origin = int(origin.zero) << origin.fraction_bits
    least_target = int(target.zero) << origin.fraction_bits
    negative = span.negative
    if (
        dropped < 1
        or rebias < 0
        or span.low < max(least_origin, least_target + rebias)
        or target.bits > origin.bits
        or (negative and not target.signed)
    ):
        return None
    magnitude = (codes & origin.magnitude_mask).sub_(rebias) if negative else codes - rebias
    odd = (magnitude >> dropped).bitwise_and_(1)
    half_less_one = (1 << (dropped - 1)) - 1
    magnitude.add_(odd).add_(half_less_one).bitwise_right_shift_(dropped)
    top = target.max_finite_magnitude
    beyond = _overflowed(target, overflow)
    sign = target.sign_mask if negative else 0
    if last & target.magnitude_mask > top or last == beyond | sign or beyond <= top:
        if beyond in (top, top + 1):
            magnitude.clamp_(max=beyond)
        else:
            magnitude.masked_fill_(magnitude > top, beyond)
    if sign:
        magnitude.bitwise_or_(wrapped(sign, magnitude.dtype))
    return magnitude.to(dtype)


# -- the long way: any codes -----------------------------------------------------------------------


class _Numbers(NamedTuple):
    """Numbers (-1)^negative * significand * 2^(exponent - point), int64 and bool tensors (n,).

    A significand has its leading bit at `point`, or is 0. Infinities have `infinite`; NaNs have
    `nan`, and their significand's leading bits are quiet bit and payload at `point`.
    """

    negative: Tensor
    significand: Tensor
    exponent: Tensor
    point: int
    infinite: Tensor
    nan: Tensor
    payload: bool


def nans(codes: Tensor, spec: Origin) -> Tensor:
    """Which codes are NaNs, as bools (n,)."""
    if isinstance(spec, IntegerType) or spec.nan is NanEncoding.NONE:
        return torch.zeros_like(codes, dtype=torch.bool)
    if spec.nan is NanEncoding.NEGATIVE_ZERO:
        return codes == wrapped(spec.sign_mask, codes.dtype)
    magnitude = codes & wrapped(spec.magnitude_mask, codes.dtype)
    return magnitude > spec.max_finite_magnitude + spec.infinity


def _unpack(codes: Tensor, origin: Origin) -> _Numbers:
    if isinstance(origin, IntegerType):
        return _unpack_integers(codes)
    bits = codes.to(torch.int64)
    magnitude = bits & origin.magnitude_mask
    fraction = magnitude & ((1 << origin.fraction_bits) - 1)
    field = magnitude >> origin.fraction_bits
    normal = field > 0 if origin.zero else torch.ones_like(field, dtype=torch.bool)
    significand = torch.where(normal, fraction | (1 << origin.fraction_bits), fraction)
    exponent = torch.where(normal, field - origin.bias, origin.emin)
    significand, exponent = _normalised(significand, exponent, origin.fraction_bits)
    nan = nans(codes, origin)
    if origin.has_nan_payload:
        significand = torch.where(nan, fraction | (1 << origin.fraction_bits), significand)
    infinite = magnitude > origin.max_finite_magnitude
    return _Numbers(
        negative=(bits & origin.sign_mask) != 0 if origin.sign_mask else torch.zeros_like(nan),
        significand=significand,
        exponent=exponent,
        point=origin.fraction_bits,
        infinite=infinite & ~nan,
        nan=nan,
        payload=origin.has_nan_payload,
    )


_STICKY = 2  # low bits of an integer that become one, which tells only whether they were zero


def _unpack_integers(codes: Tensor) -> _Numbers:
    value = codes.to(torch.int64)
    least = value == torch.iinfo(torch.int64).min  # the one whose magnitude int64 lacks
    significand = torch.where(least, 1 << 62, value.abs())
    exponent = torch.full_like(value, 62).add_(least)
    significand, exponent = _normalised(significand, exponent, 62)
    rest = (significand & ((1 << _STICKY) - 1)) != 0
    neither = torch.zeros_like(least)
    return _Numbers(
        value < 0, (significand >> _STICKY) | rest, exponent, 62 - _STICKY, neither, neither, False
    )


def _normalised(significand: Tensor, exponent: Tensor, point: int) -> tuple[Tensor, Tensor]:
    """The same numbers with the leading bit at `point`; zeros stay zeros."""
    step = 1 << max(point.bit_length() - 1, 0)
    while step and point:
        low = significand >> max(point + 1 - step, 0) == 0
        significand = torch.where(low, significand << step, significand)
        exponent = torch.where(low, exponent - step, exponent)
        step >>= 1
    return significand, exponent


def _round_numbers(
    x: _Numbers, target: FormatSpec, rounding: Rounding, overflow: Overflow
) -> Tensor:
    """The target's codes of unpacked numbers, int64 (n,)."""
    significand, point = x.significand, x.point
    if point < target.fraction_bits:
        significand = significand << (target.fraction_bits - point)
        point = target.fraction_bits
    below = (target.emin - x.exponent).clamp_(min=0)  # binades under the smallest normal
    dropped = (below + (point - target.fraction_bits)).clamp_(max=point + 2)
    steps = (target.max_finite_magnitude >> target.fraction_bits) + 2
    binade = (x.exponent - target.emin).clamp_(0, steps) << target.fraction_bits
    kept = significand >> dropped
    twice = (significand - (kept << dropped)) << 1
    magnitude = binade + kept
    if not target.zero:  # nothing lies between zero and the smallest value
        magnitude -= 1 << target.fraction_bits
    one = torch.ones_like(dropped) << dropped
    if rounding is Rounding.TIES_TO_EVEN:
        magnitude += (twice > one) | ((twice == one) & (magnitude & 1 != 0))
    elif rounding is Rounding.TIES_TO_AWAY:
        magnitude += twice >= one
    elif rounding is not Rounding.TOWARD_ZERO:
        raise ValueError(f"{rounding} is not for tensors")
    if not target.zero:
        magnitude.masked_fill_(x.exponent < target.emin, 0)

    zero = x.significand == 0
    magnitude.masked_fill_(zero, 0)
    beyond = _overflowed(target, overflow)
    nan_code = target.nan_code or 0
    finite_beyond = beyond
    if rounding is Rounding.TOWARD_ZERO and overflow is Overflow.IEEE:
        finite_beyond = target.max_finite_magnitude
    over = magnitude > target.max_finite_magnitude
    magnitude.masked_fill_(over, finite_beyond)
    infinity = target.infinity_magnitude
    keeps = infinity is not None and overflow is not Overflow.SATURATE
    magnitude.masked_fill_(x.infinite, infinity if keeps and infinity is not None else beyond)

    # what no value of the format is near: negative without a sign, zero without a zero
    invalid = torch.zeros_like(zero)
    if not target.signed:
        invalid |= x.negative & ((magnitude != 0) | torch.full_like(zero, not target.zero))
        invalid &= ~zero
    if not target.zero:
        invalid |= zero
    valid_nan = target.nan is not NanEncoding.NONE and overflow is not Overflow.SATURATE
    if target.has_negative_zero:
        magnitude |= x.negative.to(torch.int64) * target.sign_mask
    else:
        signed = x.negative & (magnitude != 0)
        magnitude |= signed.to(torch.int64) * target.sign_mask
    magnitude.masked_fill_(invalid & ~x.nan, nan_code if valid_nan else 0)
    return torch.where(x.nan, _nan_codes(x, target), magnitude)


def _overflowed(target: FormatSpec, overflow: Overflow) -> int:
    """The magnitude (without a sign) that stands for numbers beyond the largest finite value."""
    if overflow is Overflow.SATURATE:
        return target.max_finite_magnitude
    if overflow is Overflow.IEEE and target.infinity_magnitude is not None:
        return target.infinity_magnitude
    return target.max_finite_magnitude if target.nan_code is None else target.nan_code


def _nan_codes(x: _Numbers, target: FormatSpec) -> Tensor:
    """The quiet NaN with the sign and the leading bits of the payload of each NaN."""
    code = torch.full_like(x.significand, target.nan_code or 0)
    if target.has_nan_payload and x.payload:
        below_quiet = x.significand & ((1 << max(x.point - 1, 0)) - 1)
        shift = target.fraction_bits - x.point
        code |= below_quiet << shift if shift >= 0 else below_quiet >> -shift
    if target.signed and target.nan_code != target.sign_mask:
        code |= x.negative.to(torch.int64) * (target.sign_mask if target.nan_code else 0)
    return code
