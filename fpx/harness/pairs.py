"""A block of values before and after a cast, with the elementwise quantities that metrics share.

Everything is exact where it can be. Measuring happens in float64, or, for sources that are no wider
than float32 and targets whose values float32 has, in float32, which halves the work and loses
nothing: while nothing overflows and q is within one ulp of the target of x, q - x is a multiple of
the smaller of both ulps, so it has at most 24 bits (as in Sterbenz' lemma), and scaling it by a
power of two keeps them. `Pair.of` measures in float64 what is further off.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache, cached_property
from typing import NamedTuple

import torch
from torch import Tensor

from fpx.core.formats import FORMATS
from fpx.core.interval import rounding_interval
from fpx.core.spec import FormatSpec

Locate = Callable[[int], tuple[str, tuple[int, ...]]]
"""Position in a block -> (tensor, multi-index)."""


class Measure(NamedTuple):
    """The dtype in which a block is measured.

    Attributes:
        dtype, bits: torch's dtype, and the integer dtype of its codes.
        spec: its format.
    """

    dtype: torch.dtype
    bits: torch.dtype
    spec: FormatSpec


WIDE = Measure(torch.float64, torch.int64, FORMATS["float64"])
NARROW = Measure(torch.float32, torch.int32, FORMATS["float32"])

EXPONENT_BINS = 2048
"""Bins of an exponent histogram: the biased exponents of float64."""


class SourceBlock:
    """A block of source values, with what every target's statistics need of it.

    Args:
        x: 1-D tensor of any real dtype, on any device, not empty.
        locate: where its elements are in the tensor they come from.
        weights: float64, how many elements of the tensor each element of `x` stands for; None is
            one each.
        measure: in what it is measured; by default what holds `x` exactly.
    """

    def __init__(
        self,
        x: Tensor,
        locate: Locate,
        weights: Tensor | None = None,
        measure: Measure | None = None,
    ) -> None:
        self.x = x
        self.locate = locate
        self.weights = weights
        narrow = x.is_floating_point() and x.dtype is not torch.float64
        self.measure = measure or (NARROW if narrow else WIDE)

    @cached_property
    def wide(self) -> SourceBlock:
        """The same, measured in float64."""
        if self.measure is WIDE:
            return self
        return SourceBlock(self.x, self.locate, self.weights, WIDE)

    def at(self, positions: Tensor) -> SourceBlock:
        """Some of its elements, measured in float64."""
        return SourceBlock(
            self.x[positions], lambda i: self.locate(int(positions[i])), measure=WIDE
        )

    def count(self, mask: Tensor | None) -> int:
        """How many elements a mask (or, of numbers, those that are not zero) stands for."""
        if mask is None:
            return 0
        if self.weights is None:
            return int(mask.count_nonzero())
        return int(self.weights[mask != 0].sum())

    @cached_property
    def total(self) -> int:
        """How many elements it stands for."""
        return self.x.numel() if self.weights is None else int(self.weights.sum())

    def squares(self, values: Tensor, largest: float) -> ScaledSquares:
        """The sum of the squares of some numbers at its elements; none beyond `largest`."""
        return ScaledSquares.of(values, largest, self.weights)

    @cached_property
    def value(self) -> Tensor:
        """x as measured: exact but for integers beyond 2^53, see `low`."""
        if self.low is None:
            return self.x.to(self.measure.dtype)
        return (self._signed_bits & ~0xFFFFFFFF).to(torch.float64) + self._offset

    @cached_property
    def low(self) -> Tensor | None:
        """What `value` lacks to be exact: the low 32 bits of 64-bit integers, else None."""
        if self.x.dtype not in (torch.int64, torch.uint64):
            return None
        return (self._signed_bits & 0xFFFFFFFF).to(torch.float64)

    @property
    def _signed_bits(self) -> Tensor:
        return self.x.view(torch.int64)

    @property
    def _offset(self) -> Tensor | float:
        """uint64 bits read as int64 are 2^64 too low from 2^63 up."""
        if self.x.dtype is torch.int64:
            return 0.0
        return (self._signed_bits < 0).to(torch.float64) * 2.0**64

    @cached_property
    def rounded(self) -> Tensor:
        """x rounded once to float64."""
        return self.value if self.low is None else self.value + self.low

    @cached_property
    def magnitude(self) -> Tensor:
        """|x|."""
        return self.rounded.abs()

    @cached_property
    def extremes(self) -> tuple[float, float]:
        """The smallest and the largest |x|; NaN both where there is one."""
        smallest, largest = torch.aminmax(self.magnitude)
        return float(smallest), float(largest)

    @cached_property
    def finite(self) -> Tensor | None:
        """Where x is finite; None stands for everywhere."""
        return None if math.isfinite(self.extremes[1]) else self.magnitude < math.inf

    @cached_property
    def zero(self) -> Tensor:
        """Where x is zero."""
        return self.magnitude == 0

    @cached_property
    def divisor(self) -> Tensor:
        """|x| to divide by: 1 where x is 0 or not finite."""
        if self.extremes[0] > 0 and self.finite is None:
            return self.magnitude
        unusable = self.zero if self.finite is None else self.zero | ~self.finite
        return torch.where(unusable, 1.0, self.magnitude)

    @cached_property
    def exponent_field(self) -> Tensor:
        """The bits of the exponent field of |x|, where they are in its code."""
        spec = self.measure.spec
        mask = spec.magnitude_mask ^ ((1 << spec.fraction_bits) - 1)
        return self.magnitude.view(self.measure.bits) & mask

    @cached_property
    def signal(self) -> ScaledSquares:
        """The sum of squares of x, of which all are finite."""
        return self.squares(self.rounded, self.extremes[1])

    @cached_property
    def exponents(self) -> Tensor:
        """Count of each biased exponent among non-zero x: int64 of shape (2048,), on the CPU.

        float64's subnormals are in bin 0, infinities and NaNs in bin 2047.
        """
        spec = self.measure.spec
        narrow = self.measure is NARROW
        field = self.exponent_field >> spec.fraction_bits
        if narrow:
            field = field.to(torch.uint8)  # which bincount takes fastest
        bins = torch.bincount(field, self.weights, minlength=1 << spec.exponent_bits)
        counts = bins.to("cpu", torch.int64)
        if counts[0]:
            counts[0] -= self.count(self.zero)
        if not narrow:
            return counts
        if counts[0]:  # float32's subnormals have exponents of their own in float64
            return self.wide.exponents
        wide = torch.zeros(EXPONENT_BINS, dtype=torch.int64)
        shift = WIDE.spec.bias - spec.bias
        wide[shift : shift + len(counts) - 1] = counts[:-1]
        wide[-1] = counts[-1]
        return wide


class Pair:
    """A source block and its cast.

    Args:
        source: the block before the cast.
        q: the block after it, any float dtype, same shape and device.
        target: the format that `q` is in.
    """

    def __init__(self, source: SourceBlock, q: Tensor, target: FormatSpec) -> None:
        self.thresholds = Thresholds.of(target)
        narrow = (
            _float32_measures(target) and source.extremes[1] < self.thresholds.overflow
        )  # false for NaN
        self.source = source if narrow else source.wide
        self.q = q
        self.target = target

    def at(self, positions: Tensor) -> Pair:
        """Some of the elements, measured in float64."""
        return Pair(self.source.at(positions), self.q[positions], self.target)

    @property
    def is_narrow(self) -> bool:
        """Whether it is measured in float32."""
        return self.source.measure is NARROW

    @classmethod
    def of(cls, source: SourceBlock, q: Tensor, target: FormatSpec) -> Pair:
        """A pair whose errors are exact, whatever the cast made of the block."""
        pair = cls(source, q, target)
        if pair.is_narrow and float(pair.error_in_ulps.amax()) > 1:
            return cls(source.wide, q, target)
        return pair

    @cached_property
    def result(self) -> Tensor:
        """q as measured, exact."""
        return self.q.to(self.source.measure.dtype)

    @cached_property
    def signed_error(self) -> Tensor:
        """q - x; 0 where either is not finite."""
        source = self.source
        error = self.result - source.value
        if source.low is not None:
            error = error - source.low
        if self.all_finite:
            return error
        finite = self.result.isfinite()
        if source.finite is not None:
            finite &= source.finite
        return torch.where(finite, error, 0.0)

    @cached_property
    def magnitude(self) -> Tensor:
        """|q|."""
        return self.result.abs()

    @cached_property
    def extremes(self) -> tuple[float, float]:
        """The smallest and the largest |q|; NaN both where there is one."""
        smallest, largest = torch.aminmax(self.magnitude)
        return float(smallest), float(largest)

    @cached_property
    def all_finite(self) -> bool:
        """Whether every x and every q is finite."""
        return self.source.finite is None and math.isfinite(self.extremes[1])

    @cached_property
    def finite_count(self) -> int:
        """Pairs that are finite on both sides."""
        if self.all_finite:
            return self.source.total
        finite = self.result.isfinite()
        if self.source.finite is not None:
            finite = finite & self.source.finite
        return self.source.count(finite)

    @cached_property
    def overflow(self) -> Tensor | None:
        """Where a finite x is beyond the overflow threshold; None stands for nowhere."""
        source, limit = self.source, self.thresholds.overflow
        if source.extremes[1] < limit:
            return None
        beyond = (
            source.magnitude > limit if self.thresholds.tie_stays else source.magnitude >= limit
        )
        return beyond if source.finite is None else beyond & source.finite

    @cached_property
    def zero(self) -> Tensor | None:
        """Where q is zero; None stands for nowhere."""
        return None if self.extremes[0] > 0 else self.result == 0

    @cached_property
    def error(self) -> Tensor:
        """|q - x|; 0 where either is not finite."""
        return self.signed_error.abs()

    def relative_error(self) -> Tensor:
        """|q - x| / |x|; 0 where x is 0. In float32 it is rounded."""
        error = self.error / self.source.divisor
        return error if self.target.zero else torch.where(self.source.zero, 0.0, error)

    @cached_property
    def error_in_ulps(self) -> Tensor:
        """|q - x| in ulps of the target at x: products with powers of two, so exact."""
        measure, target = self.source.measure, self.target
        bias, shift = measure.spec.bias, measure.spec.fraction_bits
        field = self.source.exponent_field.clamp(
            (target.emin + bias) << shift, (target.emax + bias) << shift
        )
        # 2^(1 - exponent) first: it is in range wherever 2^-exponent would not be
        scale = field.neg_().add_((2 * bias + 1) << shift).view(measure.dtype)
        return scale.mul_(self.error).mul_(2.0 ** (target.fraction_bits - 1))


@cache
def _float32_measures(target: FormatSpec) -> bool:
    """Whether float32 has every value of a format (and a zero, where relative errors are 0)."""
    return target.zero and target.signed and FORMATS["float32"].holds(target)


class Thresholds(NamedTuple):
    """The magnitudes, as float64, that tell overflows and subnormals of a format.

    All are exact: they have at most one bit more than the format's significand.
    """

    overflow: float
    tie_stays: bool
    """Whether a magnitude of exactly `overflow` is still rounded to max_finite."""
    smallest_normal: float

    @classmethod
    @cache
    def of(cls, spec: FormatSpec) -> Thresholds:
        """The thresholds of a format (rounding to nearest, ties to even)."""
        interval = rounding_interval(spec.max_finite_magnitude, spec)
        if interval is None or interval.high is None:  # no infinity, no NaN: still beyond the range
            value = spec.max_finite
            significand, exponent = 2 * value.significand + 1, value.exponent - 1
            stays = spec.max_finite_magnitude % 2 == 0
        else:
            significand, exponent = interval.high
            stays = interval.high_closed
        return cls(_float(significand, exponent), stays, _float(*spec.smallest_normal))


def _float(significand: int, exponent: int) -> float:
    try:
        return math.ldexp(significand, exponent)
    except OverflowError:
        return math.inf


_SAFE_EXPONENT = 400  # squares of numbers within 2^±400 neither over- nor underflow


class ScaledSquares(NamedTuple):
    """A sum of squares, total * 4^exponent, that does not overflow where the norm does not."""

    total: float = 0.0
    exponent: int = 0

    @classmethod
    def of(cls, values: Tensor, largest: float, weights: Tensor | None = None) -> ScaledSquares:
        """The sum of the squares of finite values with that largest magnitude, in float64.

        `weights`, if given, are float64 and multiply the squares.
        """
        if largest == 0:
            return cls()
        values = values.to(torch.float64)
        exponent = math.frexp(largest)[1]
        if -_SAFE_EXPONENT < exponent < _SAFE_EXPONENT:
            exponent = 0
        else:  # in two steps: 2^-exponent itself may be out of range
            half = exponent // 2
            values = values * 2.0**-half * 2.0 ** (half - exponent)
        weighted = values if weights is None else values * weights
        return cls(float(torch.dot(values, weighted)), exponent)

    def __add__(self, other: object) -> ScaledSquares:
        if not isinstance(other, ScaledSquares):
            return NotImplemented
        if not self.total or not other.total:
            return self if self.total else other
        exponent = max(self.exponent, other.exponent)
        return ScaledSquares(
            sum(math.ldexp(s.total, 2 * (s.exponent - exponent)) for s in (self, other)), exponent
        )

    def root(self, count: int = 1) -> float:
        """sqrt(sum / count)."""
        return math.ldexp(math.sqrt(self.total / count), self.exponent)

    def ratio_db(self, other: ScaledSquares) -> float:
        """10 log10(self / other)."""
        scale = 20 * math.log10(2) * (self.exponent - other.exponent)
        return 10 * (math.log10(self.total) - math.log10(other.total)) + scale
