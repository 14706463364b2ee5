"""Codes as tensors, where to look for faults, and what the exact core makes of them."""

from __future__ import annotations

import random
from fractions import Fraction
from functools import lru_cache
from typing import Any

import numpy as np
import torch

from fpx.casts.rounding import round_codes
from fpx.casts.unpacked import nans
from fpx.core import codec
from fpx.core.literals import parse_literal
from fpx.core.numbers import Literal
from fpx.core.policy import Overflow, Rounding
from fpx.core.shortest import value_text
from fpx.core.spec import FormatSpec
from fpx.tensors.dtypes import IntegerType, container
from tests import oracle


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
    return parse_literal(value_text(code, source))


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


@lru_cache(64)
def _ladder(target: FormatSpec) -> tuple[np.ndarray[Any, Any], int]:
    """The midpoints between a format's magnitudes, exact in float64; how many are finite."""
    magnitudes, finite = oracle.values(target)
    values = np.array([float(x) for x in magnitudes[: finite + 1]])
    return (values[:-1] + values[1:]) / 2, finite


def rounded_by_search(
    codes: torch.Tensor, source: FormatSpec | IntegerType, target: FormatSpec
) -> torch.Tensor:
    """What `round_codes` should give, found another way: a search among the format's midpoints.

    Targets of 32 and 64 bits are numpy's own casts. The bits of NaNs are `round_codes`'s: they are
    tested where it is.
    """
    values = _values(codes, source)
    found: np.ndarray[Any, Any]
    if target.name in ("float32", "float64"):
        kind, held = (np.float32, np.int32) if target.bits == 32 else (np.float64, np.int64)
        with np.errstate(over="ignore", invalid="ignore"):
            found = values.astype(kind).view(held).astype(np.int64)
    else:
        midpoints, finite = _ladder(target)
        magnitude, negative = _to_odd(values), _is_negative(values)
        at = np.searchsorted(midpoints, magnitude)
        tie = (at < len(midpoints)) & (midpoints[np.minimum(at, finite - 1)] == magnitude)
        found = at + (tie & (at % 2 == 1))
        for sign, chosen in ((1, ~negative), (-1, negative)):
            beyond = oracle.encode(sign * Fraction(2) ** 2000, target, "ties_to_even", "ieee")
            found = np.where(chosen & (found >= finite), beyond or 0, found)
            text = "-" if sign < 0 else ""
            for special, where in (("inf", np.isinf(magnitude)), ("0", magnitude == 0)):
                code = codec.encode(parse_literal(text + special), target).code
                found = np.where(chosen & where, code, found)
        plain = negative & np.isfinite(magnitude) & (magnitude != 0)
        if target.signed:
            keeps = plain & (target.has_negative_zero | (found > 0)) & (found < finite)
            found = np.where(keeps, found | target.sign_mask, found)
        else:
            invalid = oracle.encode(Fraction(-1), target, "ties_to_even", "ieee") or 0
            found = np.where(plain & ((found > 0) | (not target.zero)), invalid, found)
    dtype = container(target)
    result = torch.from_numpy(found).to(dtype)
    return torch.where(nans(codes, source), round_codes(codes, source, target), result)


def _values(codes: torch.Tensor, source: FormatSpec | IntegerType) -> np.ndarray[Any, Any]:
    """Exact values: float64, or int64 for integers that float64 does not hold."""
    if isinstance(source, IntegerType):
        return codes.numpy() if source.bits == 64 else codes.to(torch.float64).numpy()
    values: np.ndarray[Any, Any] = codes.view(getattr(torch, str(source.torch))).double().numpy()
    return values


def _is_negative(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    found: np.ndarray[Any, Any] = values < 0 if values.dtype == np.int64 else np.signbit(values)
    return found


def _to_odd(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Magnitudes in float64; of longer integers the last bit says whether more was cut off."""
    if values.dtype != np.int64:
        found: np.ndarray[Any, Any] = np.abs(values)
        return found
    magnitude = np.where(values < 0, ~values.view(np.uint64) + np.uint64(1), values.view(np.uint64))
    short = magnitude < 1 << 53
    cut = (magnitude >> np.uint64(11)) | ((magnitude & np.uint64(0x7FF)) != 0).astype(np.uint64)
    found = np.where(short, magnitude.astype(np.float64), cut.astype(np.float64) * 2048)
    return np.asarray(found)
