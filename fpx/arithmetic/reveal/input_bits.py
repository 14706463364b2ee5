"""How many bits of its inputs a reduction reads: TF32 and other short cuts read fewer than it gets.

A factor is 1 + 2^-k, and another leaf takes the 1 away: what is left of it was read.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from fpx.arithmetic.reveal.probing import Asker, Question
from fpx.arithmetic.reveal.scales import Scale
from fpx.core.policy import Rounding
from fpx.report.reveal_row import InputBits
from fpx.report.sum_tree import SumTree


def read_bits(asker: Asker, scale: Scale, tree: SumTree, second: bool = False) -> InputBits:
    """What is read of first factors, or of second ones."""
    most = asker.reduction.leaf.fraction_bits
    bits = 0
    parts = [2.0**-k for k in range(1, most + 1)]
    for part, left in zip(parts, _left(asker, scale, tree, second, parts), strict=True):
        if left != part:
            break
        bits += 1
    if bits + 2 > most:
        return InputBits(bits)
    step = 2.0**-bits
    small, tie, large, odd = _left(
        asker, scale, tree, second, [step / 4, step / 2, 3 * step / 4, 3 * step / 2]
    )
    ups = (small / step, tie / step, large / step, odd / step)
    modes: Mapping[tuple[float, ...], Rounding] = {
        (0, 0, 1, 2): Rounding.TIES_TO_EVEN,
        (0, 1, 1, 2): Rounding.TIES_TO_AWAY,
        (0, 0, 0, 1): Rounding.TOWARD_ZERO,
    }
    return InputBits(bits, modes.get(ups))


def _left(
    asker: Asker, scale: Scale, tree: SumTree, second: bool, parts: list[float]
) -> list[float]:
    """What is left of 1 + x without the 1, for each x; the unit of it is 1."""
    exponent = max(0, min(scale.top - 2, scale.unit + asker.reduction.leaf.fraction_bits))
    leaf, powers = 0, scale.powers
    away = powers.put(tree.beside(leaf), exponent, -1.0)
    questions = [
        Question((powers.put(leaf, exponent, *((1.0, 1 + x) if second else (1 + x,))), away))
        for x in parts
    ]
    return [_snapped(scale, answer, exponent) for answer in asker.numbers(questions)]


def _snapped(scale: Scale, answer: float, exponent: int) -> float:
    """An answer in units of 2^exponent alone; the power of two that it is."""
    part = answer / scale.gain / 2.0**exponent
    if not (math.isfinite(part) and part > 0):
        return 0.0
    power = round(math.log2(part))
    return 2.0**power if scale.is_power(answer, exponent + power) else part
