"""Why a cast gives other bits than correct rounding does: the known ways, as one table."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache

import torch
from torch import Tensor

from fpx.casts.rounding import Span, round_codes
from fpx.casts.unpacked import nans
from fpx.core.formats import FORMATS
from fpx.core.policy import Overflow, Rounding
from fpx.core.spec import FormatSpec
from fpx.report.cast_verify import NAN_BITS, POLICY, WRONG_ROUNDING
from fpx.tensors.dtypes import IntegerType, Origin, wrapped


@dataclass(frozen=True)
class Differences:
    """Codes (n,) whose results (n,) are not the expected ones (n,).

    Attributes:
        codes, origin, target, expected, got: what was cast to what, and the results.
        span: of the codes, if it is known, which makes other rules cheap: see `round_codes`.
        rounding: what was asked for.
        consulted: what other rules gave, and whether inputs were subnormal: all but signs, NaNs
            and the results that tests of causes depend on.
    """

    codes: Tensor
    origin: Origin
    target: FormatSpec
    expected: Tensor
    got: Tensor
    span: Span | None = None
    rounding: Rounding = Rounding.TIES_TO_EVEN
    consulted: list[Tensor] = field(default_factory=list, repr=False)
    _rounded: dict[tuple[FormatSpec, Rounding, Overflow, FormatSpec | None], Tensor] = field(
        default_factory=dict, init=False, repr=False
    )

    @property
    def tensors(self) -> tuple[Tensor, Tensor, Tensor]:
        """Codes, what was expected, and what came."""
        return self.codes, self.expected, self.got

    def where(self, chosen: Tensor) -> Differences:
        """Some of them, by bools (n,)."""
        return self._of(*(part[chosen] for part in self.tensors))

    def at(self, positions: Tensor) -> Differences:
        """Some of them, by positions (m,)."""
        return self._of(*(part.index_select(0, positions) for part in self.tensors))

    def _of(self, codes: Tensor, expected: Tensor, got: Tensor) -> Differences:
        return replace(self, codes=codes, expected=expected, got=got, consulted=[])

    def rounded(
        self,
        rounding: Rounding = Rounding.TIES_TO_EVEN,
        overflow: Overflow = Overflow.IEEE,
        middle: FormatSpec | None = None,
    ) -> Tensor:
        """The target's codes by another rule, after a rounding to `middle` if there is one."""
        return self._to(self.target, rounding, overflow, middle)

    def _to(
        self,
        target: FormatSpec,
        rounding: Rounding = Rounding.TIES_TO_EVEN,
        overflow: Overflow = Overflow.IEEE,
        middle: FormatSpec | None = None,
    ) -> Tensor:
        """Codes of any target; each way to them is computed once."""
        way = target, rounding, overflow, middle
        if way not in self._rounded:
            codes, origin, span = self.codes, self.origin, self.span
            if middle is not None:
                codes, origin, span = self._to(middle), middle, None
            self._rounded[way] = round_codes(codes, origin, target, rounding, overflow, span)
            self.consulted.append(self._rounded[way])
        return self._rounded[way]

    def magnitude(self, codes: Tensor) -> Tensor:
        """The target's codes without their sign, as numbers that compare."""
        if self.target.signed or codes.dtype is torch.uint8:
            return codes & wrapped(self.target.magnitude_mask, codes.dtype)
        return codes.to(torch.int64) & self.target.magnitude_mask

    @property
    def origin_finite(self) -> int:
        """The largest finite magnitude of the origin, a format."""
        assert isinstance(self.origin, FormatSpec)
        return self.origin.max_finite_magnitude

    @cached_property
    def origin_nan(self) -> Tensor:
        """NaN inputs."""
        if self.span is not None and self.span.high <= self.origin_finite:
            return torch.zeros_like(self.codes, dtype=torch.bool)
        return nans(self.codes, self.origin)

    @cached_property
    def expected_nan(self) -> Tensor:
        """NaNs that were expected."""
        return nans(self.expected, self.target)

    @cached_property
    def got_nan(self) -> Tensor:
        """NaNs that came."""
        return nans(self.got, self.target)

    @cached_property
    def negative(self) -> Tensor:
        """Inputs with a sign."""
        if isinstance(self.origin, IntegerType):
            return (self.codes < 0) & self.origin.signed
        if self.span is not None:
            return torch.full_like(self.codes, self.span.negative, dtype=torch.bool)
        return (self.codes.to(torch.int64) & self.origin.sign_mask) != 0

    @cached_property
    def overflow(self) -> Tensor:
        """Inputs that round beyond the largest finite value, infinities among them."""
        if self.target.infinity or self.target.nan_code is not None:
            beyond = self.rounded() != self.rounded(Rounding.TIES_TO_EVEN, Overflow.SATURATE)
            return beyond & ~self.invalid & ~self.origin_nan
        # what the format gives does not tell overflow; with one more exponent bit it does
        wider = replace(self.target, exponent_bits=self.target.exponent_bits + 1)
        magnitude = self._to(wider).to(torch.int64) & wider.magnitude_mask
        return magnitude > self.target.max_finite_magnitude

    @cached_property
    def invalid(self) -> Tensor:
        """Inputs that no value of the target is near: negative without sign, 0 without zero."""
        if self.target.signed and self.target.zero:
            return torch.zeros_like(self.origin_nan)
        nan = nans(self.rounded(), self.target) & ~self.origin_nan
        lowest = self.rounded(Rounding.TIES_TO_EVEN, Overflow.SATURATE) == 0
        return nan & lowest

    @cached_property
    def absolute(self) -> Differences:
        """The same with the inputs' magnitudes."""
        if isinstance(self.origin, IntegerType):
            # the least integer has none here; its neighbour rounds likewise
            least = torch.iinfo(self.codes.dtype).min
            return replace(self, codes=self.codes.clamp(min=least + 1).abs())
        span = None if self.span is None else self.span._replace(negative=False)
        return replace(self, codes=self.codes & self.origin.magnitude_mask, span=span)

    @cached_property
    def same_sign(self) -> Tensor:
        """Results whose sign is the input's."""
        sign = wrapped(self.target.sign_mask, self.got.dtype)
        return ((self.got & sign) != 0) == self.negative

    @cached_property
    def origin_subnormal(self) -> Tensor:
        """Subnormal inputs."""
        if isinstance(self.origin, IntegerType) or not self.origin.zero:
            return torch.zeros_like(self.origin_nan)
        if self.span is not None and self.span.low >> self.origin.fraction_bits:
            return torch.zeros_like(self.origin_nan)
        magnitude = self.codes.to(torch.int64) & self.origin.magnitude_mask
        found = (magnitude > 0) & (magnitude >> self.origin.fraction_bits == 0)
        self.consulted.append(found)
        return found


Test = Callable[[Differences], Tensor]


_EVEN, _AWAY = Rounding.TIES_TO_EVEN, Rounding.TIES_TO_AWAY


@dataclass(frozen=True)
class Cause:
    """One way of going wrong.

    Attributes:
        name: a key.
        reason: in words.
        word: for a cell.
        kind: one of `fpx.report.cast_verify.KINDS`.
        test: which differences it explains, as bools (n,).
    """

    name: str
    reason: str
    word: str
    kind: str
    test: Test


def _saturates(d: Differences) -> Tensor:
    top = d.magnitude(d.got) == d.target.max_finite_magnitude
    return d.overflow & top & (d.same_sign if d.target.signed else ~d.negative)


def _to_infinity(d: Differences) -> Tensor:
    if d.target.infinity_magnitude is None:
        return torch.zeros_like(d.overflow)
    return d.overflow & (d.magnitude(d.got) == d.target.infinity_magnitude) & d.same_sign


def _drops_sign(rounding: Rounding, middle: str | None = None) -> Test:
    def test(d: Differences) -> Tensor:
        if d.target.signed or not d.origin.signed:
            return torch.zeros_like(d.origin_nan)
        if middle is not None:
            return d.invalid & _through(middle, rounding)(d.absolute)
        return d.invalid & (d.absolute.rounded(rounding) == d.got)

    return test


def _smallest_as_zero(d: Differences) -> Tensor:
    """Rounds as to a format whose lowest code stands for 0, which is to say to another midpoint."""
    if d.target.zero:
        return torch.zeros_like(d.origin_nan)
    absolute = d.absolute if d.origin.signed else d
    other = replace(absolute, target=replace(d.target, zero=True))
    lowest = absolute.rounded(Rounding.TOWARD_ZERO) == 0
    return lowest & (other.rounded() == d.got)


def _zero_sign(d: Differences) -> Tensor:
    both = (d.magnitude(d.expected) == 0) & (d.magnitude(d.got) == 0)
    return both & ~d.expected_nan & ~d.got_nan


def _flushes(d: Differences) -> Tensor:
    subnormal = torch.zeros_like(d.origin_nan)
    for result in (d.expected, d.rounded(Rounding.TOWARD_ZERO)):  # tiny after or before rounding
        magnitude = d.magnitude(result)
        subnormal |= (magnitude > 0) & (magnitude >> d.target.fraction_bits == 0)
    zero = (d.magnitude(d.got) == 0) & ~d.got_nan
    return zero & (subnormal | d.origin_subnormal) if d.target.zero else zero & d.origin_subnormal


def _through(name: str, rounding: Rounding = _EVEN, overflow: Overflow = Overflow.IEEE) -> Test:
    def test(d: Differences) -> Tensor:
        middle = FORMATS[name]
        if middle == d.target or _is_exact(d.origin, middle):
            return torch.zeros_like(d.origin_nan)
        return (d.rounded(rounding, overflow, middle) == d.got) & ~d.origin_nan

    return test


@lru_cache(maxsize=256)
def _is_exact(origin: Origin, middle: FormatSpec) -> bool:
    return isinstance(origin, FormatSpec) and middle.holds(origin)


def _double_rounding(
    also: str = "", rounding: Rounding = _EVEN, overflow: Overflow = Overflow.IEEE
) -> Iterator[Cause]:
    for name in ("float32", "float64"):
        yield Cause(
            "double_rounding",
            f"rounded to {name} on the way{also}",
            "double",
            WRONG_ROUNDING,
            _through(name, rounding, overflow),
        )


def _drops_signs() -> Iterator[Cause]:
    for middle, on_the_way in ((None, ""), ("float32", ", rounded to float32 on the way")):
        for rounding, ties in ((_EVEN, ""), (_AWAY, ", rounds ties away from zero")):
            words = f"drops the sign{ties}{on_the_way}"
            yield Cause("drops_sign", words, "sign", POLICY, _drops_sign(rounding, middle))


CAUSES = (
    Cause("nan_bits", "NaN with other bits", "NaN bits", NAN_BITS,
          lambda d: d.expected_nan & d.got_nan),
    *_double_rounding(),  # before policies: what it takes over the edge follows none
    Cause("saturates", "saturates", "saturates", POLICY, _saturates),
    Cause("overflows_to_infinity", "overflows to infinity", "infinity", POLICY, _to_infinity),
    Cause("overflows_to_nan", "overflows to NaN", "NaN", POLICY, lambda d: d.overflow & d.got_nan),
    Cause("smallest_value", "gives the smallest value", "smallest", POLICY,
          lambda d: d.invalid & (d.got == 0)),
    *_drops_signs(),
    Cause("nan_class", "makes a number of a NaN", "NaN class", WRONG_ROUNDING,
          lambda d: d.origin_nan & ~d.got_nan),
    Cause("zero_sign", "has the other sign of zero", "zero sign", WRONG_ROUNDING, _zero_sign),
    Cause("rounds_to_nearest", "rounds to nearest", "to nearest", WRONG_ROUNDING,
          lambda d: (d.rounded() == d.got) & (d.rounding is not _EVEN)),
    Cause("other_is_wrong", "is right, the other is not", "differs", WRONG_ROUNDING,
          lambda d: d.rounded() == d.got),
    Cause("ties_away", "rounds ties away from zero", "ties away", WRONG_ROUNDING,
          lambda d: d.rounded(Rounding.TIES_TO_AWAY) == d.got),
    Cause("smallest_as_zero", "takes the smallest value for zero", "low end", WRONG_ROUNDING,
          _smallest_as_zero),
    *_double_rounding(", saturates", _EVEN, Overflow.SATURATE),
    *_double_rounding(", rounds ties away from zero", _AWAY),
    Cause("nan_class", "gives NaN", "NaN class", WRONG_ROUNDING, lambda d: d.got_nan),
    Cause("flushes_subnormals", "flushes subnormals to zero", "flushes", WRONG_ROUNDING, _flushes),
    Cause("truncates", "truncates", "truncates", WRONG_ROUNDING,
          lambda d: d.rounded(Rounding.TOWARD_ZERO) == d.got),
    Cause("other", "not known", "wrong", WRONG_ROUNDING,
          lambda d: torch.ones_like(d.origin_nan)),
)  # fmt: skip
"""Every cause; the first that explains a difference has it."""


def explain(differences: Differences) -> Iterator[tuple[Cause, Differences]]:
    """Each cause that there is, with the differences that are its: together, all of them."""
    left = differences
    for cause in CAUSES:
        if not left.codes.numel():
            return
        explained = cause.test(left)
        count = int(explained.count_nonzero())  # one pass, where any() and all() are two slow ones
        if count == left.codes.numel():
            yield cause, left
            return
        if count:
            yield cause, left.where(explained)
            left = left.where(~explained)
