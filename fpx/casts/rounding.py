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

from fpx.casts.unpacked import Numbers, coded, floored, unpack
from fpx.core.policy import (
    Direction,
    Overflow,
    Rounding,
    check_overflow,
    direction_of,
    special_codes,
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
