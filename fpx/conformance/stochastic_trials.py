"""A stochastic rounding tried: how often each result comes, of all random words or of many draws.

Words are counted block by block: memory does not grow with their number.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from fpx.conformance.functions import RoundingFunction
from fpx.conformance.stochastic_seen import NO_VALUE
from fpx.core.spec import FormatSpec
from fpx.tensors.dtypes import container, wrapped

_BLOCK = 1 << 20  # elements of a call


def all_words(
    function: RoundingFunction, codes: Sequence[int], bits: int
) -> Iterator[Counter[int]]:
    """What each code becomes over all words of so many bits: code of the target -> how often."""
    count = 1 << bits
    if count <= _BLOCK:
        words = torch.arange(count, dtype=torch.int32)
        for block in _blocks(codes, count):
            x = codes_of(block, function.origin).repeat_interleave(count)
            yield from _counted(function, x, words.repeat(len(block)), count)
        return
    for code in codes:
        x = codes_of([code], function.origin).expand(_BLOCK).contiguous()
        total: Counter[int] = Counter()
        for start in range(0, count, _BLOCK):
            words = torch.arange(start, start + _BLOCK, dtype=torch.int32)
            for counts in _counted(function, x, words, _BLOCK):
                total.update(counts)
        yield total


def some_words(
    function: RoundingFunction, codes: Sequence[int], bits: int, count: int
) -> Iterator[Counter[int]]:
    """What each code becomes with so many words that torch's generator draws."""
    for block in _blocks(codes, count):
        x = codes_of(block, function.origin).repeat_interleave(count)
        words = torch.randint(1 << bits, x.shape, dtype=torch.int64).to(torch.int32)
        yield from _counted(function, x, words, count)


def draws(function: RoundingFunction, codes: Sequence[int], count: int) -> Iterator[Counter[int]]:
    """What each code becomes in so many draws of the function itself."""
    for block in _blocks(codes, count):
        x = codes_of(block, function.origin).repeat_interleave(count)
        yield from _counted(function, x, None, count)


def codes_of(codes: Sequence[int], origin: FormatSpec) -> Tensor:
    """Codes as a tensor of the origin's container."""
    dtype = container(origin)
    return torch.tensor([wrapped(code, dtype) for code in codes], dtype=dtype)


def _blocks(codes: Sequence[int], count: int) -> Iterator[Sequence[int]]:
    """As many codes as go into a call with `count` elements each."""
    size = max(_BLOCK // count, 1)
    return (codes[start : start + size] for start in range(0, len(codes), size))


def _counted(
    function: RoundingFunction, x: Tensor, words: Tensor | None, count: int
) -> Iterator[Counter[int]]:
    """How often each result came, of each `count` elements."""
    mask = (1 << function.target.bits) - 1
    found, strange = function.codes(x, words)
    for part, no_value in zip(found.view(-1, count), strange.view(-1, count), strict=True):
        counts: Counter[int] = Counter()
        if no_value.any():
            counts[NO_VALUE] = int(no_value.count_nonzero())
            part = part[~no_value]
        while part.numel():  # there are few different ones, and sorting them takes longer
            code, before = part[0], part.numel()
            part = part[part != code]
            counts[int(code) & mask] = before - part.numel()
        yield counts
