"""Correct rounding of whole tensors of codes, in integer arithmetic alone.

What overflow, infinities and NaNs become is said by `fpx.core.policy`, as for single numbers. The
rounding itself is written a second time here, in torch's integer operations, and shares nothing
with `fpx.core.codec`: each is tested against the other. The result depends neither on a library's
casts nor on the state of the floating-point unit, and any device can run it. Codes come and go as
integers of the format's container (see `container`): the bits of a float32 as int32, those of an
E4M3 as uint8.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor

from fpx.core.policy import (
    Direction,
    Overflow,
    Rounding,
    check_overflow,
    direction_of,
    special_codes,
    with_sign,
)
from fpx.core.spec import FormatSpec, NanEncoding
from fpx.errors import UnavailableError
from fpx.tensors.dtypes import IntegerType, Origin, container, wrapped

_MOST_BITS = 63  # without the sign: int64 compares magnitudes
_MOST_PRECISION = 59  # int64 holds a significand with three more bits, one of them sticky


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
        origin, target: see `check_rounds`.
        rounding, overflow: as in `codec.encode`.
        span: of these codes, where the caller knows it; saves two passes over them.

    Returns:
        As many codes, in the target's `container`, on the same device.

    Raises:
        InputError: overflow to NaN, and the target has none (whether or not something overflows).
        UnavailableError: the formats are too wide.
    """
    check_rounds(origin)
    check_rounds(target)
    check_overflow(target, overflow)
    dtype = container(target)
    if not codes.numel():
        return torch.empty_like(codes, dtype=dtype)
    if isinstance(origin, FormatSpec) and origin.signed:
        span = span or _span(codes, origin)
        if span is not None:
            found = _round_span(codes, span, origin, target, rounding, overflow)
            if found is not None:
                return found
    numbers = unpack(codes, origin)
    return _round_numbers(numbers, target, rounding, overflow).to(dtype)


def check_rounds(type_: Origin) -> None:
    """Refuses a format whose codes or significands int64 cannot compute with.

    Raises:
        UnavailableError: it has more than 63 bits and a sign, or a significand of more than 59.
    """
    if isinstance(type_, IntegerType):
        return
    if type_.bits - type_.signed > _MOST_BITS:
        raise UnavailableError(
            f"{type_.name} has {type_.bits} bits: tensors are rounded from and to formats of up to "
            f"{_MOST_BITS} bits and a sign"
        )
    if type_.precision > _MOST_PRECISION:
        raise UnavailableError(
            f"{type_.name} has a significand of {type_.precision} bits: tensors are rounded from "
            f"and to formats of up to {_MOST_PRECISION}"
        )


# -- the short way: codes that share a sign, all of them plain numbers -----------------------------


def _span(codes: Tensor, spec: FormatSpec) -> Span | None:
    """The span of the codes; None if their signs differ or the container's sign is not theirs.

    `spec` is a format with a sign.
    """
    if spec.bits != 8 * codes.itemsize or spec.bits == 8:
        return None
    low, high = (int(end) for end in codes.aminmax())
    if low < 0 <= high:
        return None
    return Span(low & spec.magnitude_mask, high & spec.magnitude_mask, low < 0)


def plain(span: Span, origin: FormatSpec, target: FormatSpec) -> bool:
    """Whether all of a span are finite, and none a zero that one of the formats has none of.

    Then rounding is monotonic there: what lies between codes that become the same becomes it too.
    """
    zeros = target.zero and origin.nan is not NanEncoding.NEGATIVE_ZERO
    return span.high <= origin.max_finite_magnitude and (zeros or span.low > 0)


def _round_span(
    codes: Tensor,
    span: Span,
    origin: FormatSpec,
    target: FormatSpec,
    rounding: Rounding,
    overflow: Overflow,
) -> Tensor | None:
    """As `round_codes`; None if some of these codes need more care."""
    if not plain(span, origin, target) or origin.bits != 8 * codes.itemsize:
        return None
    # Magnitudes of normal numbers are integers that count the origin's values; seen from the
    # target's exponent range, the low bits of the difference are what rounding drops.
    dropped = origin.fraction_bits - target.fraction_bits
    rebias = (origin.bias - target.bias) << origin.fraction_bits
    least_origin = int(origin.zero) << origin.fraction_bits
    least_target = int(target.zero) << origin.fraction_bits
    negative = span.negative
    counts = (
        dropped >= 1
        and rebias >= 0
        and span.low >= max(least_origin, least_target + rebias)
        and target.bits <= origin.bits
        and (target.signed or not negative)
    )
    # Rounding is monotonic: where both ends become the same, so does what lies between. Whole
    # binades first, in which spans to come are likely to lie too.
    dtype = container(target)
    first, last = _round_ends(_binades(span, origin), origin, target, rounding, overflow)
    if first != last and not (counts and (span.high - span.low) >> dropped):
        first, last = _round_ends(span, origin, target, rounding, overflow)
    if first == last:
        return torch.full_like(codes, wrapped(first, dtype), dtype=dtype)
    if not counts:
        return None
    magnitude = (codes & origin.magnitude_mask).sub_(rebias) if negative else codes - rebias
    direction = direction_of(rounding, negative)
    magnitude = _drop(magnitude, dropped, direction)
    top = target.max_finite_magnitude
    beyond = special_codes(target, overflow, direction).beyond
    assert beyond is not None
    sign = target.sign_mask if negative else 0
    if last & target.magnitude_mask > top or last == beyond | sign or beyond <= top:
        if beyond in (top, top + 1):
            magnitude.clamp_(max=beyond)
        else:
            magnitude.masked_fill_(magnitude > top, wrapped(beyond, magnitude.dtype))
    if sign:
        magnitude.bitwise_or_(wrapped(sign, magnitude.dtype))
    return magnitude.to(dtype)


def _binades(span: Span, origin: FormatSpec) -> Span:
    """A `plain` span with all of the binades that it lies in, as far as they are plain."""
    rest = (1 << origin.fraction_bits) - 1
    low, high, negative = span
    return Span(low & ~rest or low, min(high | rest, origin.max_finite_magnitude), negative)


@lru_cache(maxsize=256)
def _round_ends(
    span: Span, origin: FormatSpec, target: FormatSpec, rounding: Rounding, overflow: Overflow
) -> tuple[int, int]:
    """What the first and the last code of a span become, as codes without a sign's extension."""
    sign, dtype = origin.sign_mask if span.negative else 0, container(origin)
    ends = torch.tensor([wrapped(sign | end, dtype) for end in span[:2]], dtype=dtype)
    rounded = _round_numbers(unpack(ends, origin), target, rounding, overflow)
    first, last = (code & ((1 << target.bits) - 1) for code in rounded.tolist())
    return first, last


def _drop(magnitude: Tensor, count: int, direction: Direction) -> Tensor:
    """Magnitudes without their lowest bits, rounded; in place where that can be."""
    half, rest = 1 << (count - 1), (1 << count) - 1
    if direction is Direction.ODD:
        inexact = (magnitude & rest) != 0
        return magnitude.bitwise_right_shift_(count).bitwise_or_(inexact)
    if direction is Direction.EVEN:
        odd = (magnitude >> count).bitwise_and_(1)
        magnitude.add_(odd).add_(half - 1)
    elif direction is not Direction.DOWN:
        magnitude.add_(half if direction is Direction.AWAY_ON_TIE else rest)
    return magnitude.bitwise_right_shift_(count)


# -- the long way: any codes -----------------------------------------------------------------------


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


def _round_numbers(
    x: Numbers, target: FormatSpec, rounding: Rounding, overflow: Overflow
) -> Tensor:
    """The target's codes of unpacked numbers, int64 (n,)."""
    found = floored(x, target)
    magnitude = found.magnitude
    positive, negative = (direction_of(rounding, sign) for sign in (False, True))
    up = _up(positive, magnitude, found.rest, found.half)
    if negative is not positive:
        up = torch.where(x.negative, _up(negative, magnitude, found.rest, found.half), up)
    magnitude += up
    return coded(x, magnitude, found.above, target, overflow, positive, negative)


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


def _up(direction: Direction, magnitude: Tensor, rest: Tensor, half: Tensor) -> Tensor:
    """Whether a magnitude with a rest goes to the next one, as bools (n,).

    Args:
        direction: of the rounding.
        magnitude: what was kept.
        rest: what was dropped, 0 if nothing was.
        half: the rest of a tie.
    """
    if direction is Direction.EVEN:
        return (rest > half) | ((rest == half) & (magnitude & 1 != 0))
    if direction is Direction.AWAY_ON_TIE:
        return rest >= half
    if direction is Direction.ODD:
        return (rest != 0) & (magnitude & 1 == 0)
    return rest != 0 if direction is Direction.UP else torch.zeros_like(rest, dtype=torch.bool)


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
