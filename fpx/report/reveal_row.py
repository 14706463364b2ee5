"""What was revealed of one way to add: order, accumulator, rounding, products, certificate."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from fpx.core.policy import Rounding
from fpx.report.base import once, to_json
from fpx.report.sum_tree import SumTree


class Verdict(Enum):
    """How sure it is."""

    CERTIFIED = "certified"
    """Replayed on random numbers, every result has the same bits, and other orders would not."""
    WEAK = "weak"
    """Every result has the same bits, but so have those of other orders."""
    HYPOTHESIS = "hypothesis"
    """Some results have other bits: that is not, or not all, of what is computed."""
    VARIES = "varies"
    """The same numbers give other bits when they are added again."""
    NOT_RESOLVABLE = "not_resolvable"
    """Probes cannot tell: see the reason."""


@dataclass(frozen=True)
class Subnormals:
    """Whether subnormals are numbers, or taken for zero; None where it cannot be asked.

    Attributes:
        input: a subnormal input.
        product: a product of normal numbers that is subnormal.
        output: a sum of normal numbers that is subnormal.
    """

    input: bool | None = None
    product: bool | None = None
    output: bool | None = None


@dataclass(frozen=True)
class InputBits:
    """What is read of a factor.

    Attributes:
        bits: below the leading one.
        rounding: of what is read of it; None where all is, or it cannot be told.
    """

    bits: int
    rounding: Rounding | None = None


@dataclass(frozen=True)
class Certificate:
    """A replay of what was revealed, on random numbers.

    Attributes:
        rows: sums that were computed both ways.
        equal: those with equal bits.
        telling: those that would have other bits in another order, of the orders that were tried
            that in which the fewest would.
    """

    rows: int
    equal: int
    telling: int


EXACT, ROUNDED, FUSED, MIXED = "exact", "rounded", "fused", "mixed"
"""What becomes of products: the accumulator holds all of them; they are rounded before they are
added; they are rounded with the sum; some are, and some are not."""


@dataclass(frozen=True)
class Computation:
    """How a sum is computed: enough to compute it again, bit for bit.

    Attributes:
        tree: the order of additions; None where the sum is exact.
        leaf_count: how many numbers are added.
        kept: bits below the leading one that are kept after each step; None where that cannot be
            seen, as of the last one.
        inner: of steps of three operands or more: bits below the leading one inside them.
        rounding: of additions; None where it cannot be told.
        result_rounding: of the sum, where the result has fewer bits; None where it cannot be told.
        products: EXACT, ROUNDED, FUSED or MIXED; None where leaves are no products.
        whole: of each leaf, whether its product is added without being rounded first.
        inputs: what is read of the first and second factors.
        subnormals: what becomes of them.
        compensated: whether a second variable carries what is lost, as in Kahan's sum.
        positive_zero: whether a result is never -0.
        gain: what the sum is multiplied by.
    """

    tree: SumTree | None
    leaf_count: int
    kept: tuple[int | None, ...] = ()
    inner: Mapping[int, int] | None = None
    rounding: Rounding | None = None
    result_rounding: Rounding | None = None
    products: str | None = None
    whole: tuple[bool, ...] = ()
    inputs: tuple[InputBits, ...] = ()
    subnormals: Subnormals = Subnormals()
    compensated: bool = False
    positive_zero: bool = False
    gain: float = 1.0

    @property
    def known(self) -> list[int]:
        """Bits kept, where that can be seen."""
        return [bits for bits in self.kept if bits is not None]

    @once
    def fingerprint(self) -> str:
        """Twelve hexadecimal digits that are others of any other computation."""
        return digest(
            {
                "leaves": self.leaf_count,
                "steps": None if self.tree is None else self.tree.steps,
                "kept": self.kept,
                "inner": sorted((self.inner or {}).items()),
                "rounding": self.rounding,
                "result_rounding": self.result_rounding,
                "products": self.products,
                "whole": self.whole,
                "inputs": self.inputs,
                "subnormals": self.subnormals,
                "compensated": self.compensated,
                "positive_zero": self.positive_zero,
                "gain": self.gain,
            }
        )


def digest(value: object) -> str:
    """Twelve hexadecimal digits of plain data."""
    text = json.dumps(to_json(value), separators=(",", ":"), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]
