"""A block of values before and after it got elements and scales."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property, lru_cache

import torch
from torch import Tensor

from fpx.casts.scaling import Elements, Scales, quantum_of, scale_codes_histogram
from fpx.core.elements import largest
from fpx.core.scaling import ScaledFormat
from fpx.core.spec import FormatSpec
from fpx.core.thresholds import Thresholds
from fpx.measure.block import SourceBlock
from fpx.measure.measurement import NOTHING, Known, Measurement
from fpx.measure.metrics import measure_pair
from fpx.measure.pair import Pair


class ScaledPair(Pair):
    """A source block and its elements with scales, measured in float64.

    What a plain format's thresholds say of x, the element's say of x over its step (scale x global
    scale); the ulp at x is the spacing of the elements there, times the step.

    Args:
        source: the block before.
        elements: the block after.
        target: of what it is.
    """

    def __init__(self, source: SourceBlock, elements: Elements, target: ScaledFormat) -> None:
        self.source = source
        self.elements = elements
        self.scaled = target
        self.q = elements.result

    @property
    def is_narrow(self) -> bool:
        """It is measured in float64."""
        return False

    @cached_property
    def result(self) -> Tensor:
        """As `Pair.result`."""
        return self.elements.result

    @property
    def low(self) -> Tensor | None:
        """As of `Pair`."""
        of_x, of_q = self.source.low, self.elements.low
        if of_x is None or of_q is None:
            return of_q if of_x is None else -of_x
        return of_q - of_x

    @cached_property
    def ratio(self) -> Tensor:
        """|x| over its step; NaN where the scale is."""
        return self.elements.ratio.abs()

    @cached_property
    def _bounds(self) -> tuple[float, bool, float]:
        return bounds_of(self.scaled)

    @cached_property
    def overflow(self) -> Tensor | None:
        """Where a finite x is so far beyond the largest element that it rounds to more."""
        limit, tie_stays, _ = self._bounds
        return self._beyond(limit, inclusive=not tie_stays)

    @cached_property
    def clipped(self) -> Tensor | None:
        """Where a finite x is beyond the largest element."""
        return self._beyond(float(self.scaled.clips_beyond), inclusive=False)

    def _beyond(self, limit: float, inclusive: bool) -> Tensor | None:
        largest_ratio = float(self.ratio.amax())
        if largest_ratio < limit or (largest_ratio == limit and not inclusive):
            return None
        beyond = self.ratio >= limit if inclusive else self.ratio > limit
        return beyond if self.source.finite is None else beyond & self.source.finite

    @cached_property
    def small(self) -> Tensor | None:
        """Where |x| is below the smallest normal element, 0 included; None is nowhere."""
        limit = self._bounds[2]
        return self.ratio < limit if limit else None

    @property
    def subnormals(self) -> int:
        """Elements that are not 0 and below the smallest normal one."""
        limit = self._bounds[2]
        if not limit:
            return 0
        element = self.elements.element.abs()
        return self.source.count((element < limit) & (element > 0))

    @cached_property
    def signed_error_in_ulps(self) -> Tensor:
        """q - x in units of the spacing of elements at x, times the step."""
        elements = self.elements
        error = (elements.element - elements.ratio) / quantum_of(elements.ratio, self.scaled)
        if self.all_finite:
            return error
        lost = self.result.isfinite() & elements.ratio.isfinite()
        return torch.where(lost, error, 0.0)


def measure_scaled(pair: ScaledPair, known: Known = NOTHING) -> Measurement:
    """The measurement of a block with scales: all of a plain one, and what was clipped.

    The sum `unclipped_noise` is of (q - x)^2 where x is not clipped.
    """
    found = measure_pair(pair, known)
    clipped, noise = pair.clipped, pair.noise
    if clipped is not None:
        error = torch.where(clipped, 0.0, pair.signed_error)
        noise = pair.source.squares(error, float(error.abs().amax()))
    return replace(
        found,
        counts={**found.counts, "clipped_count": pair.source.count(clipped)},
        sums={**found.sums, "unclipped_noise": noise},
    )


@lru_cache(maxsize=256)
def bounds_of(target: ScaledFormat) -> tuple[float, bool, float]:
    """Where elements overflow, whether that itself stays, and the smallest normal one, or 0."""
    element = target.element
    if isinstance(element, FormatSpec):
        return Thresholds.of(element)
    top = float(largest(element))
    if element.fraction_bits is not None:
        return top + 0.5 ** (element.fraction_bits + 1), False, 0.0
    return top, True, 0.0


def measure_scales(scales: Scales, poisoned: Tensor | None, target: ScaledFormat) -> Measurement:
    """What the scales of some blocks are like.

    Args:
        scales: those chosen in the end.
        poisoned: which blocks hold an infinity or a NaN; None is none.
        target: what they are of.
    """
    spec, steps = target.scale, scales.steps
    zeros = scales.amax == 0
    if poisoned is not None:
        zeros = zeros & ~poisoned
    magnitude = scales.codes.to(torch.int64) & spec.magnitude_mask
    subnormal = (magnitude > 0) & (magnitude >> spec.fraction_bits == 0)
    clipped = (scales.amax > steps * float(target.clips_beyond)) & (steps != 0)

    def count(mask: Tensor) -> int:
        return int(mask.count_nonzero())

    return Measurement(
        counts={
            "block_count": len(steps),
            "clipped_block_count": count(clipped),
            "zero_block_count": count(zeros),
            "zero_scale_count": count((steps == 0) & ~zeros),
            "subnormal_scale_count": count(subnormal & ~zeros) if spec.zero else 0,
            "nan_scale_count": count(steps.isnan()),
        },
        scales=scale_codes_histogram(scales.codes, spec),
    )
