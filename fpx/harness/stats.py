"""What a cast did to a block of values, as numbers that add up over blocks, tensors and devices.

Every count is a row of COUNTERS and every largest error a row of ERRORS; `CastStats` keeps one
number for each, so that nothing proportional to the tensor stays in memory.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor

from fpx.core.codec import rounding_interval
from fpx.core.spec import FormatSpec
from fpx.report.cast import Location

_BIAS = 1023  # of float64, in which everything is measured
_FRACTION_BITS = 52
_SPECIAL = 2047  # biased exponent of float64's infinities and NaNs
_SAFE_EXPONENT = 400  # squares of numbers within 2^±400 neither over- nor underflow

Locate = Callable[[int], tuple[str, tuple[int, ...]]]
"""Position in a block -> (tensor, multi-index)."""


class SourceBlock:
    """A block of source values, with what every target's statistics need of it.

    Args:
        x: 1-D tensor of any real dtype, on any device, not empty.
        locate: where its elements are in the tensor they come from.
    """

    def __init__(self, x: Tensor, locate: Locate) -> None:
        self.x = x
        self.locate = locate

    @cached_property
    def value(self) -> Tensor:
        """x in float64: exact but for integers beyond 2^53, see `low`."""
        if self.low is None:
            return self.x.to(torch.float64)
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
    def biased_exponent(self) -> Tensor:
        """The exponent field of |x| in float64, int64."""
        return self.magnitude.view(torch.int64) >> _FRACTION_BITS

    @cached_property
    def largest(self) -> float:
        """max |x|; inf or NaN where x has such."""
        return float(self.magnitude.amax())

    @cached_property
    def finite(self) -> Tensor | None:
        """Where x is finite; None stands for everywhere."""
        return None if math.isfinite(self.largest) else self.magnitude < math.inf

    @cached_property
    def zero(self) -> Tensor:
        """Where x is zero."""
        return self.magnitude == 0

    @cached_property
    def divisor(self) -> Tensor:
        """|x| to divide by: 1 where x is 0 or not finite."""
        unusable = self.zero if self.finite is None else self.zero | ~self.finite
        return torch.where(unusable, 1.0, self.magnitude)

    @cached_property
    def exponents(self) -> Tensor:
        """Count of each biased exponent among non-zero x: int64 of shape (2048,), on the CPU.

        float64's subnormals are in bin 0, infinities and NaNs in bin 2047.
        """
        counts = torch.bincount(self.biased_exponent, minlength=_SPECIAL + 1).cpu()
        counts[0] -= int(self.zero.count_nonzero())
        return counts


class Pair:
    """A source block and its cast, with the elementwise quantities that metrics share.

    Args:
        source: the block before the cast.
        q: the block after it, any float dtype, same shape and device.
        target: the format that `q` is in.
    """

    def __init__(self, source: SourceBlock, q: Tensor, target: FormatSpec) -> None:
        self.source = source
        self.q = q
        self.target = target
        self.thresholds = Thresholds.of(target)

    @cached_property
    def result(self) -> Tensor:
        """q in float64, exact."""
        return self.q.to(torch.float64)

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
    def all_finite(self) -> bool:
        """Whether every x and every q is finite."""
        return self.source.finite is None and math.isfinite(float(self.magnitude.amax()))

    @cached_property
    def finite_count(self) -> int:
        """Pairs that are finite on both sides."""
        if self.all_finite:
            return self.q.numel()
        finite = self.result.isfinite()
        if self.source.finite is not None:
            finite = finite & self.source.finite
        return int(finite.count_nonzero())

    @cached_property
    def overflow(self) -> Tensor | None:
        """Where a finite x is beyond the overflow threshold; None stands for nowhere."""
        source, limit = self.source, self.thresholds.overflow
        if source.largest < limit:
            return None
        beyond = (
            source.magnitude > limit if self.thresholds.tie_stays else source.magnitude >= limit
        )
        return beyond if source.finite is None else beyond & source.finite

    @cached_property
    def zero(self) -> Tensor:
        """Where q is zero."""
        return self.result == 0

    @cached_property
    def error(self) -> Tensor:
        """|q - x|; 0 where either is not finite."""
        return self.signed_error.abs()

    def relative_error(self) -> Tensor:
        """|q - x| / |x|; 0 where x is 0."""
        error = self.error / self.source.divisor
        return error if self.target.zero else torch.where(self.source.zero, 0.0, error)

    def error_in_ulps(self) -> Tensor:
        """|q - x| in ulps of the target at x: a product with a power of two, so exact."""
        target = self.target
        exponent = self.source.biased_exponent.clamp(target.emin + _BIAS, target.emax + _BIAS)
        # the exponent field of 2^-(exponent - fraction_bits). It is cut at float64's largest power
        # of two, which only a float64 target reaches, and only where it is exact.
        scale = (2 * _BIAS + target.fraction_bits) - exponent
        if 2 * _BIAS + target.fraction_bits - (target.emin + _BIAS) >= _SPECIAL:
            scale.clamp_(max=_SPECIAL - 1)
        return self.error * (scale << _FRACTION_BITS).view(torch.float64)


class Thresholds(NamedTuple):
    """The magnitudes, as float64, that tell overflows and subnormals of a format.

    All are exact: they have at most one bit more than the format's significand.
    """

    overflow: float
    tie_stays: bool
    """Whether a magnitude of exactly `overflow` is still rounded to max_finite."""
    smallest_normal: float

    @classmethod
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


# -- metrics ---------------------------------------------------------------------------------------


def _count(mask: Tensor | None) -> int:
    return 0 if mask is None else int(mask.count_nonzero())


def _among_overflows(test: Callable[[Tensor], Tensor]) -> Callable[[Pair], int]:
    def count(pair: Pair) -> int:
        return 0 if pair.overflow is None else _count(pair.overflow & test(pair.result))

    return count


def _unexpected_nonfinite(pair: Pair) -> int:
    if pair.all_finite:
        return 0
    wrong = ~pair.result.isfinite()
    if pair.source.finite is not None:
        wrong &= pair.source.finite
    return _count(wrong if pair.overflow is None else wrong & ~pair.overflow)


def _subnormals(pair: Pair) -> int:
    below = pair.magnitude < pair.thresholds.smallest_normal
    return int(below.count_nonzero()) - int(pair.zero.count_nonzero())


def _exact(pair: Pair) -> int:
    exact = pair.q.numel() - int(pair.signed_error.count_nonzero())
    if pair.all_finite:
        return exact
    # the error was set to 0 where a side is not finite: of those only a kept infinity is exact
    kept = pair.source.magnitude.isinf() & (pair.result == pair.source.rounded)
    return exact - (pair.q.numel() - pair.finite_count) + int(kept.count_nonzero())


def _nan_inputs(pair: Pair) -> int:
    return 0 if pair.source.finite is None else _count(pair.source.rounded.isnan())


def _infinite_inputs(pair: Pair) -> int:
    return 0 if pair.source.finite is None else _count(pair.source.rounded.isinf())


def _nans_lost(pair: Pair) -> int:
    if pair.source.finite is None:
        return 0
    return _count(pair.source.rounded.isnan() & ~pair.result.isnan())


COUNTERS: dict[str, Callable[[Pair], int]] = {
    "count": lambda pair: pair.q.numel(),
    "overflow_count": lambda pair: _count(pair.overflow),
    "overflow_to_inf_count": _among_overflows(torch.isinf),
    "overflow_to_nan_count": _among_overflows(torch.isnan),
    "saturated_count": _among_overflows(torch.isfinite),
    "unexpected_nonfinite_count": _unexpected_nonfinite,
    "underflow_count": lambda pair: _count(pair.zero & ~pair.source.zero),
    "subnormal_count": _subnormals,
    "nan_input_count": _nan_inputs,
    "inf_input_count": _infinite_inputs,
    "nan_lost_count": _nans_lost,
    "exact_count": _exact,
}
"""Name -> number of elements in a block. They merge by adding."""

ERRORS: dict[str, Callable[[Pair], Tensor]] = {
    "max_abs_error": lambda pair: pair.error,
    "max_rel_error": Pair.relative_error,
    "max_error_ulp": Pair.error_in_ulps,
}
"""Name -> elementwise error, of which the largest is kept, with where it is."""


class ScaledSquares(NamedTuple):
    """A sum of squares, total * 4^exponent, that does not overflow where the norm does not."""

    total: float = 0.0
    exponent: int = 0

    @classmethod
    def of(cls, values: Tensor, largest: float) -> ScaledSquares:
        """The sum of the squares of finite float64 values with that largest magnitude."""
        if largest == 0:
            return cls()
        exponent = math.frexp(largest)[1]
        if -_SAFE_EXPONENT < exponent < _SAFE_EXPONENT:
            return cls(float(torch.dot(values, values)))
        # two steps: 2^-exponent itself may be out of range
        half = exponent // 2
        scaled = values * 2.0**-half * 2.0 ** (half - exponent)
        return cls(float(torch.dot(scaled, scaled)), exponent)

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
        pair = Pair(source, q, target)
        for name, count in COUNTERS.items():
            self.counters[name] += count(pair)
        self.finite_count += pair.finite_count
        for name, elementwise in ERRORS.items():
            self._add_error(name, elementwise(pair), pair)
        largest_error = float(pair.error.amax())
        self.noise += ScaledSquares.of(pair.signed_error, largest_error)
        self.signal += self._signal(pair)
        if self.first_overflow is None and pair.overflow is not None and pair.overflow.any():
            self.first_overflow = _location(pair, int(pair.overflow.to(torch.uint8).argmax()))
        self.exponents = _added(self.exponents, source.exponents)

    def _add_error(self, name: str, errors: Tensor, pair: Pair) -> None:
        largest = float(errors.amax())
        if largest > self.errors[name][0]:
            self.errors[name] = largest, _location(pair, int(errors.argmax()))

    @staticmethod
    def _signal(pair: Pair) -> ScaledSquares:
        values = pair.source.rounded
        if pair.all_finite:
            return ScaledSquares.of(values, pair.source.largest)
        finite = pair.result.isfinite() & values.isfinite()
        values = torch.where(finite, values, 0.0)
        return ScaledSquares.of(values, float(values.abs().amax()))

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
        counts = self.exponents[:_SPECIAL].tolist()
        return {biased - _BIAS: count for biased, count in enumerate(counts) if count}


def _added(left: Tensor | None, right: Tensor | None) -> Tensor | None:
    if left is None or right is None:
        return right if left is None else left
    return left + right


def _location(pair: Pair, position: int) -> Location:
    tensor, index = pair.source.locate(position)
    return Location(tensor, index, pair.source.x[position].item(), float(pair.result[position]))
