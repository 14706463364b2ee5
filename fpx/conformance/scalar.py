"""Correct rounding one number at a time, by `fpx.core.codec`: what tensor rounding is held to."""

from __future__ import annotations

import torch
from torch import Tensor

from fpx.core import codec
from fpx.core.numbers import Infinity, Literal, Nan, RationalNumber
from fpx.core.policy import Overflow, Rounding
from fpx.core.spec import FormatSpec
from fpx.tensors.dtypes import IntegerType, Origin, container, wrapped


def round_one_by_one(
    codes: Tensor,
    origin: Origin,
    target: FormatSpec,
    rounding: Rounding = Rounding.TIES_TO_EVEN,
    overflow: Overflow = Overflow.IEEE,
) -> Tensor:
    """As `round_codes`, by another way, which takes microseconds for each code."""
    dtype = container(target)
    mask = (1 << origin.bits) - 1

    def rounded(code: int) -> int:
        number = _number(code, origin, target)
        if isinstance(number, Nan) and target.nan_code is None:
            return 0
        return wrapped(codec.encode(number, target, rounding, overflow).code, dtype)

    found = [rounded(code & mask) for code in codes.tolist()]
    return torch.tensor(found, dtype=dtype, device=codes.device)


def _number(code: int, origin: Origin, target: FormatSpec) -> Literal:
    if isinstance(origin, IntegerType):
        negative = origin.signed and bool(code >> (origin.bits - 1))
        magnitude = (1 << origin.bits) - code if negative else code
        return RationalNumber(negative, magnitude, 1, 0, "")
    negative = bool(code & origin.sign_mask)
    if codec.is_nan(code, origin):
        return Nan(negative, False, _payload(code, origin, target), "")
    value = codec.decode(code, origin)
    if value is None:
        return Infinity(negative, "")
    return RationalNumber(negative, abs(value.significand), 1, value.exponent, "")


def _payload(code: int, origin: FormatSpec, target: FormatSpec) -> int | None:
    """The leading bits of a NaN's payload, as many as the target has; None if either has none."""
    if not (origin.has_nan_payload and target.has_nan_payload):
        return None
    payload = code & (origin.quiet_bit - 1)
    shift = target.fraction_bits - origin.fraction_bits
    return payload << shift if shift >= 0 else payload >> -shift
