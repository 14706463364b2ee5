"""A block of values before a cast, with what every target's statistics need of it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cached_property
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from fpx.core.formats import FORMATS
from fpx.core.spec import FormatSpec
from fpx.measure.squares import ScaledSquares


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


class SourceBlock:
    """A block of source values, with what every target's statistics need of it.

    Args:
        x: 1-D tensor of any real dtype, on any device, not empty.
        weights: float64, how many elements of the tensor each element of `x` stands for; None is
            one each.
        measure: in what it is measured; by default what holds `x` exactly.
    """

    def __init__(
        self,
        x: Tensor,
        weights: Tensor | None = None,
        measure: Measure | None = None,
    ) -> None:
        self.x = x
        self.weights = weights
        narrow = x.is_floating_point() and x.dtype is not torch.float64
        self.measure = measure or (NARROW if narrow else WIDE)

    @cached_property
    def wide(self) -> SourceBlock:
        """The same, measured in float64."""
        if self.measure is WIDE:
            return self
        return SourceBlock(self.x, self.weights, WIDE)

    def at(self, positions: Tensor) -> SourceBlock:
        """Some of its elements, measured in float64."""
        return SourceBlock(self.x[positions], measure=WIDE)

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
        """x rounded once to the dtype in which it is measured: exact but for `low`."""
        return self._parts[0]

    @property
    def low(self) -> Tensor | None:
        """What `value` lacks of x, of 64-bit integers beyond 2^53; None is nothing."""
        return self._parts[1]

    @cached_property
    def _parts(self) -> tuple[Tensor, Tensor | None]:
        """Two numbers whose sum x is; the first is it, rounded."""
        if self.x.dtype not in (torch.int64, torch.uint64):
            return self.x.to(self.measure.dtype), None
        bits = self.x.view(torch.int64)
        high, low = (bits & ~0xFFFFFFFF).to(torch.float64), (bits & 0xFFFFFFFF).to(torch.float64)
        if self.x.dtype is torch.uint64:  # bits read as int64 are 2^64 too low from 2^63 up
            high += (bits < 0).to(torch.float64) * 2.0**64
        value = high + low
        if float(value.abs().amax()) < 2.0**53:
            return value, None
        return value, (high - value) + low

    @cached_property
    def magnitude(self) -> Tensor:
        """|x|."""
        return self.value.abs()

    @cached_property
    def extremes(self) -> tuple[float, float]:
        """The smallest and the largest |x|; NaN both where there is one."""
        smallest, largest = torch.aminmax(self.magnitude)
        return float(smallest), float(largest)

    @cached_property
    def finite_magnitude(self) -> Tensor:
        """|x|; 0 where x is not finite."""
        if self.finite is None:
            return self.magnitude
        return torch.where(self.finite, self.magnitude, 0.0)

    @cached_property
    def largest(self) -> float:
        """The largest finite |x|; 0 where there is none."""
        most = self.extremes[1]
        return most if self.finite is None else float(self.finite_magnitude.amax())

    @cached_property
    def smallest(self) -> float | None:
        """The smallest finite |x| that is not 0; None where there is none."""
        least = self.extremes[0]
        if not least > 0:  # some are 0 or NaN
            magnitude = self.magnitude
            least = float(torch.where(magnitude > 0, magnitude, math.inf).amin())
        return least if math.isfinite(least) else None

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
        """|x| to divide errors by; infinite, which gives 0, where x is 0 or NaN."""
        if self.extremes[0] > 0:  # false where there is a NaN
            return self.magnitude
        return torch.where(self.magnitude > 0, self.magnitude, math.inf)

    @cached_property
    def exact_magnitude(self) -> Tensor:
        """|x| to compare with numbers of up to 52 bits, or to take the exponent of.

        A 64-bit integer is rounded to odd: what float64 lacks gets the neighbour whose last bit is
        set, so that it stays on its side of every number of fewer bits.
        """
        if self.low is None:
            return self.magnitude
        inward = (self.low * self.value.sign() < 0).to(torch.int64)  # it was rounded away from zero
        bits = self.magnitude.view(torch.int64) - inward
        return (bits | (self.low != 0)).view(torch.float64)

    @cached_property
    def exact_largest(self) -> float:
        """The largest finite |x|, as `exact_magnitude` has it; 0 where there is none."""
        return self.largest if self.low is None else float(self.exact_magnitude.amax())

    @cached_property
    def exponent_field(self) -> Tensor:
        """The bits of the exponent field of |x|, where they are in its code."""
        spec = self.measure.spec
        mask = spec.magnitude_mask ^ ((1 << spec.fraction_bits) - 1)
        return self.exact_magnitude.view(self.measure.bits) & mask

    @cached_property
    def signal(self) -> ScaledSquares:
        """The sum of squares of x, of which all are finite."""
        return self.squares(self.value, self.extremes[1])

    @cached_property
    def exponents(self) -> Mapping[int, int]:
        """Unbiased exponent -> count of finite non-zero x; float64's subnormals count as -1023."""
        spec = self.measure.spec
        field = self.exponent_field >> spec.fraction_bits
        if self.measure is NARROW:
            field = field.to(torch.uint8)  # which bincount takes fastest
        bins = torch.bincount(field, self.weights, minlength=1 << spec.exponent_bits)
        counts = bins.cpu().numpy()[:-1]  # the last are infinities and NaNs
        if counts[0]:
            counts[0] -= self.count(self.zero)
            if counts[0] and self.measure is NARROW:
                return self.wide.exponents  # float32's subnormals have exponents of their own there
        present = np.flatnonzero(counts)
        elements = counts[present].astype(np.int64, copy=False)
        return dict(zip((present - spec.bias).tolist(), elements.tolist(), strict=True))
