"""Casts that are right but for one fault, and what cast-verify says of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from fpx.casts.backends import Backend
from fpx.casts.device import find_device
from fpx.casts.rounding import round_codes
from fpx.casts.unpacked import nans
from fpx.conformance.cast_verify import cast_verify, find_origin
from fpx.conformance.codes import every_code
from fpx.conformance.tally import Tally
from fpx.core.policy import Overflow, Rounding
from fpx.core.spec import FormatSpec
from fpx.report.cast_verify import VerifyRow
from fpx.tensors.dtypes import IntegerType
from tests.helpers import F32

Fault = Callable[[Tensor, Any, FormatSpec], Tensor]


class Planted(Backend):
    """A backend whose casts are right but for one fault."""

    name, version = "planted", "0"

    def __init__(self, fault: Fault = round_codes) -> None:
        self.fault = fault

    def cast(
        self,
        codes: Tensor,
        source: FormatSpec | IntegerType,
        target: FormatSpec,
        layout: str = "contiguous",
        compiled: bool = False,
    ) -> Tensor:
        return self.fault(codes, source, target)


def verify(source: Any, target: FormatSpec, fault: Fault = round_codes, **more: Any) -> VerifyRow:
    more.setdefault("everything", False)
    backend = Planted(fault)
    return cast_verify([source], [target], backends=[backend], size=4096, **more).rows[0]


def saturating(codes: Tensor, source: Any, target: FormatSpec) -> Tensor:
    right = round_codes(codes, source, target)
    clamped = round_codes(codes, source, target, Rounding.TIES_TO_EVEN, Overflow.SATURATE)
    return torch.where(nans(codes, source), right, clamped)


def truncating(codes: Tensor, source: Any, target: FormatSpec) -> Tensor:
    return round_codes(codes, source, target, Rounding.TOWARD_ZERO)


def ties_away(codes: Tensor, source: Any, target: FormatSpec) -> Tensor:
    return round_codes(codes, source, target, Rounding.TIES_TO_AWAY)


def through_float32(codes: Tensor, source: Any, target: FormatSpec) -> Tensor:
    return round_codes(round_codes(codes, source, F32), F32, target)


def flushing(codes: Tensor, source: Any, target: FormatSpec) -> Tensor:
    q = round_codes(codes, source, target)
    subnormal = (q & target.magnitude_mask) >> target.fraction_bits == 0
    signs = q & (target.sign_mask - (1 << target.bits) if target.bits > 8 else target.sign_mask)
    return torch.where(subnormal, signs, q)


def unsigned_zeros(codes: Tensor, source: Any, target: FormatSpec) -> Tensor:
    q = round_codes(codes, source, target)
    return q.masked_fill(q & target.magnitude_mask == 0, 0)


def one_nan(codes: Tensor, source: Any, target: FormatSpec) -> Tensor:
    q = round_codes(codes, source, target)
    return q.masked_fill(nans(q, target), target.magnitude_mask)


def nan_to_zero(codes: Tensor, source: Any, target: FormatSpec) -> Tensor:
    q = round_codes(codes, source, target)
    return q.masked_fill(nans(q, target), 0)


def nan_overflow(codes: Tensor, source: Any, target: FormatSpec) -> Tensor:
    return round_codes(codes, source, target, Rounding.TIES_TO_EVEN, Overflow.NAN)


def nan_of_one(codes: Tensor, source: Any, target: FormatSpec) -> Tensor:
    one = round_codes(torch.tensor([1], dtype=torch.int32), find_origin("int32"), target)
    q = round_codes(codes, source, target)
    return q.masked_fill(q == one, int(target.nan_code or 0))


def smallest_for_invalid(codes: Tensor, source: Any, target: FormatSpec) -> Tensor:
    return round_codes(codes, source, target, Rounding.TIES_TO_EVEN, Overflow.SATURATE)


def low_end_like_zero(codes: Tensor, source: Any, target: FormatSpec) -> Tensor:
    """Halfway to the second value rounds up, as if the first were 0: what torch does to E8M0."""
    q = round_codes(codes, source, target)
    with_zero = round_codes(codes, source, replace(target, zero=True))
    return torch.where((q == 0) & (codes > 0), with_zero, q)


def off_by_one(codes: Tensor, source: Any, target: FormatSpec) -> Tensor:
    one = round_codes(torch.tensor([1], dtype=torch.int32), find_origin("int32"), target)
    q = round_codes(codes, source, target)
    return torch.where(q == one, q ^ 7, q)


def explained(source: FormatSpec, target: FormatSpec, expected: Fault, got: Fault) -> set[str]:
    """The causes found where another implementation says what is expected."""
    tally = Tally(source, target, keep=1)
    for number in range((codes := every_code(source, find_device("cpu"))).blocks):
        block, _ = codes.block(number)
        tally.add(block, expected(block, source, target), got(block, source, target))
    assert tally.checked == 1 << source.bits
    return {cause.cause for cause in tally.causes()}
