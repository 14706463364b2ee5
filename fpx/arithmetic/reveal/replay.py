"""A revealed computation, computed again."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np

from fpx.arithmetic.reveal.arithmetic import MOST, Numbers, add_to_odd, on_grid, rounded
from fpx.core.policy import Rounding
from fpx.core.spec import FormatSpec
from fpx.report.reveal_row import FUSED, MIXED, ROUNDED, Computation, InputBits

_LOWEST = {8: -133, 11: -24, 24: -149}
"""log2 of the smallest spacing of accumulators of that many bits: bfloat16, float16, float32."""

DOUBLE = 53


class NoReplayError(Exception):
    """Why a computation cannot be computed again."""


def replay(
    found: Computation, a: Numbers, b: Numbers, leaf: FormatSpec, out: FormatSpec
) -> Numbers:
    """The sums of rows as `found` says they are computed.

    Args:
        found: the computation.
        a, b: first and second factors, of shape (rows, leaves).
        leaf, out: formats of the leaves and of the result.

    Raises:
        NoReplayError: the computation is not known well enough.
    """
    if found.tree is None:
        return _exactly(a, b, found, out)
    return _Replay(found, leaf).run(a, b, out)


def _exactly(a: Numbers, b: Numbers, found: Computation, out: FormatSpec) -> Numbers:
    """Each row's exact sum, rounded once."""
    sums = []
    for row, other in zip(a.tolist(), b.tolist(), strict=True):
        total = sum(
            (Fraction(x) * Fraction(y) for x, y in zip(row, other, strict=True)), Fraction(0)
        )
        sums.append(_to_odd(total * Fraction(found.gain)))
    return _result(np.array(sums), found, out)


def _to_odd(value: Fraction) -> float:
    """A fraction as float64, rounded to odd."""
    near = float(value)
    error = value - Fraction(near)
    if error and not np.float64(near).view(np.int64) & 1:
        return math.nextafter(near, math.inf if error > 0 else -math.inf)
    return near


def _result(x: Numbers, found: Computation, out: FormatSpec) -> Numbers:
    if out.precision > MOST:
        return x
    mode = found.result_rounding or Rounding.TIES_TO_EVEN
    result = rounded(x, out.precision, mode, out.quantum_exponent)
    return result + 0.0 if found.positive_zero else result


class _Replay:
    def __init__(self, found: Computation, leaf: FormatSpec) -> None:
        if found.tree is None or found.rounding is None:
            raise NoReplayError("its rounding is not known")
        self._found, self._tree, self._rounding = found, found.tree, found.rounding
        self._leaf = leaf
        known = found.known or [max((found.inner or {}).values(), default=leaf.fraction_bits)]
        bits = [max(known) if item is None else item for item in found.kept]
        self._precisions = [item + 1 for item in bits]
        if found.compensated:
            self._precisions = [item - 1 for item in self._precisions]
        if max(self._precisions) > MOST and max(self._precisions) != DOUBLE:
            raise NoReplayError("its accumulator is wider than float64")

    def run(self, a: Numbers, b: Numbers, out: FormatSpec) -> Numbers:
        """The sum of each row, in `out`."""
        leaves, exact = self._leaves(a, b)
        carries = self._found.compensated
        total = self._compensated(leaves) if carries else self._sum(leaves, exact)
        return _result(self._scaled(total), self._found, out)

    def _leaves(self, a: Numbers, b: Numbers) -> tuple[list[Numbers], list[Numbers]]:
        """Each leaf's numbers: rounded products, and exact ones for steps that fuse."""
        found = self._found
        whole = (InputBits(self._leaf.fraction_bits),) * 2
        read = (*found.inputs, *whole)[:2]
        product = _read(a, read[0], self._leaf) * _read(b, read[1], self._leaf)
        if found.products is not None and 2 * self._leaf.precision > DOUBLE:
            raise NoReplayError("products of its factors do not fit float64")
        plain = product
        if found.products in (ROUNDED, FUSED, MIXED):
            # float32's own product, or one of the leaves' format where the accumulator is wider
            precision, own = max(self._precisions), min(item.bits for item in read) + 1
            if precision >= 2 * own:
                precision = own
            plain = self._round(product, precision)
        return list(plain.T), list(product.T)

    def _sum(self, leaves: list[Numbers], exact: list[Numbers]) -> Numbers:
        n, nodes = self._tree.leaf_count, list(leaves)
        for at, step in enumerate(self._tree.steps):
            precision = self._precisions[at]
            operands = [
                exact[item] if item < n and self._fuses(item) else nodes[item] for item in step
            ]
            if len(step) > 2:
                operands = [exact[item] if item < n else nodes[item] for item in step]
                nodes.append(self._at_once(operands, at))
            elif precision == DOUBLE:
                nodes.append(operands[0] + operands[1])
            else:
                nodes.append(self._round(add_to_odd(*operands), precision))
            for item in step:
                if item >= n:
                    nodes[item] = leaves[0]  # no longer needed
        return nodes[-1]

    def _fuses(self, item: int) -> bool:
        return bool(self._found.whole) and self._found.whole[item]

    def _at_once(self, operands: list[Numbers], at: int) -> Numbers:
        """Operands aligned with the largest, cut off, added exactly, and rounded."""
        inner = (self._found.inner or {}).get(at)
        if inner is None:
            raise NoReplayError("what its wide adders keep is not known")
        table = np.stack(operands)
        top = np.frexp(np.abs(table).max(axis=0))[1] - 1
        cut = on_grid(table, np.broadcast_to(top - inner, table.shape), Rounding.TOWARD_ZERO)
        total = cut[0]
        for row in cut[1:]:
            total = total + row  # multiples of one power of two: exact
        return self._round(total, self._precisions[at])

    def _compensated(self, leaves: list[Numbers]) -> Numbers:
        """Kahan, "Pracniques: further remarks on reducing truncation errors", CACM 8(1), 1965."""
        precision = max(self._precisions)

        def add(x: Numbers, y: Numbers) -> Numbers:
            return self._round(add_to_odd(x, y), precision)

        total, lost = leaves[0], np.zeros_like(leaves[0])
        for leaf in leaves[1:]:
            y = add(leaf, -lost)
            new = add(total, y)
            lost = add(add(new, -total), -y)
            total = new
        return total

    def _scaled(self, total: Numbers) -> Numbers:
        gain = self._found.gain
        if gain == 1:
            return total
        if math.frexp(gain)[0] == 0.5:
            return total * gain
        count = round(1 / gain)
        precision = max(self._precisions)
        return self._round(_over(total, count), precision) if precision <= MOST else total / count

    def _round(self, x: Numbers, precision: int) -> Numbers:
        if precision > MOST:
            return x
        return rounded(x, precision, self._rounding, _LOWEST.get(precision))


def _over(x: Numbers, count: int) -> Numbers:
    """x / count, rounded to odd in float64."""
    return np.array([_to_odd(Fraction(item) / count) for item in x.tolist()])


def _read(x: Numbers, read: InputBits, leaf: FormatSpec) -> Numbers:
    if read.bits >= leaf.fraction_bits:
        return x
    if read.rounding is None:
        raise NoReplayError("what is read of its inputs is not known")
    return rounded(x, read.bits + 1, read.rounding)
