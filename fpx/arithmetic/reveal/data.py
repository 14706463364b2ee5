"""Random numbers that certificates are made on: of mixed exponents, and such that cancel.

They are made of bytes of Python's own generator, whose sequence for a seed does not change, so that
results on other machines and of other versions may be compared.
"""

from __future__ import annotations

import random
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fpx.core.spec import FormatSpec

Numbers = NDArray[np.float64]

_BINADES = (14, 30)  # to either side of 1, in turn: for accumulators of float32, and of float64


class Data(NamedTuple):
    """Rows of leaves.

    Attributes:
        a, b: first and second factors, of shape (rows, leaves); b is 1 where leaves have one.
    """

    a: Numbers
    b: Numbers


def draw(
    leaf: FormatSpec, out: FormatSpec, leaves: int, rows: int, products: bool, seed: int = 0
) -> Data:
    """Rows whose sums a reduction can tell: each number exact in `leaf`, no sum beyond `out`.

    In every other row they cancel in pairs at random places: what is left there is all rounding,
    which few bits of a result cannot hide. Rows with equal second factors follow each other.
    """
    source = random.Random(  # noqa: S311 - its sequence is to be known
        f"{leaf.name} {out.name} {leaves} {rows} {products} {seed}"
    )
    room = out.emax - leaves.bit_length() - 2  # of products, or of what is added
    most = leaf.emax - (1 if products else leaves.bit_length() + 2)
    small = _BINADES[0] // 2 if products else 0
    group = max(int(rows**0.5), 1) if products else 1  # rows with equal second factors
    groups = -(-rows // group)
    order = np.argsort(_words(source, (groups, leaves)), axis=1)
    half = leaves // 2
    one, other = order[:, :half], order[:, half : 2 * half]
    b = np.ones((groups, leaves))
    if products:
        low, high = max(-small, leaf.emin), min(small, room // 2, most)
        room -= max(high, low)
        b = _numbers(source, leaf, (groups, leaves), low, max(high, low))
        np.put_along_axis(b, other, np.take_along_axis(b, one, axis=1), axis=1)
    one, other = (np.repeat(table, group, axis=0)[:rows] for table in (one, other))
    b = np.repeat(b, group, axis=0)[:rows]
    each = [
        _numbers(source, leaf, (rows, leaves), low, max(min(wide - small, room, most), low))
        for wide in _BINADES
        for low in (max(small - wide, leaf.emin),)
    ]
    a = np.where((np.arange(rows) // 2 % 2 == 0)[:, None], *each)
    negatives = -np.take_along_axis(a, one, axis=1)[1::2]
    cancelling = a[1::2].copy()
    np.put_along_axis(cancelling, other[1::2], negatives, axis=1)
    a[1::2] = cancelling
    return Data(a, b)


def _words(source: random.Random, shape: tuple[int, int]) -> NDArray[np.uint64]:
    count = shape[0] * shape[1]
    return np.frombuffer(source.randbytes(8 * count), "<u8").reshape(shape)


def _numbers(
    source: random.Random, leaf: FormatSpec, shape: tuple[int, int], low: int, high: int
) -> Numbers:
    """Numbers of `leaf`, of either sign, with exponents from low to high."""
    words = _words(source, shape)
    bits = leaf.fraction_bits
    fraction = (words & np.uint64((1 << bits) - 1)).astype(np.int64) | (1 << bits)
    exponent = (words >> np.uint64(54)).astype(np.int64) % (high - low + 1) + low
    sign = np.where((words >> np.uint64(53)) & np.uint64(1), -1.0, 1.0)
    found: Numbers = sign * np.ldexp(fraction.astype(np.float64), exponent - bits)
    return found
