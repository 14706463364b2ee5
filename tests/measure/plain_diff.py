"""A second comparison of tensors: element by element, by `fpx.core.codec` and Python's integers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import torch

from fpx.core import codec
from fpx.core.spec import FormatSpec
from fpx.tensors.dtypes import IntegerType, Origin, codes_of, origin_of
from tests.helpers import encode

Number = int | float | Fraction


def code_list(x: torch.Tensor) -> list[int]:
    """The codes of a tensor, without a sign."""
    bits = 8 * x.dtype.itemsize
    return [code & ((1 << bits) - 1) for code in codes_of(x).tolist()]


def number(code: int, type_: Origin) -> Number:
    """What a code stands for: exact, or a float that is not finite."""
    if isinstance(type_, IntegerType):
        if type_.bits == 1:
            return int(code != 0)
        negative = type_.signed and code >> (type_.bits - 1)
        return code - (1 << type_.bits) if negative else code
    if codec.is_nan(code, type_):
        return math.nan
    value = codec.decode(code, type_)
    if value is None:
        return -math.inf if code & type_.sign_mask else math.inf
    return value.fraction


def wanted_code(code: int, a: Origin, b: Origin) -> int | None:
    """A's number as a code of B; None where B has none."""
    if a == b:
        return code
    value = number(code, a)
    if isinstance(b, FormatSpec):
        if value == 0 and isinstance(a, FormatSpec) and code & a.sign_mask:
            return encode("-0", b)
        return encode(value if math.isfinite(value) else str(value), b)
    if not math.isfinite(value):
        return None
    whole = round(Fraction(value))  # Python's, ties to even
    least = -(1 << (b.bits - 1)) if b.signed else 0
    most = (1 << (b.bits - b.signed)) - 1
    return whole & ((1 << max(b.bits, 8)) - 1) if least <= whole <= most else None


def place(code: int, type_: Origin) -> int:
    if isinstance(type_, IntegerType):
        return int(number(code, type_))
    return codec.ordinal(code, type_)


def compare_plainly(x: torch.Tensor, y: torch.Tensor, tolerance: int) -> Mapping[str, Any]:
    """The counts and distances of `fpx.report.diff_row.Comparison`, and where the two spots are."""
    a_type, b_type = origin_of(x.dtype), origin_of(y.dtype)
    same = a_type == b_type
    names = (
        "differing_count beyond_count nan_appeared_count nan_vanished_count inf_appeared_count "
        "inf_vanished_count out_of_range_count nan_bits_count zero_sign_count"
    )
    counts = dict.fromkeys(names.split(), 0)
    distances: dict[int, int] = {}
    lost_at: int | None = None
    for at, (a, b) in enumerate(zip(code_list(x), code_list(y), strict=True)):
        before, after = number(a, a_type), number(b, b_type)
        wanted = wanted_code(a, a_type, b_type)
        found = []
        if math.isnan(after) and not math.isnan(before):
            found.append("nan_appeared_count")
        if math.isnan(before) and not math.isnan(after):
            found.append("nan_vanished_count")
        if math.isinf(after) and before != after:
            found.append("inf_appeared_count")
        if math.isinf(before) and before != after:
            found.append("inf_vanished_count")
        holds = wanted is not None and math.isfinite(number(wanted, b_type))
        if math.isfinite(before) and not holds:
            found.append("out_of_range_count")
        lost = bool(found)
        if lost and lost_at is None:
            lost_at = at
        both_nan = math.isnan(before) and math.isnan(after)
        if same and both_nan and a != b:
            found.append("nan_bits_count")
        differs = lost or (wanted != b and (same or not both_nan))
        distance = 0
        if math.isfinite(before) and math.isfinite(after) and holds:
            assert wanted is not None
            distance = distances[at] = abs(place(wanted, b_type) - place(b, b_type))
            if differs and not distance:
                found.append("zero_sign_count")
        if differs:
            found.append("differing_count")
        if lost or distance > tolerance:
            found.append("beyond_count")
        for name in found:
            counts[name] += 1
    largest = max(distances.values(), default=None)
    return {
        **counts,
        "nan_bits_count": counts["nan_bits_count"] if same else None,
        "max_distance": largest,
        "mean_distance": sum(distances.values()) / len(distances) if distances else None,
        "max_at": next((at for at, d in distances.items() if d == largest), None)
        if largest
        else None,
        "lost_at": lost_at,
    }
