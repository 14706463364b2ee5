"""Measurements of blocks, as numbers that add up over blocks, tensors, devices and processes.

Who measured does not matter here, nor which metrics there are: counts and sums add up, of maxima
the largest stays, of minima the smallest, and nothing proportional to a tensor is kept.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from fpx.measure.measurement import Known, Measurement
from fpx.measure.squares import ScaledSquares
from fpx.report.cast_row import Location

_Key = TypeVar("_Key")

Locate = Callable[[int], Location]
"""Position in a block -> what is there, and where that is."""


@dataclass
class CastStats:
    """The statistics of one cast, over any number of blocks.

    Attributes:
        counts: name -> elements.
        maxima: name -> the largest; none where none is above 0.
        locations: name of a maximum -> where it is (the first, of equals); name of a count whose
            first element is kept -> where that is.
        minima: name -> the smallest; none where there is none.
        sums: name -> sum, each of what its measurements have (numbers, or `ScaledSquares`).
        exponents: unbiased exponent -> elements.
        scales: code or exponent of a scale -> blocks, see `Measurement.scales`.
    """

    counts: Counter[str] = field(default_factory=Counter)
    maxima: dict[str, float] = field(default_factory=dict)
    locations: dict[str, Location] = field(default_factory=dict)
    minima: dict[str, float] = field(default_factory=dict)
    sums: dict[str, Any] = field(default_factory=dict)
    exponents: Counter[int] = field(default_factory=Counter)
    scales: Counter[int] = field(default_factory=Counter)

    @property
    def known(self) -> Known:
        """What the measurer of one more block need not look for."""
        return Known(self.maxima, self.locations)

    def take(self, measurement: Measurement, locate: Locate) -> None:
        """Takes in the measurement of one more block, made with what is `known`."""
        for name, at in measurement.firsts.items():
            if name not in self.locations:
                self.locations[name] = locate(at)
        for name, largest in measurement.maxima.items():
            if largest.value > self.maximum(name):
                self.maxima[name] = largest.value
                self.locations[name] = locate(largest.position)
        self._lower(measurement.minima)
        self._add_up(measurement.counts, measurement.sums)
        _add(self.exponents, measurement.exponents)
        _add(self.scales, measurement.scales)

    def merge(self, other: CastStats) -> CastStats:
        """The statistics of both together; `self` comes first where a first is kept."""
        merged = CastStats()
        merged.add(self)
        merged.add(other)
        return merged

    def add(self, other: CastStats) -> None:
        """Takes in other statistics, of what comes after."""
        for name, location in other.locations.items():
            if name not in self.locations or other.maximum(name) > self.maximum(name):
                self.locations[name] = location
        for name, largest in other.maxima.items():
            if largest > self.maximum(name):
                self.maxima[name] = largest
        self._lower(other.minima)
        self._add_up(other.counts, other.sums)
        _add(self.exponents, other.exponents)
        _add(self.scales, other.scales)

    def _lower(self, minima: Mapping[str, float]) -> None:
        for name, smallest in minima.items():
            self.minima[name] = min(self.minima.get(name, smallest), smallest)

    def _add_up(self, counts: Mapping[str, int], sums: Mapping[str, Any]) -> None:
        _add(self.counts, counts)
        for name, total in sums.items():
            self.sums[name] = self.sums[name] + total if name in self.sums else total

    def maximum(self, name: str) -> float:
        """The largest of that name, 0 if there was none."""
        return self.maxima.get(name, 0.0)

    def squares(self, name: str) -> ScaledSquares:
        """The sum of squares of that name."""
        found: ScaledSquares = self.sums.get(name, ScaledSquares())
        return found

    def exponent_histogram(self) -> Mapping[int, int]:
        """The exponents in ascending order -> elements."""
        return {exponent: self.exponents[exponent] for exponent in sorted(self.exponents)}

    def scale_histogram(self) -> Mapping[int, int]:
        """The codes (or exponents) of scales in ascending order -> blocks."""
        return {code: self.scales[code] for code in sorted(self.scales)}


def _add(total: Counter[_Key], more: Mapping[_Key, int]) -> None:
    if not total:
        dict.update(total, more)  # a Counter's own adds up one by one
        return
    get = total.get  # a Counter's own look-up of what it lacks is slow
    for key, count in more.items():
        total[key] = get(key, 0) + count
