"""One element of a quantised weight from its byte to its number, exactly."""

from __future__ import annotations

from fractions import Fraction

from fpx.core.codec import decode
from fpx.core.elements import element_value
from fpx.core.formats import FORMATS
from fpx.core.packing import Packing
from fpx.core.spec import FormatSpec
from fpx.errors import InputError
from fpx.tensors.entry import TensorEntry
from fpx.tensors.quantised.bytes import as_bytes, elements, stretch
from fpx.tensors.quantised.geometry import swizzled_place
from fpx.tensors.quantised.model import Followed, Part
from fpx.tensors.quantised.recipe import Recipe, Scales


def follow(recipe: Recipe, index: tuple[int, ...]) -> Followed:
    """What the element at an index of `recipe.shape` is made of.

    Raises:
        InputError: no such index, or damage that shows only here.
    """
    if len(index) != len(recipe.shape) or not all(
        0 <= at < length for at, length in zip(index, recipe.shape, strict=True)
    ):
        raise InputError(f"{list(index)} is no index of a tensor of shape {list(recipe.shape)}")
    place = 0
    for at, length in zip(index, recipe.shape, strict=True):
        place = place * length + at
    element = _element(recipe, place)
    parts = [element]
    formula, value = "element", element.value
    scales = sorted(recipe.scales, key=lambda each: each.divides)
    for each in scales:
        part, made = _scale(each, recipe.folded, place)
        parts += made
        if each.divides:
            value = value / part if value is not None and part else None
        else:
            value = value * part if value is not None and part is not None else None
        formula += f" {'/' if each.divides else 'x'} {_says(each)}"
    if recipe.divisor != 1:
        formula += f" / {recipe.divisor}"
        value = None if value is None else value / recipe.divisor
    return Followed(tuple(parts), formula, value)


def _says(scales: Scales) -> str:
    return scales.role if scales.nested is None else "(map[scale] x scale of scales + offset)"


def code_place(recipe: Recipe, place: int) -> tuple[int, int]:
    """Where the code of an element begins: its first byte, and the bit in the group of bytes.

    Args:
        recipe: the weight.
        place: of the element in row-major order.
    """
    bits = recipe.element.bits
    if recipe.packing is Packing.BYTES or bits == 8:
        return place, 0
    if recipe.halves:
        block, at = divmod(place, recipe.halves)
        half = recipe.halves // 2
        return block * half + at % half, 4 * (at // half)
    byte, bit = divmod(place * bits, 8)
    if recipe.packing is Packing.HIGH_FIRST:
        return byte, 8 - bits - bit
    return byte, bit


def _element(recipe: Recipe, place: int) -> Part:
    byte, bit = code_place(recipe, place)
    bits = recipe.element.bits
    end = min(byte + 1 + (bit + bits > 8), recipe.codes.nbytes)
    raw = int.from_bytes(bytes(stretch(recipe.codes, byte, end, 1 << 10).tolist()), "little")
    code = raw >> bit & (1 << bits) - 1
    value = element_value(code, recipe.element)
    size = recipe.codes.dtype.itemsize
    packed = 8 * size > bits
    whole: int | None = None
    if packed:
        first = byte // size
        held = as_bytes(elements(recipe.codes, first, first + 1, 1 << 10))
        whole = int.from_bytes(bytes(held.tolist()), "little")
    where = _index(recipe.codes.shape, byte // size)
    name = recipe.element.name
    return Part("element", recipe.codes.name, where, name, code, bits, value, whole)


def _scale(
    scales: Scales, shape: tuple[int, ...], place: int
) -> tuple[Fraction | None, list[Part]]:
    """The scale of the element at a place, and what that is made of."""
    index = _index(shape, place)
    blocks = [max(block, 1) for block in scales.block]
    at = [each // block for each, block in zip(index, blocks, strict=True)]
    grid = scales.grid(shape)
    row = 0
    for each, length in zip(at[:-1], grid[:-1], strict=True):
        row = row * length + each
    stored = row * grid[-1] + at[-1]
    if scales.swizzled:
        stored = swizzled_place(row, at[-1], grid[-1])
    if scales.nested is None:
        part = _number(scales.role, scales.entry, stored, scales)
        return part.value, [part]
    nested = scales.nested
    (quantised,) = elements(scales.entry, stored, stored + 1, 1 << 10).tolist()
    mapped = _number("value of the scale", nested.map, quantised)
    beside = _number("scale of scales", nested.absmax, stored // nested.block)
    where = _index(scales.entry.shape, stored)
    code = Fraction(quantised)
    part = Part("scale", scales.entry.name, where, "uint8", quantised, 8, code)
    offset = Part("offset", scales.entry.name, (), "float64", None, 64, nested.offset)
    made = [part, mapped, beside, offset]
    if mapped.value is None or beside.value is None:
        return None, made
    return mapped.value * beside.value + nested.offset, made


def _number(role: str, entry: TensorEntry, place: int, scales: Scales | None = None) -> Part:
    found = elements(entry, place, place + 1, 1 << 10)
    code = int.from_bytes(bytes(as_bytes(found).tolist()), "little")
    where = _index(entry.shape, place)
    spec = scales.format if scales is not None else entry.type
    if not isinstance(spec, FormatSpec):
        spec = FORMATS["float32"]
    if scales is not None and scales.values is not None:
        value = scales.values[code]
    else:
        number = decode(code, spec)
        value = None if number is None else number.fraction
    return Part(role, entry.name, where, spec.name, code, spec.bits, value)


def _index(shape: tuple[int, ...], place: int) -> tuple[int, ...]:
    index = [0] * len(shape)
    for axis in reversed(range(len(shape))):
        place, index[axis] = divmod(place, max(shape[axis], 1))
    return tuple(index)
