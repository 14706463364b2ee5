"""Which operands a function is tried with: all of a small format, or boundaries and random ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from fpx.arithmetic.functions.codes import (
    Codes,
    is_finite,
    is_infinite,
    is_nan,
    is_subnormal,
    is_zero,
    magnitudes,
    unwrapped,
    wrapped,
)
from fpx.arithmetic.functions.function import Function
from fpx.core.spec import FormatSpec

ALL, SAMPLED, NONE = "all", "sampled", "none"

_EVERY_CODE = 16  # bits of a format of which all codes are tried always
_EVERY_PAIR = 8
_BLOCK = 1 << 16
_LARGE_BLOCK = 1 << 20
_AROUND = 8  # codes on either side of where the kind of a result changes

Refer = Callable[[Codes], Codes]
"""Codes of operands -> correctly rounded codes."""


@dataclass(frozen=True)
class Inputs:
    """The operands of a function.

    Attributes:
        kind: ALL or SAMPLED.
        count: combinations of operands.
        size: of a block; the last one may be smaller.
        block: by its number, the codes of each operand in it.
    """

    kind: str
    count: int
    size: int
    block: Callable[[int], tuple[Codes, ...]]

    @property
    def blocks(self) -> int:
        """How many blocks they come in."""
        return -(-self.count // self.size)

    def all(self) -> tuple[Codes, ...]:
        """Those of all blocks."""
        blocks = [self.block(number) for number in range(self.blocks)]
        return tuple(np.concatenate(column) for column in zip(*blocks, strict=True))

    @classmethod
    def of(cls, kind: str, columns: tuple[Codes, ...]) -> Inputs:
        """Operands that are there already."""
        count = len(columns[0])

        def block(number: int) -> tuple[Codes, ...]:
            part = slice(number * _BLOCK, (number + 1) * _BLOCK)
            return tuple(column[part] for column in columns)

        return cls(kind, count, _BLOCK, block)


def choose_inputs(
    function: Function, spec: FormatSpec, exhaustive: bool, size: int, seed: int, refer: Refer
) -> Inputs:
    """The operands that a function is tried with.

    Args:
        function, spec: of which.
        exhaustive: whether 2^32 codes are not too many.
        size, seed: of random operands, beside the boundaries.
        refer: the function, correctly rounded: tells where its results change their kind.
    """
    random = np.random.default_rng(seed)
    if function.arity == 2:
        if spec.bits <= _EVERY_PAIR:
            codes = np.arange(1 << spec.bits)
            pairs = (np.repeat(codes, len(codes)), np.tile(codes, len(codes)))
            return Inputs.of(ALL, _quiet(pairs, spec))
        return Inputs.of(SAMPLED, _quiet(_pairs(spec, size, random), spec))
    if spec.bits <= _EVERY_CODE:
        return Inputs.of(ALL, (np.arange(1 << spec.bits),))
    if exhaustive and spec.bits <= 32:
        return _every_code(spec)
    grid = _grid(spec)
    drawn = _codes(random, spec, size)
    every = np.concatenate([grid, _changes(grid, spec, refer), drawn])
    return Inputs.of(SAMPLED, (np.unique(every),))


def _quiet(columns: tuple[Codes, ...], spec: FormatSpec) -> tuple[Codes, ...]:
    """The same with quiet NaNs: of pow, fmax and the like, standards disagree on signaling ones."""
    return tuple(
        np.where(is_nan(column, spec), column | spec.quiet_bit, column) for column in columns
    )


def _every_code(spec: FormatSpec) -> Inputs:
    count = 1 << spec.bits
    size = min(_LARGE_BLOCK, count)
    return Inputs(ALL, count, size, lambda number: (np.arange(number * size, (number + 1) * size),))


def _codes(random: np.random.Generator, spec: FormatSpec, size: int) -> Codes:
    mask = (1 << spec.bits) - 1
    drawn = random.integers(-(1 << 63), (1 << 63) - 1, size, endpoint=True)
    return drawn if spec.bits == 64 else drawn & mask


def _both_signs(sizes: Codes, spec: FormatSpec) -> Codes:
    return np.concatenate([sizes, sizes | wrapped(spec.sign_mask, spec)])


def _grid(spec: FormatSpec) -> Codes:
    """The ends and the middle of every binade, with their neighbours; infinities and NaNs."""
    step = 1 << spec.fraction_bits
    binades = np.arange(0, spec.max_finite_magnitude + 2, step)
    near = [binades + offset for offset in (-2, -1, 0, 1, 2)]
    near += [binades + step // 2 + offset for offset in (-1, 0, 1)]
    sizes = np.concatenate([*near, np.array([spec.max_finite_magnitude + 1])])
    sizes = np.unique(sizes[(sizes >= 0) & (sizes <= spec.max_finite_magnitude + 2)])
    return _both_signs(sizes, spec)


def _changes(grid: Codes, spec: FormatSpec, refer: Refer) -> Codes:
    """Operands around each change between zero, subnormal, normal, infinity and NaN in results.

    Between neighbours of the grid whose results are of two kinds, by bisection.
    """

    def kinds(codes: Codes) -> Codes:
        results = refer(codes)
        finite = is_finite(results, spec).astype(np.int64)
        kind = finite + 2 * is_infinite(results, spec) + 3 * is_subnormal(results, spec)
        found: Codes = kind + 5 * is_zero(results, spec)
        return found

    sides = []
    for sign in (0, wrapped(spec.sign_mask, spec)):
        low = np.unique(magnitudes(grid, spec))
        low, high = low[:-1], low[1:]
        first, last = kinds(low | sign), kinds(high | sign)
        at = np.flatnonzero(first != last)
        low, high, first = low[at], high[at], first[at]
        while (high - low > 1).any():
            middle = (low + high) // 2
            same = kinds(middle | sign) == first
            low, high = np.where(same, middle, low), np.where(same, high, middle)
        around = (low[:, None] + np.arange(-_AROUND, _AROUND + 2)).reshape(-1)
        sides.append(np.unique(around.clip(0, spec.magnitude_mask)) | sign)
    return np.concatenate(sides)


def _pairs(spec: FormatSpec, size: int, random: np.random.Generator) -> tuple[Codes, Codes]:
    """All pairs of some boundaries; random pairs: any, of like size, and of moderate numbers."""
    edges = _edges(spec)
    third = -(-size // 3)
    a, b = _codes(random, spec, third), _codes(random, spec, third)
    alike = _codes(random, spec, third)
    reach = (spec.precision + 2) << spec.fraction_bits
    offset = random.integers(-reach, reach, third, endpoint=True)
    sizes = (magnitudes(alike, spec) + offset).clip(0, spec.max_finite_magnitude)
    near = sizes | (_codes(random, spec, third) & wrapped(spec.sign_mask, spec))
    moderate = [_moderate(spec, third, random) for _ in range(2)]
    return (
        np.concatenate([np.repeat(edges, len(edges)), a, alike, moderate[0]]),
        np.concatenate([np.tile(edges, len(edges)), b, near, moderate[1]]),
    )


def _moderate(spec: FormatSpec, size: int, random: np.random.Generator) -> Codes:
    """Codes of numbers from 2^-8 to 2^8, as far as the format goes."""
    step = 1 << spec.fraction_bits
    low, high = ((spec.bias + exponent) * step for exponent in (-8, 8))
    sizes = random.integers(max(low, 0), min(high, spec.max_finite_magnitude), size, endpoint=True)
    return sizes | (_codes(random, spec, size) & wrapped(spec.sign_mask, spec))


def _edges(spec: FormatSpec) -> Codes:
    """Some 25 magnitudes of each sign at which arithmetic is special."""
    step, top = 1 << spec.fraction_bits, spec.max_finite_magnitude
    one = spec.bias * step
    half = step // 2
    middle = [one, one + 1, one - 1, one - step, one + half, one + step, one + step + half]
    quarter = [one // 2, (one + top) // 2, one - 8 * step, one + 8 * step + 1]
    small = [0, 1, 2, 3, step - 1, step, step + 1, 2 * step]
    large = [top, top - 1, top - step, top + 1, top + 2]
    sizes = [unwrapped(n, spec) for n in (*small, *middle, *quarter, *large)]
    return _both_signs(np.unique([n for n in sizes if 0 <= n <= spec.magnitude_mask]), spec)
