"""One scaled cast of a tensor: its scales, and what is known so far of what it did."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Protocol

import torch
from torch import Tensor

from fpx.casts.backends import EXACT, Backend
from fpx.casts.device import Device, find_device
from fpx.casts.grouping import Grouping
from fpx.casts.scaling import (
    Elements,
    Scales,
    global_scale_of,
    quantise,
    scales_for_four,
    scales_of,
)
from fpx.core.choices import ScaleRule
from fpx.core.formats import FORMATS
from fpx.core.scaling import ScaledFormat
from fpx.measure.block import SourceBlock
from fpx.measure.casting import Where
from fpx.measure.measurement import Known
from fpx.measure.metrics import measure_mismatches
from fpx.measure.nearer import first_is_nearer
from fpx.measure.scaled import ScaledPair, measure_scaled, measure_scales
from fpx.measure.scaled_pass import Found
from fpx.measure.stats import CastStats
from fpx.report.cast_row import Location
from fpx.tensors.dtypes import Origin

Amax = tuple[Tensor, Tensor | None]
"""Of some groups: the largest finite magnitudes, and which hold an infinity or a NaN, if any."""


class ScaledMeasurer(Protocol):
    """Who casts and measures blocks of whole groups, see `FusedMeasurer.scaled`."""

    def __call__(
        self,
        source: SourceBlock,
        target: ScaledFormat,
        width: int,
        groups: int,
        global_: float,
        known: Known,
    ) -> Found | None:
        """What became of a block, or None where it does not tell."""


class ScaledCasting:
    """One scaled cast of a tensor and its statistics.

    Blocks along the last axis are quantised as they come, whole. What reaches further (a global
    scale, a scale per tensor, channel or tile) takes two passes: `survey` each block, `prepare`,
    then `take` each block again.

    Args:
        origin: from what.
        target: to what.
        shape: of the tensor.
        device: where it is cast.

    Attributes:
        backend: who casts: fpx itself.
        stats: what the blocks so far showed.
        on_cpu: the same on the CPU, with which it is compared; None of the CPU's own.
    """

    backend: Backend = EXACT

    def __init__(
        self, origin: Origin, target: ScaledFormat, shape: tuple[int, ...], device: Device
    ) -> None:
        self.origin = origin
        self.target = target
        self.stats = CastStats()
        self.on_cpu: ScaledCasting | None = None
        if not device.is_cpu:
            self.on_cpu = ScaledCasting(origin, target, shape, find_device("cpu"))
        self._grouping = Grouping(target.reach, shape)
        self._global_amax = 0.0
        self._global = 1.0
        self._amax = self._poisoned = torch.empty(0)
        self._steps = torch.empty(0)
        if self.width is None:
            count = self._grouping.count
            self._amax = torch.zeros(count, dtype=torch.float64, device=device.torch)
            self._poisoned = torch.zeros(count, dtype=torch.bool, device=device.torch)

    @property
    def width(self) -> int | None:
        """Elements of the blocks that are quantised as they come; None where they are not."""
        return self._grouping.width

    @property
    def needs_survey(self) -> bool:
        """Whether the tensor has to be seen before any of it is quantised."""
        return self.width is None or self.target.global_scale is not None

    def survey(self, source: SourceBlock, start: int) -> None:
        """Looks at a row-major block that begins at that position of the tensor."""
        if self.on_cpu is not None:
            self.on_cpu.survey(SourceBlock(source.x.cpu()), start)
        if self.target.global_scale is not None:
            self.survey_largest(source.exact_largest)
        if self.width is not None:
            return
        magnitude, bad = _finite(source.wide)
        ids = self._grouping.ids(start, len(magnitude), magnitude.device)
        self._amax.scatter_reduce_(0, ids, magnitude, "amax")
        if bad is not None:
            self._poisoned[ids[bad]] = True

    def survey_largest(self, magnitude: float) -> None:
        """Hears of the largest finite magnitude of a part of the tensor."""
        self._global_amax = max(self._global_amax, magnitude)

    def prepare(self) -> None:
        """Works out the scales, of a tensor of which every block was surveyed."""
        if self.on_cpu is not None:
            self.on_cpu.prepare()
        self._global = global_scale_of(self._global_amax, self.target)
        if self.width is None and self._grouping.count:
            poisoned = self._poisoned if bool(self._poisoned.any()) else None
            scales = scales_of(self._amax, poisoned, self.target, self._global)
            self._steps = scales.steps
            self._take_scales(scales, poisoned)

    def take(self, source: SourceBlock, start: int, where: Where) -> Tensor:
        """Takes in a row-major block, of whole groups of `width`, that begins there.

        Returns:
            What it became: float64.
        """
        source = source.wide
        elements = self.elements(source, start)
        pair = ScaledPair(source, elements, self.target)
        found = measure_scaled(pair, self.stats.known)

        def locate(at: int) -> Location:
            return Location(*where(at), source.x[at].item(), float(elements.result[at]))

        self.stats.take(found, locate)
        return elements.result

    def elements(self, source: SourceBlock, start: int) -> Elements:
        """What a block becomes; takes its scales in.

        Args:
            source: the block, in float64.
            start: position of its first element in the tensor.
        """
        if self.width is not None:
            return self._quantise_blocks(source, start)
        ids = self._grouping.ids(start, len(source.x), source.x.device)
        return self._quantised(source, self._steps[ids])

    def _quantised(self, source: SourceBlock, steps: Tensor) -> Elements:
        narrow = source.x.is_floating_point() and source.x.dtype is not torch.float64
        return quantise(source.value, steps, self.target, narrow, source.low, self._global)

    def measured(
        self, source: SourceBlock, start: int, where: Where, measure: ScaledMeasurer
    ) -> Callable[[], object]:
        """As `take`, by who casts and measures blocks of whole groups, in any thread.

        Returns:
            What takes that in, to be called in the order of blocks.
        """
        width = self.width
        if width is not None and self._grouping.even(start, len(source.x)):
            groups, known = self._grouping.count, self.stats.known
            found = measure(source, self.target, width, groups, self._global, known)
            if found is not None:
                return partial(self._take_found, found, source.x, width, where)
        return partial(self.take, source, start, where)

    def _take_found(self, found: Found, x: Tensor, width: int, where: Where) -> None:
        def locate(at: int) -> Location:
            one = slice(at, at + 1)
            step = torch.tensor(found.steps[at // width])
            result = quantise(x[one].to(torch.float64), step, self.target, narrow=True).result
            return Location(*where(at), x[at].item(), float(result))

        self.stats.take(found.scales, _nowhere)
        self.stats.take(found.measurement, locate)

    def _quantise_blocks(self, source: SourceBlock, start: int) -> Elements:
        """Blocks along the last axis, each with a scale of its own."""
        width = self.width
        assert width is not None
        magnitude, bad = _finite(source)
        if self._grouping.even(start, len(magnitude)):
            ids = None
            amax = magnitude.view(-1, width).amax(1)
            poisoned = None if bad is None else bad.view(-1, width).any(1)
        else:
            ids = self._grouping.ids(start, len(magnitude), magnitude.device)
            ids = ids - ids[0]
            amax, poisoned = _amax_by(ids, magnitude, bad)

        def spread(steps: Tensor) -> Tensor:
            return steps.repeat_interleave(width) if ids is None else steps[ids]

        def summed(numbers: Tensor) -> Tensor:
            if ids is None:
                return numbers.view(-1, width).sum(1)
            return torch.zeros_like(amax).index_add_(0, ids, numbers)

        scales = scales_of(amax, poisoned, self.target, self._global)
        elements = self._quantised(source, spread(scales.steps))
        if self.target.encoding.rule is ScaleRule.FOUR_OVER_SIX:
            other = scales_for_four(amax, poisoned, self.target, self._global)
            fours = self._quantised(source, spread(other.steps))
            four, six = (ScaledPair(source, each, self.target) for each in (fours, elements))
            better = first_is_nearer(four, six, summed, spread)
            scales = _choose(better, other, scales)
            chosen = {
                name: torch.where(spread(better), getattr(fours, name), getattr(elements, name))
                for name in ("ratio", "element", "result", "step")
            }
            elements = replace(elements, **chosen)
        self._take_scales(scales, poisoned)
        return elements

    def _take_scales(self, scales: Scales, poisoned: Tensor | None) -> None:
        found = measure_scales(scales, poisoned, self.target)
        self.stats.take(found, _nowhere)

    def take_mismatches(self, x: Tensor, result: Tensor, on_cpu: Tensor, where: Where) -> None:
        """Takes in how results from a device differ from those of the CPU."""
        float64 = FORMATS["float64"]
        there, here = (each.cpu().view(torch.int64) for each in (result, on_cpu))
        found = measure_mismatches(there, here, float64)
        self.stats.take(
            found, lambda at: Location(*where(at), x[at].item(), float(result[at].cpu()))
        )


def _nowhere(at: int) -> Location:
    raise AssertionError(f"a scale has no place, not {at}")  # no maxima, no firsts


def _choose(better: Tensor, one: Scales, other: Scales) -> Scales:
    return replace(
        other,
        codes=torch.where(better, one.codes, other.codes),
        steps=torch.where(better, one.steps, other.steps),
    )


def _finite(source: SourceBlock) -> Amax:
    """Magnitudes, 0 where they are not finite; and where that is, if anywhere."""
    if source.finite is None:
        return source.exact_magnitude, None
    return torch.where(source.finite, source.exact_magnitude, 0.0), ~source.finite


def _amax_by(ids: Tensor, magnitude: Tensor, bad: Tensor | None) -> Amax:
    count = int(ids[-1]) + 1
    amax = magnitude.new_zeros(count).scatter_reduce_(0, ids, magnitude, "amax")
    if bad is None:
        return amax, None
    poisoned = torch.zeros(count, dtype=torch.bool, device=ids.device)
    poisoned[ids[bad]] = True
    return amax, poisoned
