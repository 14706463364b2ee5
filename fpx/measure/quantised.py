"""What a reader found out of a quantised weight, as reports tell it. Loads no library of tensors.

`described` looks at descriptions alone; `examined` reads scales too.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from math import ceil, prod

from fpx.core.codec import Classification, classify, decode
from fpx.core.elements import CODEBOOKS, Element, element_value, element_values
from fpx.core.formats import FORMATS
from fpx.core.numbers import fraction_text
from fpx.core.packing import Packing
from fpx.core.scaling import Reach, Scope
from fpx.core.shortest import hex_text, value_text
from fpx.errors import InputError
from fpx.report.followed import Beside, ElementReport, PartInfo
from fpx.report.quantised import Fit, QuantisedInfo, ScaleCounts, ScaleInfo, together
from fpx.tensors.entry import Source, TensorEntry
from fpx.tensors.quantised.model import Followed, Part, Quantised, ScaleTensor
from fpx.tensors.types import type_named
from fpx.words import quoted

_SWIZZLE = (128, 4)  # rows and columns of a tile of swizzled scales
_AROUND = 3  # elements before and after the one that is followed
_BEFORE = ("safetensors", "gguf", "numpy")  # whose names of dtypes are looked up, in this order

# -- how it is stored ------------------------------------------------------------------------------


def dtype_of(quantised: Quantised) -> str:
    """What a list of tensors calls the dtype: the scaled format, or the file's name of blocks."""
    if quantised.format is not None:
        return quantised.format.name
    if quantised.stored_bytes is not None and quantised.reach is not None:
        return quantised.stored_type  # of blocks that have their scales in them: GGUF's Q4_K
    if not quantised.scales:
        return quantised.element
    reach = "scaled" if quantised.reach is None else quantised.reach.option
    return f"{quantised.element}:{reach}"


def described(entry: TensorEntry) -> QuantisedInfo | None:
    """How a weight is stored; None of plain tensors. Reads nothing."""
    found = entry.quantised
    if found is None:
        return None
    stored_bytes = _stored_bytes(found)
    scales = tuple(_scale(item, at, found.scales) for at, item in enumerate(found.scales))
    return QuantisedInfo(
        layout=found.layout,
        format=None if found.format is None else found.format.name,
        element=found.element,
        element_bits=_bits_of_element(found),
        stored=found.stored,
        stored_dtype=found.stored_type,
        stored_shape=found.stored_shape,
        stored_bytes=stored_bytes,
        packing=None if found.packing is None else found.packing.value,
        reach=None if found.reach is None else str(found.reach),
        scales=scales,
        evidence=found.evidence.value,
        recognised_by=found.recognised_by,
        beside=found.beside,
        fits=(*_codes_fit(entry, found), *_scales_fit(entry, found)),
    )


def size_of(info: QuantisedInfo) -> int | None:
    """Bytes of codes and scales; None where that is not known."""
    return together([info.stored_bytes, *(item.bytes for item in info.scales)])


def examined(entry: TensorEntry, info: QuantisedInfo) -> QuantisedInfo:
    """The same with what its scales show: doubts, and the value of a scale that is alone.

    Raises:
        InputError: the scales cannot be read.
    """
    found = entry.quantised
    assert found is not None
    scales = info.scales
    if found.follow is not None and entry.count:
        first = found.follow((0,) * len(entry.shape))
        parts = {part.tensor: part for part in reversed(first.parts[1:])}  # of equals the first
        scales = tuple(
            replace(
                item,
                role=parts[item.tensor].role,
                value=_value_of(parts[item.tensor]) if prod(item.shape) == 1 else None,
            )
            if item.tensor in parts
            else item
            for item in scales
        )
    doubts = tuple(found.doubts())
    return replace(info, scales=scales, doubts=doubts, scale_counts=_scale_counts(found))


def _scale_counts(found: Quantised) -> ScaleCounts | None:
    """How often each scale comes, where scales are codes of a format."""
    if found.scale_codes is None or not found.scales or found.scales[0].format not in FORMATS:
        return None
    spec = FORMATS[found.scales[0].format]
    codes = sorted(found.scale_codes().items())
    values = [(decode(code, spec), count) for code, count in codes]
    exponents: dict[int, int] = {}
    for value, count in values:
        if value is not None and value.significand:
            exponents[value.log2_floor] = exponents.get(value.log2_floor, 0) + count
    classes = [(classify(code, spec), count) for code, count in codes]

    def of(kind: Classification) -> int:
        return sum(count for each, count in classes if each is kind)

    return ScaleCounts(
        count=sum(count for _, count in codes),
        zero_count=of(Classification.ZERO),
        subnormal_count=of(Classification.SUBNORMAL),
        nan_count=sum(count for value, count in values if value is None),
        codes={hex_text(code, spec.bits): count for code, count in codes},
        exponent_histogram=dict(sorted(exponents.items())),
    )


def _scale(item: ScaleTensor, at: int, scales: Sequence[ScaleTensor]) -> ScaleInfo:
    """Scales of a weight; the first are those of the blocks, a single number after them the global
    one."""
    alone = prod(item.shape) == 1
    role = "scale" if not at else "global scale" if alone else "scale of the scales"
    bits = _bits_of(item.format)
    return ScaleInfo(
        role=role,
        tensor=item.tensor,
        format=item.format,
        shape=item.shape,
        bytes=None if bits is None else ceil(Fraction(prod(item.shape) * bits, 8)),
        direction="divides" if item.divides else "multiplies",
        swizzled=item.swizzled,
    )


def _bits_of(name: str) -> int | None:
    """Width of a number of a dtype, by fpx's name or that of a kind of file."""
    if name in FORMATS:
        return FORMATS[name].bits
    if name in CODEBOOKS:
        return CODEBOOKS[name].bits
    for column in _BEFORE:
        found = type_named(column, name)
        if found is not None:
            return max(found.bits, 8) if found.name == "bool" else found.bits
    return None


def _bits_of_element(found: Quantised) -> int | None:
    element = _element(found)
    return None if element is None else element.bits


def _stored_bytes(found: Quantised) -> int | None:
    if found.stored_bytes is not None:
        return found.stored_bytes
    bits = _bits_of(found.stored_type)
    return None if bits is None else ceil(Fraction(prod(found.stored_shape) * bits, 8))


def _element(found: Quantised) -> Element | None:
    if found.format is not None:
        return found.format.element
    return FORMATS.get(found.element) or CODEBOOKS.get(found.element)


_WIDTH = "the width"


# -- whether the parts fit -------------------------------------------------------------------------


def _codes_fit(entry: TensorEntry, found: Quantised) -> list[Fit]:
    """Stored numbers x codes in each = the width, or all elements where rows share bytes."""
    element, unit = _element(found), _bits_of(found.stored_type)
    if element is None or unit is None or found.packing is None:
        return []
    own = -(-element.bits // 8) * 8 if found.packing is Packing.BYTES else element.bits
    each = max(Fraction(unit, own), Fraction(1)) if unit >= element.bits else Fraction(unit, own)
    units = prod(found.stored_shape)
    rows = prod(entry.shape[:-1])
    width, what = (entry.shape[-1] if entry.shape else 1), _WIDTH
    if rows and units % rows == 0 and units // rows == ceil(width / each):
        units //= rows
    else:
        width, what = entry.count, "all elements"
    makes = units * each
    name = f"{found.stored_type} x {each} code{'' if each == 1 else 's'}"
    holds = units == ceil(width / each)
    return [Fit("codes", _calculation(f"{units:,} {name}", makes, width, what, holds), holds)]


def _scales_fit(entry: TensorEntry, found: Quantised) -> list[Fit]:
    """Scales x what shares one = what there is, the blocks at the ends of axes cut short."""
    reach = found.reach
    if reach is None or not found.scales or reach.scope is Scope.TENSOR:
        return []
    if found.stored_bytes is not None:  # scales lie between the codes; these are beside them
        return []
    scales = found.scales[0]
    count = prod(scales.shape)
    if reach.scope is Scope.CHANNEL:
        along = entry.shape[reach.axis] if entry.shape else 1
        holds = count == along
        says = f"{count:,} scales, one for each channel"
        return [Fit("scales", _calculation(says, count, along, "the channels", holds), holds)]
    rows = prod(entry.shape[:-1])
    width = entry.shape[-1] if entry.shape else 1
    if scales.swizzled:
        return [_swizzled_fit(count, rows, ceil(width / reach.columns))]
    if reach.rows == 1:
        return [_flat_fit(count, rows, width, reach.columns)]
    return [_tiled_fit(count, entry.shape, reach)]


def _swizzled_fit(count: int, rows: int, across: int) -> Fit:
    """Scales in tiles of 128 x 4, of which the last ones may be filled up."""
    high, wide = (-(-n // of) * of for n, of in zip((rows, across), _SWIZZLE, strict=True))
    holds = count == high * wide
    what = f"{rows:,} x {across:,} in whole tiles of 128 x 4"
    if holds:
        return Fit("scales", f"{count:,} scales = {high:,} x {wide:,}, {what}", holds)
    return Fit("scales", f"{count:,} scales, but {what} are {high * wide:,}", holds)


def _tiled_fit(count: int, shape: tuple[int, ...], reach: Reach) -> Fit:
    """Blocks along the last two axes, cut short at their ends."""
    high, width = (1, *shape)[-2:]
    grid = (*shape[:-2], ceil(high / reach.rows), ceil(width / reach.columns))
    holds = count == prod(grid)
    what = f"blocks of {reach.rows} x {reach.columns}"
    if holds:
        text = f"{count:,} scales = {' x '.join(map(str, grid))} {what}, all of {list(shape)}"
    else:
        text = f"{count:,} scales, but {list(shape)} has {prod(grid):,} {what}"
    return Fit("scales", text, holds)


def _flat_fit(count: int, rows: int, width: int, block: int) -> Fit:
    """Blocks along the last axis, or through all elements where rows share blocks."""
    what = _WIDTH
    if rows and count % rows == 0 and count // rows == ceil(width / block):
        count //= rows
    else:
        width, what = rows * width, "all elements"
    holds = count == ceil(width / block)
    scales = f"{count:,} scale{'' if count == 1 else 's'}"
    text = _calculation(f"{scales} x {block}", count * block, width, what, holds)
    return Fit("scales", text, holds)


def _calculation(left: str, makes: Fraction | int, wanted: int, what: str, holds: bool) -> str:
    """`32 scales x 16 = 512, the width`; of the last block of a row some may be no elements."""
    whole = Fraction(makes)
    shown = f"{whole.numerator:,}" if whole.denominator == 1 else fraction_text(whole)
    if makes == wanted:
        return f"{left} = {shown}, {what}"
    if holds:
        return f"{left} = {shown}, {what} of {wanted:,} and what fills it up"
    return f"{left} = {shown}, but {what} {'is' if what == _WIDTH else 'are'} {wanted:,}"


# -- one element -----------------------------------------------------------------------------------


def followed(source: Source, entry: TensorEntry, index: tuple[int, ...]) -> ElementReport:
    """One element of a quantised weight, from byte to number; negative indexes count from the end.

    Raises:
        InputError: no such element, or its weight has no way to be followed.
    """
    found = entry.quantised
    assert found is not None
    if found.follow is None:
        raise InputError(f"{quoted(entry.name)} is {found.layout}, of which no element is followed")
    at = entry.within(index)
    place = entry.position(at, row_major=True)
    steps = found.follow(at)
    lower, upper = _next_to(steps, found)
    return ElementReport(
        source=source.name,
        tensor=entry.name,
        index=at,
        dtype=dtype_of(found),
        layout=found.layout,
        evidence=found.evidence.value,
        recognised_by=found.recognised_by,
        terms=tuple(_part(part, place, found) for part in steps.parts),
        formula=steps.formula,
        exact=steps.value,
        special="" if steps.value is not None else _special(steps, found),
        lower=lower,
        upper=upper,
        around=tuple(_beside(place, found) for place in _around(at, entry.shape)),
    )


def _part(part: Part, place: int, found: Quantised) -> PartInfo:
    """A part; `place` is that of the element in row-major order."""
    stored = first_bit = None
    if part.stored is not None:
        least = max(_bits_of(found.stored_type) or 8, part.stored.bit_length(), 8)
        width = -(-least // 8) * 8
        stored = hex_text(part.stored, width)
        if part.code is not None and part.role == "element":
            first_bit = _first_bit(part.code, part.bits, part.stored, width, place, found.packing)
    return PartInfo(
        role=part.role,
        tensor=part.tensor,
        index=part.index,
        stored=stored,
        first_bit=first_bit,
        code=None if part.code is None else hex_text(part.code, part.bits),
        bits=part.bits,
        format=part.format,
        value=_value_of(part),
    )


def _first_bit(
    code: int, bits: int, stored: int, width: int, place: int, packing: Packing | None
) -> int | None:
    """Where in a byte or word a code begins: where the packing says, or the one place that fits.

    None where neither tells. A code may go on in the next byte.
    """
    if packing is Packing.BYTES:
        return place * -(-bits // 8) * 8 % width
    if packing in (Packing.LOW_FIRST, Packing.HIGH_FIRST):
        low = place * bits % width
        if packing is Packing.HIGH_FIRST:
            low = width - bits - low
        here = (1 << min(bits, width - low)) - 1  # what of the code this byte has
        return low if low >= 0 and stored >> low & here == code & here else None
    mask = (1 << bits) - 1
    places = [low for low in range(0, width - bits + 1, bits) if stored >> low & mask == code]
    return places[0] if len(places) == 1 else None


def _value_of(part: Part) -> str:
    """The exact value of a part; `nan`, `inf` and `-0` where its code is that."""
    if part.code is not None and part.format in FORMATS:
        spec = FORMATS[part.format]
        if part.code < 1 << spec.bits:
            own = decode(part.code, spec)
            # a reader may give a code another meaning than the format does (gpt-oss: 255 is 2^128)
            if (None if own is None else own.fraction) == part.value:
                return value_text(part.code, spec)
    return "nan" if part.value is None else fraction_text(part.value)


_FACTOR = re.compile(r" [x/] (global )?scale")


def _factor(steps: Followed, found: Quantised) -> Fraction | None:
    """What the element is multiplied by; None where that is no finite number or not so simple."""
    if _FACTOR.sub("", steps.formula) != "element":
        return None
    dividing = {item.tensor for item in found.scales if item.divides}
    factor = Fraction(1)
    for part in steps.parts[1:]:
        if part.value is None or (part.tensor in dividing and not part.value):
            return None
        factor *= 1 / part.value if part.tensor in dividing else part.value
    return factor


def _special(steps: Followed, found: Quantised) -> str:
    """What an element is that is no number, by IEEE's rules: `nan`, or `inf` with its sign."""
    dividing = {item.tensor for item in found.scales if item.divides}
    product = 1.0
    for part in steps.parts:
        # of a finite number, its sign and whether it is zero are all that counts
        value = float(_value_of(part)) if part.value is None else float((part.value > 0) * 2 - 1)
        value = 0.0 if part.value == 0 else value
        if part.tensor not in dividing:
            product *= value
        elif value:
            product /= value
        else:
            product = math.nan if not product else product * math.inf
    return str(product) if math.isinf(product) else "nan"


def _next_to(steps: Followed, found: Quantised) -> tuple[str | None, str | None]:
    """The next lower and next upper value of the element's format at the same scale."""
    element, factor, first = _element(found), _factor(steps, found), steps.parts[0]
    own = first.value
    if element is None or element.bits > 16 or own is None or first.code is None or not factor:
        return None, None
    # int8 may be whole numbers, where MX's are 64ths: at 0 there is no telling
    if element_value(first.code, element) != own or (element.name == "int8" and not own):
        return None, None
    values = {value for value in element_values(element) if value is not None}
    low = max((value for value in values if value < own), default=None)
    high = min((value for value in values if value > own), default=None)
    lower, upper = (None if each is None else fraction_text(each * factor) for each in (low, high))
    return (upper, lower) if factor < 0 else (lower, upper)


def _around(index: tuple[int, ...], shape: tuple[int, ...]) -> list[tuple[int, ...]]:
    """The index and some before and after it along the last axis."""
    if not index:
        return [index]
    first = max(index[-1] - _AROUND, 0)
    return [(*index[:-1], at) for at in range(first, min(index[-1] + _AROUND + 1, shape[-1]))]


def _beside(index: tuple[int, ...], found: Quantised) -> Beside:
    assert found.follow is not None
    steps = found.follow(index)
    first = steps.parts[0]
    direct = re.search(r"[x/] scale\b(?! of)", steps.formula)  # not one that is looked up in a map
    scale = next((part for part in steps.parts if direct and part.role == "scale"), None)
    return Beside(
        index=index,
        code=None if first.code is None else hex_text(first.code, first.bits),
        element=_value_of(first),
        scale=None if scale is None else _value_of(scale),
        value=_special(steps, found) if steps.value is None else fraction_text(steps.value),
    )
