"""What a cast did to values, as numbers that add up over blocks, tensors and devices.

Every count is a row of COUNTERS and every largest error a row of ERRORS; `CastStats` keeps one
number for each, so that nothing proportional to the tensor stays in memory.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor

from fpx.core.spec import FormatSpec
from fpx.measure.block import WIDE, SourceBlock
from fpx.measure.pair import Pair
from fpx.measure.squares import ScaledSquares
from fpx.report.cast_compare import Location

# -- metrics ---------------------------------------------------------------------------------------


def _among_overflows(test: Callable[[Tensor], Tensor]) -> Callable[[Pair], int]:
    def count(pair: Pair) -> int:
        return 0 if pair.overflow is None else pair.source.count(pair.overflow & test(pair.result))

    return count


def _unexpected_nonfinite(pair: Pair) -> int:
    if pair.all_finite:
        return 0
    wrong = ~pair.result.isfinite()
    if pair.source.finite is not None:
        wrong &= pair.source.finite
    return pair.source.count(wrong if pair.overflow is None else wrong & ~pair.overflow)


def _underflows(pair: Pair) -> int:
    return 0 if pair.zero is None else pair.source.count(pair.zero & ~pair.source.zero)


def _subnormals(pair: Pair) -> int:
    limit = pair.thresholds.smallest_normal
    if pair.extremes[0] >= limit:
        return 0
    return pair.source.count(pair.magnitude < limit) - pair.source.count(pair.zero)


def _exact(pair: Pair) -> int:
    source = pair.source
    exact = source.total - source.count(pair.signed_error)
    if pair.all_finite:
        return exact
    # the error was set to 0 where a side is not finite: of those only a kept infinity is exact
    kept = source.magnitude.isinf() & (pair.result == source.rounded)
    return exact - (source.total - pair.finite_count) + source.count(kept)


def _nan_inputs(pair: Pair) -> int:
    source = pair.source
    return 0 if source.finite is None else source.count(source.rounded.isnan())


def _infinite_inputs(pair: Pair) -> int:
    source = pair.source
    return 0 if source.finite is None else source.count(source.rounded.isinf())


def _nans_lost(pair: Pair) -> int:
    source = pair.source
    if source.finite is None:
        return 0
    return source.count(source.rounded.isnan() & ~pair.result.isnan())


COUNTERS: dict[str, Callable[[Pair], int]] = {
    "count": lambda pair: pair.source.total,
    "overflow_count": lambda pair: pair.source.count(pair.overflow),
    "overflow_to_inf_count": _among_overflows(torch.isinf),
    "overflow_to_nan_count": _among_overflows(torch.isnan),
    "saturated_count": _among_overflows(torch.isfinite),
    "unexpected_nonfinite_count": _unexpected_nonfinite,
    "underflow_count": _underflows,
    "subnormal_count": _subnormals,
    "nan_input_count": _nan_inputs,
    "inf_input_count": _infinite_inputs,
    "nan_lost_count": _nans_lost,
    "exact_count": _exact,
}
"""Name -> number of elements in a block. They merge by adding."""


class ErrorMetric(NamedTuple):
    """An elementwise error, of which the largest is kept, with where it is.

    Attributes:
        elementwise: the error of each pair, at least 0.
        slack: how far off it may be, relatively, where it is measured in float32.
    """

    elementwise: Callable[[Pair], Tensor]
    slack: float = 0.0


ERRORS: dict[str, ErrorMetric] = {
    "max_abs_error": ErrorMetric(lambda pair: pair.error),
    "max_rel_error": ErrorMetric(Pair.relative_error, slack=2.0**-22),  # one rounding is 2^-24
    "max_error_ulp": ErrorMetric(lambda pair: pair.error_in_ulps),
}
"""Name -> error. They merge by taking the larger."""


@dataclass
class CastStats:
    """The statistics of one cast, over any number of blocks.

    Attributes:
        counters: the counts of COUNTERS, and `finite_count`: pairs finite on both sides.
        errors: the largest value of each of ERRORS and where it is (the first, of equals).
        signal, noise: sums of squares of x and of q - x over pairs finite on both sides.
        first_overflow: the first overflow.
        exponents: count of each biased float64 exponent of x.
    """

    counters: dict[str, int] = field(default_factory=lambda: dict.fromkeys(COUNTERS, 0))
    finite_count: int = 0
    errors: dict[str, tuple[float, Location | None]] = field(
        default_factory=lambda: dict.fromkeys(ERRORS, (0.0, None))
    )
    signal: ScaledSquares = field(default_factory=ScaledSquares)
    noise: ScaledSquares = field(default_factory=ScaledSquares)
    first_overflow: Location | None = None
    exponents: Tensor | None = None

    def add(self, source: SourceBlock, q: Tensor, target: FormatSpec) -> None:
        """Takes in one more block: `source` was cast to `q`, in the format `target`."""
        pair = Pair.of(source, q, target)
        for name, count in COUNTERS.items():
            self.counters[name] += count(pair)
        self.finite_count += pair.finite_count
        largest = {name: self._add_error(name, metric, pair) for name, metric in ERRORS.items()}
        self.noise += source.squares(pair.signed_error, largest["max_abs_error"])
        self.signal += self._signal(pair)
        if self.first_overflow is None and pair.overflow is not None and pair.overflow.any():
            self.first_overflow = _location(pair, int(pair.overflow.to(torch.uint8).argmax()))
        self.exponents = _added(self.exponents, source.exponents)

    def _add_error(self, name: str, metric: ErrorMetric, pair: Pair) -> float:
        """Takes in the largest error of a block, and returns it as measured."""
        errors = metric.elementwise(pair)
        largest = float(errors.amax())
        kept, slack = self.errors[name][0], metric.slack if pair.is_narrow else 0.0
        if largest * (1 + slack) <= kept:
            return largest
        if not slack:
            self.errors[name] = largest, _location(pair, int(errors.argmax()))
            return largest
        if largest == kept == 1 and not (pair.error > pair.source.magnitude).any():
            return largest  # exactly 1, all of it: whatever underflows has that relative error
        # Which element has it is settled in float64. Rounding keeps the order, so it is one of
        # those that have the largest as measured.
        near = (errors == largest).nonzero().view(-1)
        exact = metric.elementwise(pair.at(near))
        at = int(exact.argmax())  # the first of equals
        if float(exact[at]) > kept:
            self.errors[name] = float(exact[at]), _location(pair, int(near[at]))
        return largest

    @staticmethod
    def _signal(pair: Pair) -> ScaledSquares:
        source = pair.source
        if pair.all_finite:
            return source.signal
        finite = pair.result.isfinite() & source.rounded.isfinite()
        values = torch.where(finite, source.rounded, 0.0)
        return source.squares(values, float(values.abs().amax()))

    def merge(self, other: CastStats) -> CastStats:
        """The statistics of both together; `self` comes first where a first is kept."""
        return CastStats(
            {name: self.counters[name] + other.counters[name] for name in COUNTERS},
            self.finite_count + other.finite_count,
            {
                name: max(self.errors[name], other.errors[name], key=lambda error: error[0])
                for name in ERRORS
            },
            self.signal + other.signal,
            self.noise + other.noise,
            self.first_overflow or other.first_overflow,
            _added(self.exponents, other.exponents),
        )

    @property
    def rms_error(self) -> float:
        """Root mean square of q - x; NaN without pairs."""
        return self.noise.root(self.finite_count) if self.finite_count else math.nan

    @property
    def sqnr_db(self) -> float:
        """Signal to quantisation noise ratio in dB; inf without noise, NaN without pairs."""
        if not self.finite_count:
            return math.nan
        if not self.noise.total:
            return math.inf
        return self.signal.ratio_db(self.noise) if self.signal.total else -math.inf

    def exponent_histogram(self) -> dict[int, int]:
        """Unbiased exponent -> count of finite non-zero x; float64's subnormals count as -1023."""
        if self.exponents is None:
            return {}
        counts = self.exponents[:-1].tolist()
        return {biased - WIDE.spec.bias: count for biased, count in enumerate(counts) if count}


def _added(left: Tensor | None, right: Tensor | None) -> Tensor | None:
    if left is None or right is None:
        return right if left is None else left
    return left + right


def _location(pair: Pair, position: int) -> Location:
    tensor, index = pair.source.locate(position)
    return Location(tensor, index, pair.source.x[position].item(), float(pair.result[position]))
