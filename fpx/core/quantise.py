"""Numbers to elements with scales, exactly: fractions alone, one rounding each.

What tensors get in bulk (`fpx.casts.scaling`) is written a second time there, in float64; each is
tested against the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from fpx.core.choices import NonFinite, ScaleRule
from fpx.core.codec import decode, round_exact
from fpx.core.elements import (
    element_value,
    emax,
    floor_log2,
    is_format,
    largest,
    round_element,
)
from fpx.core.policy import Overflow
from fpx.core.scaling import ScaledFormat, even_bits
from fpx.core.spec import FormatSpec
from fpx.errors import InputError

Number = Fraction | None
"""A finite number; None stands for what is not (as an element's value, or a NaN scale)."""


@dataclass(frozen=True)
class Datum:
    """A number before it is quantised.

    Attributes:
        value: it, exactly; None for an infinity or a NaN.
        negative: its sign, of zeros, infinities and NaNs too.
        infinite: whether it is an infinity.
    """

    value: Fraction | None
    negative: bool = False
    infinite: bool = False

    @classmethod
    def of(cls, value: Fraction | int) -> Datum:
        """A finite number."""
        return cls(Fraction(value), value < 0)


@dataclass(frozen=True)
class QuantisedBlock:
    """Elements that share a scale.

    Attributes:
        scale_code: of the scale.
        scale: its value; None if it is NaN.
        global_scale: the tensor's, 1 where there is none.
        codes: of the elements.
        values: element x scale x global scale; None for infinities and NaNs.
        clipped: per element, whether it is beyond the largest one at that scale (of scales that
            are not 0).
        flushed: per element, whether it became 0 and was not.
    """

    scale_code: int
    scale: Fraction | None
    global_scale: Fraction
    codes: tuple[int, ...]
    values: tuple[Fraction | None, ...]
    clipped: tuple[bool, ...] = ()
    flushed: tuple[bool, ...] = ()


def global_scale(amax: Fraction, target: ScaledFormat) -> tuple[int, Fraction]:
    """The code and value of the global scale of a tensor with that largest finite magnitude.

    amax / (largest scale of a block x largest element), rounded once to the format of global
    scales (arXiv:2509.25149, appendix B); 1 for a tensor of zeros, and never below the smallest
    positive number of that format, which nothing could be divided by.
    """
    spec = target.global_scale
    assert spec is not None
    wanted = amax / (target.encoding.global_top * largest(target.element)) if amax else Fraction(1)
    code = round_exact(*wanted.as_integer_ratio(), spec, overflow=Overflow.SATURATE).code
    code = max(code, int(spec.zero))
    return code, _finite(code, spec)


def scale_code(amax: Fraction, target: ScaledFormat, global_: Fraction = Fraction(1)) -> int:
    """The code of the scale of a block with that largest finite magnitude.

    Of `4over6` that is the one for 6; see `quantise`.
    """
    encoding = target.encoding
    if not amax:
        return _bounded(Fraction(0), target) if encoding.zero_block is None else encoding.zero_block
    wanted = wanted_scale(amax / global_, target)
    return _bounded(wanted, target)


def wanted_scale(amax: Fraction, target: ScaledFormat) -> Fraction:
    """The scale that the rule asks for, before it is rounded to the format of scales; amax > 0."""
    element, rule = target.element, target.encoding.rule
    if rule in (ScaleRule.AMAX, ScaleRule.FOUR_OVER_SIX):
        return amax / largest(element)
    exponent, top = floor_log2(amax), emax(element)
    significand = amax / Fraction(2) ** exponent
    bump = {
        ScaleRule.FLOOR: False,
        ScaleRule.CEIL: significand != 1,
        ScaleRule.RCEIL: significand > largest(element) / Fraction(2) ** top,
    }.get(rule)
    if bump is None:
        bump = significand >= 2 - Fraction(1, 2 << even_bits(target))
    return Fraction(2) ** (exponent - top + bump)


def _bounded(wanted: Fraction, target: ScaledFormat) -> int:
    """The code of a scale, nearest and within the format of scales."""
    spec, encoding = target.scale, target.encoding
    code = round_exact(*wanted.as_integer_ratio(), spec, overflow=Overflow.SATURATE).code
    if encoding.zero_scale is not None and spec.zero and not code:
        return encoding.zero_scale
    return _least(code, target)


def _least(code: int, target: ScaledFormat) -> int:
    return max(code, target.encoding.least_scale)


def quantise(
    data: Sequence[Datum], target: ScaledFormat, global_: Fraction = Fraction(1)
) -> QuantisedBlock:
    """The elements and the scale of some numbers that share one.

    Args:
        data: the numbers of one block, at least one.
        target: what they become.
        global_: the tensor's scale, of which the block's is a part.
    """
    encoding, spec = target.encoding, target.scale
    finite = [abs(each.value) for each in data if each.value is not None]
    amax = max(finite, default=Fraction(0))
    poisoned = len(finite) < len(data) and encoding.nonfinite is NonFinite.BLOCK
    if poisoned and spec.nan_code is not None:
        nothing = (False,) * len(data)
        codes = (0,) * len(data)
        return QuantisedBlock(
            spec.nan_code, None, global_, codes, (None,) * len(data), nothing, nothing
        )
    block = _at_scale(data, target, scale_code(amax, target, global_), global_)
    if encoding.rule is ScaleRule.FOUR_OVER_SIX and amax:
        code = _bounded(amax / global_ / 4, target)
        other = _at_scale(data, target, code, global_)
        if _squared_error(data, other) < _squared_error(data, block):
            return other
    return block


def _at_scale(
    data: Sequence[Datum], target: ScaledFormat, code: int, global_: Fraction
) -> QuantisedBlock:
    scale = _finite(code, target.scale)
    step = scale * global_
    codes: list[int] = []
    clipped: list[bool] = []
    flushed: list[bool] = []
    for each in data:
        codes.append(_element_code(each, step, target))
        beyond = (
            each.value is not None and step != 0 and abs(each.value) > target.clips_beyond * step
        )
        clipped.append(beyond)
    values = dequantise(codes, target, scale, global_)
    for each, value in zip(data, values, strict=True):
        flushed.append(bool(each.value) and value == 0)
    return QuantisedBlock(
        code, scale, global_, tuple(codes), values, tuple(clipped), tuple(flushed)
    )


def _element_code(datum: Datum, step: Fraction, target: ScaledFormat) -> int:
    element, encoding = target.element, target.encoding
    if datum.value is None:
        return _special(datum, target)
    sign = -1 if datum.negative else 1
    if not datum.value:
        keeps = encoding.negative_zero and is_format(element) and element.has_negative_zero
        return (
            element.sign_mask
            if datum.negative and keeps and is_format(element)
            else (round_element(Fraction(0), element, encoding.ties, False))
        )
    if not step:  # a scale of 0 gives 0 back, whatever the element: the largest, as a quotient
        return round_element(sign * largest(element), element, encoding.ties, True)
    return round_element(datum.value / step, element, encoding.ties, encoding.negative_zero)


def _special(datum: Datum, target: ScaledFormat) -> int:
    """The element of an infinity or a NaN that does not make its block NaN."""
    element, ties = target.element, target.encoding.ties
    sign = -1 if datum.negative else 1
    if is_format(element):
        if datum.infinite and element.infinity_magnitude is not None:
            return element.infinity_magnitude | (element.sign_mask if datum.negative else 0)
        if element.nan_code is not None and not datum.infinite:
            return element.nan_code
    return round_element(
        sign * largest(element) if datum.infinite else Fraction(0), element, ties, False
    )


def dequantise(
    codes: Sequence[int],
    target: ScaledFormat,
    scale: Fraction | None,
    global_: Fraction = Fraction(1),
) -> tuple[Fraction | None, ...]:
    """element x scale x global scale of each code; None for infinities and NaNs.

    Args:
        codes: of elements.
        target: what they are.
        scale: None is a NaN, and then everything is (OCP MX v1.0, 5.4).
        global_: the tensor's scale.

    Raises:
        InputError: a code is wider than the element.
    """
    for code in codes:
        if not 0 <= code < 1 << target.bits:
            raise InputError(
                f"{code:#x} is no code of {target.element.name}, which has {target.bits} bits"
            )
    if scale is None:
        return (None,) * len(codes)
    values = (element_value(code, target.element) for code in codes)
    return tuple(None if value is None else value * scale * global_ for value in values)


def scale_value(code: int, target: ScaledFormat) -> Fraction | None:
    """The value of a scale's code; None if it is NaN or infinite."""
    value = decode(code, target.scale)
    return None if value is None else value.fraction


def _finite(code: int, spec: FormatSpec) -> Fraction:
    value = decode(code, spec)
    assert value is not None
    return value.fraction


def _squared_error(data: Sequence[Datum], block: QuantisedBlock) -> Fraction:
    pairs = zip(data, block.values, strict=True)
    return sum(
        (
            (value - each.value) ** 2
            for each, value in pairs
            if value is not None and each.value is not None
        ),
        Fraction(0),
    )
