"""Where an accumulator rounds what lies between two of its values.

A step gets 1, or 1 and its last bit (an ulp), and a quarter, half or three quarters of an ulp more.
Whether it goes up, with either sign, tells the modes apart.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fpx.arithmetic.reveal.probing import Asker, NotResolvableError, Question
from fpx.arithmetic.reveal.scales import Scale
from fpx.core.policy import Rounding
from fpx.report.sum_tree import SumTree

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
            leaves = (
                *(tree.smallest[item] for item in tree.operands(operand)[:2]),
                min(tree.smallest[item] for item in step if item != operand),
                tree.beside(tree.leaf_count + at),
            )
            inner = kept[operand - tree.leaf_count]
            if inner is not None and inner < bits:
                continue
            return _mode(asker, scale, leaves, bits)
    return None


def _mode(asker: Asker, scale: Scale, leaves: tuple[int, ...], bits: int) -> Rounding | None:
    powers, top = scale.powers, scale.top
    one, ulp, small, away = leaves
    questions = []
    try:
        for sign in (1.0, -1.0):
            for ulps, quarters in _CASES:
                puts = [powers.put(one, top, sign), powers.put(away, top, -sign)]
                if ulps:
                    puts.append(powers.put(ulp, top - bits, sign))
                exponent, significand = (top - bits - 1, 1.5) if quarters == 3 else (
                    top - bits + quarters - 3, 1.0
                )  # fmt: skip
                puts.append(powers.put(small, exponent, sign * significand))
                questions.append(Question(tuple(puts)))
    except NotResolvableError:
        return None
    ups = ""
    for answer, (ulps, _) in zip(asker.numbers(questions), _CASES * 2, strict=True):
        gone = abs(answer) == 0 and not ulps
        found = 0 if gone else _ulps(scale, abs(answer), top - bits)
        if found - ulps not in (0, 1):
            return None
        ups += str(found - ulps)
    for mode, (positive, negative) in _MAGNITUDES.items():
        if ups == positive + negative:
            return mode
    return None


def _ulps(scale: Scale, answer: float, exponent: int) -> int:
    """How many ulps an answer is, of 0 to 2; -1 of anything else."""
    if answer == 0:
        return 0
    return next((n + 1 for n in (0, 1) if scale.is_power(answer, exponent + n)), -1)
