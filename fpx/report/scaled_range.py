"""The constants of scaled formats, and those of several formats of both kinds."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar

from fpx.core.elements import Codebook, largest
from fpx.core.numbers import fraction_text
from fpx.core.scaling import ScaledFormat, Scope
from fpx.core.spec import FormatSpec
from fpx.report.base import JsonValue, Report, Reports
from fpx.report.ranges import FormatReport


@dataclass(frozen=True, eq=False, repr=False)
class ScaledRange(Report):
    """The constants of one scaled format, at a global scale of 1."""

    schema: ClassVar[str] = FormatReport.schema

    spec: ScaledFormat

    @property
    def format(self) -> str:
        """The format's name."""
        return self.spec.name

    @property
    def element_max(self) -> Fraction:
        """The largest element."""
        return largest(self.spec.element)

    @property
    def element_smallest(self) -> Fraction:
        """The smallest positive element."""
        element = self.spec.element
        if isinstance(element, Codebook):
            return min(value for value in element.values if value > 0)
        return element.smallest_positive.fraction

    @property
    def machine_epsilon(self) -> Fraction | None:
        """Of the element: 2^(1-p); None of a table of numbers."""
        element = self.spec.element
        return None if isinstance(element, Codebook) else element.machine_epsilon.fraction

    @property
    def max_finite(self) -> Fraction:
        """The largest element at the largest scale."""
        return self.element_max * self.spec.scale.max_finite.fraction

    @property
    def smallest_positive(self) -> Fraction:
        """The smallest positive element at the smallest positive scale."""
        return self.element_smallest * self.spec.scale.smallest_positive.fraction

    @property
    def block_ratio(self) -> Fraction:
        """How many times the smallest positive number of a block its largest may be."""
        return self.element_max / self.element_smallest

    @property
    def numbers_per_scale(self) -> int | None:
        """The numbers of a block; None where a tensor's or a channel's share a scale."""
        reach = self.spec.reach
        return reach.rows * reach.columns if reach.scope is Scope.BLOCK else None

    @property
    def constants(self) -> dict[str, JsonValue]:
        """The keys of `FormatReport`, null where they have no meaning, and what scales add."""
        spec, epsilon = self.spec, self.machine_epsilon
        return dict.fromkeys(FormatReport.KEYS) | {
            "format": self.format,
            "bits": spec.bits,
            "max_finite": fraction_text(self.max_finite),
            "machine_epsilon": None if epsilon is None else fraction_text(epsilon),
            "dynamic_range_log2": _log2(self.max_finite / self.smallest_positive),
            "bits_per_element": spec.bits_per_element,
            "shares": str(spec.reach),
            "element": spec.element.name,
            "element_max": fraction_text(self.element_max),
            "element_smallest": fraction_text(self.element_smallest),
            "scale_format": spec.scale.name,
            "global_scale_format": None if spec.global_scale is None else spec.global_scale.name,
            "smallest_positive": fraction_text(self.smallest_positive),
            "block_range_log2": _log2(self.block_ratio),
        }

    def about(self) -> str:
        """The format."""
        return self.format

    def results(self) -> list[dict[str, JsonValue]]:
        """One entry: the constants."""
        return [self.constants]


class RangeReport(Reports):
    """The constants of several formats, with scales or without."""

    items: tuple[FormatReport | ScaledRange, ...]

    @classmethod
    def of(cls, targets: Iterable[FormatSpec | ScaledFormat]) -> RangeReport:
        """The constants of these."""
        return cls(
            tuple(
                ScaledRange(target) if isinstance(target, ScaledFormat) else FormatReport(target)
                for target in targets
            )
        )


def _log2(value: Fraction) -> float:
    return math.log2(value.numerator) - math.log2(value.denominator)
