"""A block of values before and after a cast, with the elementwise quantities that metrics share.

Everything is exact where it can be. Measuring happens in float64, or, for sources that are no wider
than float32 and targets whose values float32 has, in float32, which halves the work and loses
nothing: while nothing overflows and q is within one ulp of the target of x, and no further from it
than 0 is, q - x is a multiple of the smaller of both ulps, so it has at most 24 bits (as in
Sterbenz' lemma), and scaling it by a power of two keeps them. `Pair.of` measures in float64 what is
further off.
"""

from __future__ import annotations

import math
from functools import cached_property, lru_cache

import torch
from torch import Tensor

from fpx.casts import residuals
from fpx.core.formats import FORMATS
from fpx.core.spec import FormatSpec
from fpx.core.thresholds import Thresholds
from fpx.measure.block import NARROW, WIDE, SourceBlock
from fpx.measure.squares import ScaledSquares


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
        if pair.is_narrow and not pair._is_near:
            return cls(source.wide, q, target)
        return pair

    @property
    def _is_near(self) -> bool:
        """Whether every q is within an ulp of x, and no further from it than 0 is."""
        if self.largest_error_in_ulps > 1:
            return False
        return self.small is None or not bool((self.error > self.source.magnitude).any())

    @cached_property
    def result(self) -> Tensor:
        """q as measured, exact."""
        return self.q.to(self.source.measure.dtype)

    @property
    def low(self) -> Tensor | None:
        """What the float64s of both sides lack of q - x; None is nothing."""
        return None if self.source.low is None else -self.source.low

    @cached_property
    def _difference(self) -> tuple[Tensor, Tensor | None]:
        """q - x rounded once, and what that lacks of it where float64s do; None is nothing."""
        source = self.source
        error = self.result - source.value
        if self.low is None:
            return error, None
        rest = residuals.of_difference(self.result, source.value, error) + self.low
        rounded = error + rest
        return rounded, (error - rounded) + rest

    @cached_property
    def signed_error(self) -> Tensor:
        """q - x, rounded once; 0 where either is not finite."""
        source, error = self.source, self._difference[0]
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
        magnitude = source.magnitude
        beyond = magnitude > limit if self.thresholds.tie_stays else magnitude >= limit
        if source.low is not None and self.target.precision < WIDE.spec.precision:
            outward = source.low * source.value.sign()
            beyond = torch.where((magnitude == limit) & (outward != 0), outward > 0, beyond)
        return beyond if source.finite is None else beyond & source.finite

    @cached_property
    def destroyed(self) -> Tensor | None:
        """Where a finite x became infinite or NaN; None stands for nowhere."""
        if math.isfinite(self.extremes[1]):
            return None
        lost = ~self.result.isfinite()
        return lost if self.source.finite is None else lost & self.source.finite

    @cached_property
    def small(self) -> Tensor | None:
        """Where |x| is below the target's smallest normal value, 0 included; None is nowhere."""
        limit = self.thresholds.smallest_normal
        return None if self.source.extremes[0] >= limit else self.source.exact_magnitude < limit

    @cached_property
    def zero(self) -> Tensor | None:
        """Where q is zero; None stands for nowhere."""
        return None if self.extremes[0] > 0 else self.result == 0

    @property
    def subnormals(self) -> int:
        """Results that are not 0 and below the target's smallest normal value."""
        limit = self.thresholds.smallest_normal
        if self.extremes[0] >= limit:
            return 0
        return self.source.count(self.magnitude < limit) - self.source.count(self.zero)

    @cached_property
    def error(self) -> Tensor:
        """|q - x|; 0 where either is not finite."""
        return self.signed_error.abs()

    @cached_property
    def largest_error(self) -> float:
        """The largest |q - x|."""
        return float(self.error.amax())

    @cached_property
    def noise(self) -> ScaledSquares:
        """The sum of the squares of q - x."""
        return self.source.squares(self.signed_error, self.largest_error)

    def relative_error(self) -> Tensor:
        """|q - x| / |x|; 0 where x is 0. In float32 it is rounded."""
        source, error = self.source, self.error
        ratio, rest = error / source.divisor, self._difference[1]
        if source.low is None or rest is None:
            return ratio
        back = ratio * source.magnitude
        left = (error - back) - residuals.of_product(ratio, source.magnitude, back)
        left += rest * self.signed_error.sign() - ratio * source.low * source.value.sign()
        return torch.where(error > 0, ratio + left / source.divisor, ratio)

    @cached_property
    def error_in_ulps(self) -> Tensor:
        """|q - x| in ulps of the target at x; 0 where either is not finite."""
        return self.signed_error_in_ulps.abs()

    @cached_property
    def signed_error_in_ulps(self) -> Tensor:
        """q - x in ulps of the target at x: products with powers of two, so exact."""
        spec, target = self.source.measure.spec, self.target
        bias, shift = spec.bias, spec.fraction_bits
        field = self.source.exponent_field.clamp(
            (target.emin + bias) << shift, (target.emax + bias) << shift
        )
        # All bits of a biased exponent turned round are those of 1 - exponent. 2^(1 - exponent)
        # comes first: it is in range wherever 2^-exponent would not be.
        every = ((1 << spec.exponent_bits) - 1) << shift
        scale = field.bitwise_xor_(every).view(self.source.measure.dtype)
        return scale.mul_(self.signed_error).mul_(2.0 ** (target.fraction_bits - 1))

    @cached_property
    def largest_error_in_ulps(self) -> float:
        """The largest of `error_in_ulps`."""
        return float(self.error_in_ulps.amax())


@lru_cache(maxsize=256)
def _float32_measures(target: FormatSpec) -> bool:
    """Whether float32 has every value of a format (and a zero, where relative errors are 0)."""
    return target.zero and target.signed and FORMATS["float32"].holds(target)
