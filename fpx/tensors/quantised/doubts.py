"""What is suspicious about the scales of a quantised weight. Its codes are not read."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

import torch

from fpx.tensors.quantised.bytes import all_bytes, elements
from fpx.tensors.quantised.recipe import E4M3, E8M0, Recipe, Scales

_BLOCK = 1 << 18  # bytes of scales that are looked at at once
_LEAST_TOP = 256  # the smallest that any encoder makes of the largest scale of a block


def doubts(recipe: Recipe) -> tuple[str, ...]:
    """A line for each thing that is suspicious.

    Raises:
        InputError: damage that shows only here.
    """
    found: list[str] = []
    block = next((each for each in recipe.scales if each.role == "scale"), None)
    for each in recipe.scales:
        if each.nested is not None:
            found += _of_numbers(each, recipe)
        elif each.values is not None:
            found += _of_codes(each, recipe, beside=len(recipe.scales) > 1)
        else:
            found += _of_numbers(each, recipe)
        if each.role == "global scale" and block is not None and block.format == E4M3:
            found += _of_direction(each, recipe.divisor)
    return tuple(found)


def scale_codes(recipe: Recipe) -> dict[int, int]:
    """How often each code of the scales of blocks comes, of scales that are codes of a byte."""
    block = next(each for each in recipe.scales if each.role == "scale" and each.is_coded)
    return {code: count for code, count in enumerate(_histogram(block, recipe)) if count}


def _of_codes(scales: Scales, recipe: Recipe, beside: bool) -> Iterator[str]:
    """Of scales that are codes in bytes: how often each comes."""
    counted = _histogram(scales, recipe)
    values = scales.values
    assert values is not None
    count = prod(scales.grid(recipe.folded))
    zero = sum(counted[code] for code, value in enumerate(values) if value == 0)
    nan = sum(counted[code] for code, value in enumerate(values) if value is None)
    negative = sum(counted[code] for code, value in enumerate(values) if value and value < 0)
    if zero:
        yield f"{_of(zero, count)} are 0: their blocks are all 0, whatever their codes"
    if nan:
        yield f"{_of(nan, count)} are NaN or infinite, and so are their blocks"
    if negative:
        yield f"{_of(negative, count)} are negative"
    written = [value for code, value in enumerate(values) if counted[code] and value is not None]
    top = max(written, default=None)
    if scales.format == E4M3 and beside and top and 0 < top < _LEAST_TOP:
        yield (
            f"the largest block scale is {float(top):g}, and encoders make it 448 or {_LEAST_TOP} "
            "and more: the global scale is not this tensor's alone"
        )
    if scales.format == E8M0 and scales.top_is_number and counted[255]:
        yield f"{_of(counted[255], count)} have code 255: 2^128 to gpt-oss, NaN in OCP's MX"


def _histogram(scales: Scales, recipe: Recipe) -> list[int]:
    counted = torch.zeros(256, dtype=torch.int64)
    for block in all_bytes(scales.entry, _BLOCK, 1):
        counted += torch.bincount(block.to(torch.int32), minlength=256)
    if scales.swizzled:  # what pads the tiles is no scale
        grid = scales.grid(recipe.folded)
        counted[0] -= min(int(counted[0]), scales.entry.count - prod(grid))
    return [int(each) for each in counted]


def _of_numbers(scales: Scales, recipe: Recipe) -> Iterator[str]:
    """Of scales that are plain numbers."""
    zero = bad = negative = count = 0
    entry = scales.entry if scales.nested is None else scales.nested.absmax
    for block in entry.blocks(_BLOCK, row_major=True):
        numbers = block.to(torch.float64)
        count += len(numbers)
        zero += int((numbers == 0).sum())
        bad += int((~numbers.isfinite()).sum())
        negative += int((numbers < 0).sum())
    if scales.role != "scale" and count == 1:
        if zero:
            yield _global_is(scales, "0")
        if bad:
            yield _global_is(scales, "not finite")
        return
    if zero:
        yield f"{_of(zero, count)} are 0"
    if bad:
        yield f"{_of(bad, count)} are NaN or infinite, and so are their blocks"
    if negative:
        yield f"{_of(negative, count)} are negative"


def _global_is(scales: Scales, what: str) -> str:
    return f"the {scales.role} {scales.entry.name} is {what}"


def _of_direction(scales: Scales, divisor: int) -> Iterator[str]:
    """Whether a global scale, over a divisor, looks as if it were meant the other way."""
    if scales.entry.count != 1:
        return
    (value,) = elements(scales.entry, 0, 1, 1 << 10).to(torch.float64).tolist()
    if not scales.divides and value > divisor:
        yield (
            f"the global scale {scales.entry.name} multiplies and is {value:g}: beside E4M3 scales "
            "that is what a divisor looks like"
        )
    if scales.divides and 0 < value < 1:
        yield (
            f"the global scale {scales.entry.name} divides and is {value:g}: beside E4M3 scales "
            "that is what a multiplier looks like"
        )


def _of(number: int, count: int) -> str:
    return f"{number:,} of {count:,} scales"
