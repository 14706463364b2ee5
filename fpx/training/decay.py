"""Moving averages that cannot decay: values that a factor beta < 1 leaves as they are.

beta x is x - (1 - beta) x, rounded once to nearest, ties to even: a step of (1 - beta) x towards
zero. Within a class of values (`fpx.training.steps`) the step that is still too short is the same
number of ulps, so that the significand alone decides, and whole numbers are all that is compared.
"""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache

import torch
from torch import Tensor

from fpx.core.spec import FormatSpec
from fpx.training.steps import KINDS, class_count, classes, finite_classes, reach, significands


def stuck(codes: Tensor, spec: FormatSpec, beta: Fraction) -> Tensor:
    """Which values a multiplication by beta leaves as they are; zeros and what is not finite aside.

    Args:
        codes: of shape (n,), in the format's `container`.
        spec: see `fpx.training.steps.check_steps`.
        beta: at least 0 and below 1.

    Returns:
        bool of shape (n,).
    """
    found = significands(codes, spec)
    limits = _limits(spec, beta).to(codes.device)
    return (found != 0) & (found <= limits[classes(codes, spec)])


@lru_cache(maxsize=64)
def _limits(spec: FormatSpec, beta: Fraction) -> Tensor:
    """By class, the largest significand that is stuck, int64; -1 if none is."""
    found = torch.full((class_count(spec),), -1)
    for number in finite_classes(spec):
        found[number] = _limit(number, spec, beta)
    return found


def _limit(number: int, spec: FormatSpec, beta: Fraction) -> int:
    its = reach(number, spec)
    ulp = Fraction(2) ** (max(number // KINDS, 1) - spec.bias - spec.fraction_bits)
    # in ulps: how far a value may be stepped, over what it is stepped for each of its own
    limit, rest = divmod(its.toward / ulp, 1 - beta)
    if not rest and not its.closed:
        limit -= 1
    return min(limit, 2 << spec.fraction_bits)


def stuck_normals(spec: FormatSpec, beta: Fraction) -> tuple[int, int]:
    """Of the positive normal values of a format, how many are stuck, and how many there are."""
    first = 1 << spec.fraction_bits
    top_field, top_fraction = divmod(spec.max_finite_magnitude, first)
    limits = _limits(spec, beta).tolist()
    found = 0
    for field in range(1, top_field + 1):
        end = top_fraction if field == top_field else first  # of fractions, the largest value aside
        at_first, odd, even = limits[field * KINDS : field * KINDS + 3]
        found += end > 0 and at_first >= first
        found += len(range(first + 1, min(first + end - 1, odd) + 1, 2))
        found += len(range(first + 2, min(first + end - 1, even) + 1, 2))
    found += limits[top_field * KINDS + 3] >= first + top_fraction
    return found, spec.max_finite_magnitude - first + 1
