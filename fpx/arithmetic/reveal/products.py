"""What becomes of products before they are added: exact, rounded, or fused into the addition.

With q = p - 1 for a precision p, (1 + 2^-q)^2 = 1 + 2^(1-q) + 2^-2q has 2q bits below its leading
one. A leaf that was added before takes away 1 + 2^(1-q): what is left is 2^-2q, unless the product
was rounded first. Where the accumulator holds all of the product that says nothing of fused
multiply-add: it is exact either way.
"""

from __future__ import annotations

from collections.abc import Sequence

from fpx.arithmetic.reveal.probing import Asker, Question
from fpx.arithmetic.reveal.scales import Scale
from fpx.report.sum_tree import SumTree


def whole_products(asker: Asker, scale: Scale, tree: SumTree, bits: int) -> list[bool]:
    """Of each leaf, whether all bits of its product reach the sum.

    Args:
        asker, scale, tree: what is asked, and what is known of it.
        bits: of each factor that are read, below the leading one.
    """
    if bits < 1:
        return [True] * tree.leaf_count  # products of powers of two
    exponent = _exponent(scale, bits)
    questions = []
    for leaf in range(tree.leaf_count):
        longest = 1 + 2.0**-bits
        other = tree.beside(leaf)
        away = scale.powers.put(other, exponent, -(1 + 2.0 ** (1 - bits)))
        questions.append(Question((scale.powers.put(leaf, exponent, longest, longest), away)))
    return [scale.is_power(answer, exponent - 2 * bits) for answer in asker.numbers(questions)]


def _exponent(scale: Scale, bits: int) -> int:
    """That of the product's leading bit, so that what is left comes through."""
    return max(0, min(scale.top - 2, scale.unit + 2 * bits))


def are_exact(precision: int, kept: Sequence[int | None]) -> bool:
    """Whether an accumulator that keeps so many bits holds products of such factors in full."""
    known = [bits for bits in kept if bits is not None]
    return bool(known) and max(known) + 1 >= 2 * precision
