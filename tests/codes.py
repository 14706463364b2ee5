"""Codes as tensors, where to look for faults, and what the exact core makes of them."""

from __future__ import annotations

import random
from functools import lru_cache

import torch

from fpx.core import codec
from fpx.core.literals import parse_literal
from fpx.core.numbers import Literal
from fpx.core.policy import Overflow, Rounding
from fpx.core.shortest import shortest_decimal
from fpx.core.spec import FormatSpec
from fpx.report.base import exact_text
from fpx.tensors.dtypes import IntegerType, container


def exact(
    code: int,
    source: FormatSpec | IntegerType,
    target: FormatSpec,
    rounding: Rounding = Rounding.TIES_TO_EVEN,
    overflow: Overflow = Overflow.IEEE,
) -> int | None:
    """The code that `fpx.core.codec` finds; None for NaNs."""
    number = literal(code, source)
    return None if number is None else codec.encode(number, target, rounding, overflow).code


@lru_cache(1 << 18)
def literal(code: int, source: FormatSpec | IntegerType) -> Literal | None:
    """The exact number that a code stands for; None for NaNs."""
    if isinstance(source, IntegerType):
        if source.signed and code >> (source.bits - 1):
            code -= 1 << source.bits
        return parse_literal(str(code))
    if codec.is_nan(code, source):
        return None
    sign = int(bool(code & source.sign_mask))
    text = exact_text(codec.decode(code, source), sign) or shortest_decimal(code, source)
    return parse_literal(text)


def tensor(codes: list[int], type_: FormatSpec | IntegerType) -> torch.Tensor:
    dtype = container(type_)
    bits = 8 * dtype.itemsize
    wrapped = [c - (1 << bits) if dtype != torch.uint8 and c >> (bits - 1) else c for c in codes]
    return torch.tensor(wrapped, dtype=dtype)


def corners(source: FormatSpec | IntegerType, target: FormatSpec, count: int = 300) -> list[int]:
    """Codes at every power of two and around the target's ties, and random ones."""
    rng = random.Random(f"{source.name} {target.name}")
    codes = {rng.getrandbits(source.bits) for _ in range(count)}
    mask = (1 << source.bits) - 1
    if isinstance(source, IntegerType):
        for shift in range(source.bits):
            keep = min(shift, target.precision + 1)
            top = (1 << shift) | (rng.getrandbits(keep) << (shift - keep))
            codes |= {(s * (top + d)) & mask for d in (-1, 0, 1) for s in (1, -1)}
        return sorted(codes)
    all_exponents = range(1 << source.exponent_bits)
    low, high = target.quantum_exponent - 3 + source.bias, target.emax + 3 + source.bias
    near = all_exponents[max(low, 0) : high]
    exponents = {*all_exponents[:3], *all_exponents[-3:], *near[:12], *near[-6:]}
    for exponent in sorted(exponents | set(rng.sample(near, len(near) // 16))):
        for _ in range(3):
            low = source.fraction_bits - min(
                source.fraction_bits, rng.randrange(target.fraction_bits + 3)
            )
            fraction = rng.getrandbits(source.fraction_bits) >> low << low
            code = (exponent << source.fraction_bits) | fraction
            for around in (code - 1, code, code + 1):
                codes |= {around & mask, (around | source.sign_mask) & mask}
    return sorted(codes)
