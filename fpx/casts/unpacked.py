"""Codes of whole tensors, taken apart into numbers, and made of those when they are rounded."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from fpx.core.policy import Direction, Overflow, special_codes, with_sign
from fpx.core.spec import FormatSpec, NanEncoding
from fpx.tensors.dtypes import IntegerType, Origin, wrapped


class Numbers(NamedTuple):
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
    if not spec.signed:  # its top bit is not the container's sign
        codes = codes.to(torch.int64)
    magnitude = codes & wrapped(spec.magnitude_mask, codes.dtype)
    return magnitude > spec.max_finite_magnitude + spec.infinity


def unpack(codes: Tensor, origin: Origin) -> Numbers:
    """The numbers that codes stand for, in parts."""
    if isinstance(origin, IntegerType):
        return _unpack_integers(codes, origin)
    bits = codes.to(torch.int64)
    magnitude = bits & origin.magnitude_mask
    fraction = magnitude & ((1 << origin.fraction_bits) - 1)
    field = magnitude >> origin.fraction_bits
    significand = fraction | (1 << origin.fraction_bits)
    exponent = field - origin.bias
    if origin.zero:
        low = field == 0
        if low.any():
            fraction, raised = _normalised(fraction, origin.fraction_bits)
            significand = torch.where(low, fraction, significand)
            exponent = torch.where(low, origin.emin - raised, exponent)
    nan = nans(codes, origin)
    infinite = magnitude > origin.max_finite_magnitude
    return Numbers(
        negative=(bits & wrapped(origin.sign_mask, torch.int64)) != 0,
        significand=significand,
        exponent=exponent,
        point=origin.fraction_bits,
        infinite=infinite & ~nan,
        nan=nan,
        payload=origin.has_nan_payload,
    )


_STICKY = 2  # low bits of an integer that become one, which tells only whether they were zero


def _unpack_integers(codes: Tensor, origin: IntegerType) -> Numbers:
    bits = codes.to(torch.int64)
    if origin.signed:
        negative = bits < 0
        bits = bits.abs()  # of the least int64 that is 2^63, taken without a sign
    else:
        negative = torch.zeros_like(bits, dtype=torch.bool)
        if origin.bits < 64:
            bits &= (1 << origin.bits) - 1
    top = bits < 0  # from 2^63 up: halved, where the lowest bit tells only that it was there
    halved = ((bits >> 1) & ((1 << 63) - 1)) | (bits & 1)
    significand, raised = _normalised(torch.where(top, halved, bits), 62)
    rest = (significand & ((1 << _STICKY) - 1)) != 0
    neither = torch.zeros_like(top)
    return Numbers(
        negative,
        (significand >> _STICKY) | rest,
        62 + top.to(torch.int64) - raised,
        62 - _STICKY,
        neither,
        neither,
        False,
    )


def _normalised(significand: Tensor, point: int) -> tuple[Tensor, Tensor]:
    """Significands with the leading bit at `point`, and how far they were raised; zeros stay."""
    raised = torch.zeros_like(significand)
    step = 1 << max(point.bit_length() - 1, 0)
    while step and point:
        low = significand >> max(point + 1 - step, 0) == 0
        significand = torch.where(low, significand << step, significand)
        raised += low * step
        step >>= 1
    return significand, raised


class Floored(NamedTuple):
    """Numbers rounded toward zero, and what that dropped; int64 tensors (n,).

    Attributes:
        magnitude: as if exponents had one binade more than there is.
        rest: the bits that were dropped, of the significand; 0 if none was set.
        half: the rest of a tie.
        dropped: how many bits were dropped: the rest is so many binary places below the last one.
        above: binades over the smallest normal number.
    """

    magnitude: Tensor
    rest: Tensor
    half: Tensor
    dropped: Tensor
    above: Tensor


def floored(x: Numbers, target: FormatSpec) -> Floored:
    """Unpacked numbers in a target's magnitudes."""
    significand, point = x.significand, x.point
    if point < target.fraction_bits:
        significand = significand << (target.fraction_bits - point)
        point = target.fraction_bits
    above = x.exponent - target.emin
    every = point - target.fraction_bits - above.clamp(max=0)
    dropped = every.clamp(max=63)
    steps = target.emax - target.emin + 1  # one binade more than there is
    mask = (torch.ones_like(dropped) << dropped) - 1
    magnitude = (above.clamp(0, steps) << target.fraction_bits) + (significand >> dropped)
    if not target.zero:  # nothing lies between zero and the smallest value
        magnitude -= 1 << target.fraction_bits
    return Floored(magnitude, significand & mask, (mask >> 1) + 1, every, above)


def coded(
    x: Numbers,
    magnitude: Tensor,
    above: Tensor,
    target: FormatSpec,
    overflow: Overflow,
    positive: Direction = Direction.EVEN,
    negative: Direction = Direction.EVEN,
) -> Tensor:
    """The target's codes of rounded magnitudes, int64 (n,).

    Args:
        x: the numbers before they were rounded.
        magnitude: as `floored` has them, or one more where the rounding went away from zero; not to
            be used any more.
        above: as `floored` has it.
        target, overflow: the format, and what becomes of what is beyond it.
        positive, negative: where numbers of either sign were rounded.
    """
    if not target.zero:
        magnitude.masked_fill_(above < 0, 0)
    zero = x.significand == 0
    magnitude.masked_fill_(zero, 0)

    special = special_codes(target, overflow, positive)
    mirrored = special_codes(target, overflow, negative)
    over = magnitude > target.max_finite_magnitude
    if target.bits == 64:  # where one binade more than there is may not fit
        over |= magnitude < 0
    magnitude.masked_fill_(over, _filling(special.beyond))
    if mirrored.beyond != special.beyond:
        magnitude.masked_fill_(over & x.negative, _filling(mirrored.beyond))
    magnitude.masked_fill_(x.infinite, _filling(special.infinity))

    # what no value of the format is near: negative without a sign, zero without a zero
    invalid = zero if not target.zero else torch.zeros_like(zero)
    if not target.signed:
        below = x.negative & ~zero
        invalid = invalid | (below & (magnitude != 0) if target.zero else below)
    signed = x.negative if target.has_negative_zero else x.negative & (magnitude != 0)
    magnitude |= signed.to(torch.int64) * wrapped(target.sign_mask, torch.int64)
    magnitude.masked_fill_(invalid & ~x.nan, _filling(special.invalid))
    return torch.where(x.nan, _nan_codes(x, target), magnitude)


def _filling(code: int | None) -> int:
    """A special code as int64 takes it; there is one, see `check_overflow`."""
    assert code is not None
    return wrapped(code, torch.int64)


def _nan_codes(x: Numbers, target: FormatSpec) -> Tensor:
    """The quiet NaN with the sign and the leading bits of the payload of each NaN."""
    if target.nan_code is None:
        return torch.zeros_like(x.significand)
    code = torch.full_like(x.significand, wrapped(target.nan_code, torch.int64))
    if target.has_nan_payload and x.payload:
        below_quiet = x.significand & ((1 << max(x.point - 1, 0)) - 1)
        shift = target.fraction_bits - x.point
        code |= below_quiet << shift if shift >= 0 else below_quiet >> -shift
    sign = with_sign(target.nan_code, True, target) ^ target.nan_code
    return code | x.negative.to(torch.int64) * wrapped(sign, torch.int64)
