"""Where an accumulator rounds what lies between two of its values.

A step gets 1, or 1 and its last bit (an ulp), and a quarter, half or three quarters of an ulp more.
Whether it goes up, with either sign, tells the modes apart.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from fpx.arithmetic.reveal.probing import Asker, NotResolvableError, Question
from fpx.arithmetic.reveal.scales import Scale
from fpx.core.policy import Rounding
from fpx.report.sum_tree import SumTree

_MOST = 24  # bits of results whose difference from 1 is read in float64

# (ulps beside the 1, quarters of an ulp to round)
_CASES = ((0, 2), (1, 2), (0, 3), (0, 1))

_MAGNITUDES: Mapping[Rounding, tuple[str, str]] = {
    Rounding.TIES_TO_EVEN: ("0110", "0110"),
    Rounding.TIES_TO_AWAY: ("1110", "1110"),
    Rounding.TOWARD_ZERO: ("0000", "0000"),
    Rounding.TOWARD_POSITIVE: ("1111", "0000"),
    Rounding.TOWARD_NEGATIVE: ("0000", "1111"),
    Rounding.TO_ODD: ("1011", "1011"),
}
"""Whether the magnitude goes up in each of the cases, of positive and of negative numbers."""


def find_rounding(
    asker: Asker, scale: Scale, tree: SumTree, kept: Sequence[int | None]
) -> Rounding | None:
    """The rounding mode of a sum's additions; None where it cannot be told.

    Args:
        asker, scale, tree: what is asked, and what is known of it.
        kept: bits kept after each step.
    """
    for at, step in enumerate(tree.steps[:-1]):
        bits = kept[at]
        if bits is None or bits + 2 > scale.top - scale.unit:
            continue
        for operand in step:
            if operand < tree.leaf_count:
                continue
            one, ulp = (tree.smallest[item] for item in tree.operands(operand)[:2])
            leaves = (
                one,
                ulp,
                min(tree.smallest[item] for item in step if item != operand),
                tree.beside(tree.leaf_count + at),
            )
            inner = kept[operand - tree.leaf_count]
            if inner is not None and inner < bits:
                continue
            return _mode(asker, scale, leaves, bits)
    return None


def result_rounding(
    asker: Asker, scale: Scale, kept: Sequence[int | None], exact: bool
) -> Rounding | None:
    """How a sum becomes the result, where the accumulator keeps more; None where it cannot be told.

    Args:
        asker, scale: what is asked, and what is known of it.
        kept: bits kept after each step.
        exact: whether all are.
    """
    bits, count = asker.reduction.out.fraction_bits, asker.reduction.count
    least = min((item for item in kept if item is not None), default=0)
    enough = exact or least >= bits + 2
    if not enough or count < 3 or bits > _MOST or scale.top - scale.unit < bits + 2:
        return None
    if math.frexp(scale.gain)[0] != 0.5:
        return None
    return _mode(asker, scale, (0, 1, 2, None), bits)


def _mode(
    asker: Asker, scale: Scale, leaves: tuple[int, int, int, int | None], bits: int
) -> Rounding | None:
    """The mode that rounds to that many bits.

    Args:
        asker, scale: what is asked, and what is known of it.
        leaves: for the 1, the ulp, the part of one, and what takes the 1 away again; None where the
            result is to be read with it.
        bits: below the leading one.
    """
    powers, top = scale.powers, scale.top
    one, ulp, small, away = leaves
    questions = []
    try:
        for sign in (1.0, -1.0):
            for ulps, quarters in _CASES:
                puts = [powers.put(one, top, sign)]
                if away is not None:
                    puts.append(powers.put(away, top, -sign))
                if ulps:
                    puts.append(powers.put(ulp, top - bits, sign))
                halves, significand = (1, 1.5) if quarters == 3 else (3 - quarters, 1.0)
                puts.append(powers.put(small, top - bits - halves, sign * significand))
                questions.append(Question(tuple(puts)))
    except NotResolvableError:
        return None
    ups = ""
    whole = 0.0 if away is not None else math.ldexp(scale.gain, top)
    for answer, (ulps, _) in zip(asker.numbers(questions), _CASES * 2, strict=True):
        found = _ulps(scale, abs(answer) - whole, top - bits)
        if found - ulps not in (0, 1):
            return None
        ups += str(found - ulps)
    for mode, (positive, negative) in _MAGNITUDES.items():
        if ups == positive + negative:
            return mode
    return None


def _ulps(scale: Scale, left: float, exponent: int) -> int:
    """How many ulps something is, of 0 to 2; -1 of anything else."""
    if left == 0:
        return 0
    return next((n + 1 for n in (0, 1) if scale.is_power(left, exponent + n)), -1)
