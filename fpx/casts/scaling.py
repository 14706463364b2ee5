"""Numbers to elements with scales, whole blocks at once, in float64.

Exact as `fpx.core.quantise` is, which this shares no arithmetic with. Steps (scale x global scale)
have at most 36 bits. What float64 lacks of numbers (integers beyond 2^53) and of results (those of
tables of values, as nf4 has, with a global scale) is a second float64. A quotient has more bits, so
it is rounded such that it stays on its side of every number of few bits, and only then to an
element or a scale.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from itertools import pairwise

import torch
from torch import Tensor

from fpx.casts import residuals
from fpx.casts.quotient import quotient
from fpx.casts.rounding import round_codes
from fpx.casts.values import values
from fpx.core.choices import NonFinite, ScaleRule, Ties
from fpx.core.elements import Codebook, emax, largest
from fpx.core.formats import FORMATS
from fpx.core.policy import Overflow
from fpx.core.quantise import global_scale
from fpx.core.scaling import ScaledFormat, even_bits
from fpx.core.spec import FormatSpec
from fpx.tensors.dtypes import wrapped

_FLOAT64 = FORMATS["float64"]
_EXPONENT = 0x7FF << 52  # of a float64's code
_FEW = 29  # bits of what elements and scales turn at, at most: fp4_bnb's


# -- scales ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Scales:
    """The scales of some groups.

    Attributes:
        amax: the largest finite magnitude of each group: float64 of shape (groups,).
        codes: of each group's scale, in the `container` of the format of scales.
        steps: scale x global scale of each group, float64; NaN where the scale is NaN.
    """

    amax: Tensor
    codes: Tensor
    steps: Tensor


def scales_of(
    amax: Tensor, poisoned: Tensor | None, target: ScaledFormat, global_: float = 1.0
) -> Scales:
    """The scales of groups; of `4over6` those for a largest element of 6.

    Args:
        amax: the largest finite magnitude of each group, float64, exact.
        poisoned: which groups hold an infinity or a NaN; None stands for none.
        target: what they are quantised to.
        global_: the tensor's global scale.
    """
    return _scales(amax, poisoned, target, global_, float(largest(target.element)))


def scales_for_four(
    amax: Tensor, poisoned: Tensor | None, target: ScaledFormat, global_: float
) -> Scales:
    """As `scales_of`, for a largest element of 4."""
    return _scales(amax, poisoned, target, global_, 4.0)


def global_scale_of(amax: float, target: ScaledFormat) -> float:
    """The global scale of a tensor with that largest finite magnitude; 1 where it has none."""
    if target.global_scale is None:
        return 1.0
    return float(global_scale(Fraction(amax), target)[1])


def _scales(
    amax: Tensor, poisoned: Tensor | None, target: ScaledFormat, global_: float, top: float
) -> Scales:
    encoding, spec = target.encoding, target.scale
    if encoding.rule in (ScaleRule.AMAX, ScaleRule.FOUR_OVER_SIX):
        wanted = quotient(amax, torch.full_like(amax, top * global_), _FEW)
    else:
        wanted = _power_of_two(amax, target, global_)
    held = wanted.view(torch.int64)
    codes = round_codes(held, _FLOAT64, spec, overflow=Overflow.SATURATE)

    def put(where: Tensor, code: int) -> None:
        codes.masked_fill_(where, wrapped(code, codes.dtype))

    if encoding.zero_scale is not None and spec.zero:
        put(codes == 0, encoding.zero_scale)
    if encoding.least_scale:
        codes.clamp_(min=encoding.least_scale)
    zeros = amax == 0
    if encoding.zero_block is not None:
        put(zeros, encoding.zero_block)
    else:
        put(zeros, encoding.least_scale)
    if poisoned is not None and encoding.nonfinite is NonFinite.BLOCK and spec.nan_code is not None:
        put(poisoned, spec.nan_code)
    return Scales(amax, codes, values(codes, spec) * global_)


def _power_of_two(amax: Tensor, target: ScaledFormat, global_: float) -> Tensor:
    """The power of two that the rule asks for; anything where amax is 0."""
    element, rule = target.element, target.encoding.rule
    if global_ != 1:
        amax = quotient(amax, torch.full_like(amax, global_), _FEW)
    mantissa, exponent = torch.frexp(amax)  # mantissa in [1/2, 1)
    top = emax(element)
    exponent = exponent - 1 - top
    significand = mantissa * 2
    if rule is ScaleRule.CEIL:
        bump = significand != 1
    elif rule is ScaleRule.EVEN:
        bump = significand >= 2 - 0.5 ** (even_bits(target) + 1)
    elif rule is ScaleRule.RCEIL:
        bump = significand > float(largest(element)) / 2.0**top
    else:
        bump = torch.zeros_like(amax, dtype=torch.bool)
    return torch.ldexp(torch.ones_like(amax), exponent + bump)


# -- elements --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Elements:
    """Numbers as elements of scaled formats.

    Attributes:
        ratio: x over the step, float64: what was rounded to an element. Where a scale is 0, over
            the smallest step that there is.
        element: the values of the elements, float64.
        result: element x step.
        low: what `result` lacks of that, where it is finite; None is nothing.
        step: per element; 0 where the scale is 0, NaN where it is NaN.
    """

    ratio: Tensor
    element: Tensor
    result: Tensor
    low: Tensor | None
    step: Tensor


def quantise(
    x: Tensor,
    step: Tensor,
    target: ScaledFormat,
    narrow: bool,
    low: Tensor | None = None,
    global_: float = 1.0,
) -> Elements:
    """Numbers as elements at given steps.

    Args:
        x: float64 of shape (n,).
        step: float64, which `x` can be divided by: of its shape, or broadcast to it.
        target: what they become.
        narrow: whether every x has at most 24 bits.
        low: float64, what `x` lacks of the numbers; None is nothing.
        global_: the tensor's global scale, which is in the steps.
    """
    dead, given = step == 0, step
    tiny = None
    if bool(dead.any()):
        tiny = float(target.scale.smallest_positive.fraction) * global_
        step = torch.where(dead, tiny, step)
    # of few bits in all no quotient is rounded to what elements turn at without being it
    few = narrow and not _is_long(target)
    ratio = x / step if few else quotient(x, step.expand_as(x), _FEW, low)
    element = round_elements(ratio, target)
    finite = math.isfinite(float(ratio.abs().max())) if ratio.numel() else True
    if not finite:
        element = _with_specials(element, ratio, step, target)
    if tiny is not None:
        element = torch.where(dead & element.isfinite(), 0.0, element)
    return Elements(ratio, element, *product(element, step, target), given.expand_as(x))


def product(element: Tensor, step: Tensor, target: ScaledFormat) -> tuple[Tensor, Tensor | None]:
    """element x step in float64, and what that lacks of it; None is nothing."""
    result = element * step
    return result, residuals.of_product(element, step, result) if _is_long(target) else None


def _is_long(target: ScaledFormat) -> bool:
    """Whether both elements and steps have many bits."""
    of_table = isinstance(target.element, Codebook) and target.element.fraction_bits is None
    return of_table and target.global_scale is not None


def _with_specials(element: Tensor, ratio: Tensor, step: Tensor, target: ScaledFormat) -> Tensor:
    """Infinities and NaNs as the element has them; a NaN scale makes everything NaN."""
    kind = target.element
    infinite = isinstance(kind, FormatSpec) and kind.infinity
    has_nan = isinstance(kind, FormatSpec) and kind.nan_code is not None
    if infinite:
        element = torch.where(ratio.isinf(), ratio, element)
    if has_nan:
        return torch.where(ratio.isnan(), math.nan, element)
    lost = ratio.isnan() & ~step.isnan().expand_as(ratio)
    return torch.where(lost, 0.0, element)


def round_elements(ratio: Tensor, target: ScaledFormat) -> Tensor:
    """The element nearest to each number, the largest beyond it: float64. Consumes nothing."""
    element, ties = target.element, target.encoding.ties
    if isinstance(element, Codebook) and element.fraction_bits is None:
        table, bounds = _table(element, ties, ratio.device)
        return table[torch.bucketize(ratio, bounds)]
    top = float(largest(element))
    y = ratio.clamp(-top, top)
    quantum = quantum_of(y, target)
    if ties is Ties.EVEN:
        # with so large a number beside it, float64's own rounding is that to whole quanta
        magic = quantum * (1.5 * 2.0**52)
        return (y + magic).sub_(magic)
    whole = (y / quantum).abs()
    floor = whole.floor()
    rest = whole - floor
    up = rest >= 0.5 if ties is Ties.AWAY else rest > 0.5
    return torch.copysign((floor + up) * quantum, y)


def quantum_of(ratio: Tensor, target: ScaledFormat) -> Tensor:
    """The spacing of elements at a number in their range: float64, powers of two but for tables.

    Of a table it is the distance between the two values around the number.
    """
    element = target.element
    if isinstance(element, Codebook):
        if element.fraction_bits is not None:
            return torch.full_like(ratio, 0.5**element.fraction_bits)
        ordered, gaps = _gaps(element, ratio.device)
        return gaps[torch.bucketize(ratio, ordered)]
    field = ratio.view(torch.int64) & _EXPONENT
    bias, shift = _FLOAT64.bias, _FLOAT64.fraction_bits
    field.clamp_((element.emin + bias) << shift, (element.emax + bias) << shift)
    return field.sub_(element.fraction_bits << shift).view(torch.float64)


@lru_cache(maxsize=64)
def _table(element: Codebook, ties: Ties, device: torch.device) -> tuple[Tensor, Tensor]:
    """The values in order, and where each gives way to the next."""
    ordered = element.ordered
    found = []
    for (below, lower), (above, _) in pairwise(ordered):
        bound = float((below + above) / 2)  # exact: tables are of float32s
        # a number equal to a bound goes to the lower side of it
        to_upper = (
            lower & 1 if ties is Ties.EVEN else (abs(above) > abs(below)) is (ties is Ties.AWAY)
        )
        found.append(math.nextafter(bound, -math.inf) if to_upper else bound)
    table = torch.tensor([float(value) for value, _ in ordered], dtype=torch.float64)
    return table.to(device), torch.tensor(found, dtype=torch.float64).to(device)


@lru_cache(maxsize=64)
def _gaps(element: Codebook, device: torch.device) -> tuple[Tensor, Tensor]:
    """The values in order, and the distance to the value before each; at the ends, of the last."""
    ordered = [float(value) for value, _ in element.ordered]
    gaps = [above - below for below, above in pairwise(ordered)]
    gaps = [gaps[0], *gaps, gaps[-1]]
    return (
        torch.tensor(ordered, dtype=torch.float64).to(device),
        torch.tensor(gaps, dtype=torch.float64).to(device),
    )


def scale_codes_histogram(codes: Tensor, spec: FormatSpec) -> dict[int, int]:
    """Code of a scale -> how many; of scales of more than 8 bits, exponent -> how many.

    Zeros, infinities and NaNs of the latter have no exponent and are left out.
    """
    if spec.bits <= 8:
        bins = torch.bincount(codes.to(torch.int64), minlength=1)
        present = bins.nonzero().view(-1)
        return dict(zip(present.tolist(), bins[present].tolist(), strict=True))
    numbers = values(codes, spec)
    numbers = numbers[numbers.isfinite() & (numbers != 0)]
    exponents, counts = torch.unique(torch.frexp(numbers)[1] - 1, return_counts=True)
    return dict(zip(exponents.tolist(), counts.tolist(), strict=True))
