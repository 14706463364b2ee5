"""Rounding functions from float32 to bfloat16: one that is right, and one for each way to fail.

They take words of 8 bits. What they do is said by arithmetic on codes, which fpx does not use.
"""

from __future__ import annotations

import torch
from torch import Tensor

_LOW = 0xFFFF
_MAGNITUDE = 0x7FFFFFFF
_INFINITY = 0x7F800000


def _parts(x: Tensor) -> tuple[Tensor, Tensor]:
    """Sign and magnitude of the codes, as int64."""
    bits = x.view(torch.int32).to(torch.int64)
    return bits < 0, bits & _MAGNITUDE


def _made(negative: Tensor, magnitude: Tensor) -> Tensor:
    """A bfloat16 of sign and magnitude, of which the lower half is dropped."""
    code = (magnitude >> 16) | (negative.to(torch.int64) << 15)
    return code.to(torch.int16).view(torch.bfloat16)


def _guarded(x: Tensor, negative: Tensor, magnitude: Tensor) -> Tensor:
    """That, but for infinities and NaNs, which torch casts."""
    return torch.where(x.isfinite(), _made(negative, magnitude), x.to(torch.bfloat16))


def right(x: Tensor, words: Tensor) -> Tensor:
    negative, magnitude = _parts(x)
    return _guarded(x, negative, magnitude + (words.to(torch.int64) << 8))


def right16(x: Tensor, words: Tensor) -> Tensor:
    negative, magnitude = _parts(x)
    return _guarded(x, negative, magnitude + words)


def recipe(x: Tensor, words: Tensor) -> Tensor:
    """The common recipe: add 16 random bits and cut, whatever the number."""
    return ((x.view(torch.int32) + words) & -65536).view(torch.float32).to(torch.bfloat16)


def draws(x: Tensor) -> Tensor:
    return right16(x, torch.randint(0, 1 << 16, x.shape))


def never_away(x: Tensor, words: Tensor) -> Tensor:
    return _guarded(x, *_parts(x))


def always_away(x: Tensor, words: Tensor) -> Tensor:
    negative, magnitude = _parts(x)
    return _guarded(x, negative, magnitude + _LOW)


def always_up(x: Tensor, words: Tensor) -> Tensor:
    negative, magnitude = _parts(x)
    return _guarded(x, negative, torch.where(negative, magnitude, magnitude + _LOW))


def always_down(x: Tensor, words: Tensor) -> Tensor:
    return -always_up(-x, words)


def rounds_to_nearest(x: Tensor, words: Tensor) -> Tensor:
    return x.to(torch.bfloat16)


def constant_probability(x: Tensor, words: Tensor) -> Tensor:
    negative, magnitude = _parts(x)
    return _guarded(x, negative, magnitude + torch.where(words < 128, _LOW, 0))


def reversed_(x: Tensor, words: Tensor) -> Tensor:
    negative, magnitude = _parts(x)
    low = magnitude & _LOW
    up = (low > 0) & (words >= low)
    return _guarded(x, negative, magnitude - low + (up.to(torch.int64) << 16))


def fewer_bits(x: Tensor, words: Tensor) -> Tensor:
    return right(x, words & 0xF0)


def half_offset(x: Tensor, words: Tensor) -> Tensor:
    negative, magnitude = _parts(x)
    moved = magnitude + (words.to(torch.int64) << 8) + 128
    return _guarded(x, negative, torch.where(magnitude & _LOW == 0, magnitude, moved))


def squared(x: Tensor, words: Tensor) -> Tensor:
    """Too seldom away from zero, by no rule."""
    return right(x, torch.minimum(words, 255 - words))


def carry_lost(x: Tensor, words: Tensor) -> Tensor:
    negative, magnitude = _parts(x)
    moved = magnitude + (words.to(torch.int64) << 8)
    return _guarded(x, negative, (magnitude & _INFINITY) | (moved & 0x7FFFFF))


def sign_lost(x: Tensor, words: Tensor) -> Tensor:
    return right(x, words).abs()


def nan_lost(x: Tensor, words: Tensor) -> Tensor:
    negative, magnitude = _parts(x)
    return _made(negative, (magnitude + (words.to(torch.int64) << 8)) & _MAGNITUDE)


def infinity_lost(x: Tensor, words: Tensor) -> Tensor:
    result = right(x, words)
    return torch.where(x.isinf(), torch.full_like(result, torch.nan), result)


def saturates(x: Tensor, words: Tensor) -> Tensor:
    top = torch.finfo(torch.bfloat16).max
    result = right(x, words)
    return torch.where(x.isfinite(), result.clamp(-top, top), result)


def gives_nan(x: Tensor, words: Tensor) -> Tensor:
    result = right(x, words)
    return torch.where(x == 0, torch.full_like(result, torch.nan), result)


def moves_representable(x: Tensor, words: Tensor) -> Tensor:
    negative, magnitude = _parts(x)
    moved = magnitude + (words.to(torch.int64) << 8)
    moved += torch.where((magnitude & _LOW == 0) & (words == 3), 1 << 16, 0)
    return _guarded(x, negative, moved)


def not_a_neighbour(x: Tensor, words: Tensor) -> Tensor:
    negative, magnitude = _parts(x)
    far = torch.where((words == 7) & (magnitude & _LOW > 0) & (magnitude < 0x7F000000), 3 << 16, 0)
    return _guarded(x, negative, magnitude + (words.to(torch.int64) << 8) + far)


def flushes_subnormals(x: Tensor, words: Tensor) -> Tensor:
    result = right(x, words)
    return torch.where(result.abs() < torch.finfo(torch.bfloat16).tiny, result * 0, result)


def no_value(x: Tensor, words: Tensor) -> Tensor:
    return torch.where(words == 0, x, right(x, words).float())


def sign_asymmetry(x: Tensor, words: Tensor) -> Tensor:
    return torch.where(x < 0, squared(x, words), right(x, words))


def coarse_subnormals(x: Tensor, words: Tensor) -> Tensor:
    return torch.where(x.abs() < torch.finfo(x.dtype).tiny, never_away(x, words), right(x, words))


def own_randomness(x: Tensor, words: Tensor) -> Tensor:
    return right16(x, torch.randint(0, 1 << 16, x.shape))


def one_draw_for_all(x: Tensor) -> Tensor:
    return right16(x, torch.randint(0, 1 << 16, (1,)).expand(x.shape))


def seed_constant(x: Tensor) -> Tensor:
    return right16(x, torch.randint(0, 1 << 16, x.shape, generator=torch.Generator()))


def draws_few_bits(x: Tensor) -> Tensor:
    return right16(x, torch.randint(0, 8, x.shape) << 13)


def draws_never(x: Tensor) -> Tensor:
    return never_away(x, x)


def nearest(x: Tensor) -> Tensor:
    return x.to(torch.bfloat16)


def in_place(x: Tensor) -> Tensor:
    result = x.to(torch.bfloat16)
    x.zero_()
    return result


def truncates(x: Tensor) -> Tensor:
    return never_away(x, x)


def nearest_in_float32(x: Tensor) -> Tensor:
    return x.to(torch.bfloat16).float()


def codes(x: Tensor) -> Tensor:
    return x.to(torch.bfloat16).view(torch.int16)


def unrounded(x: Tensor) -> Tensor:
    return x * 1


def raises(x: Tensor) -> Tensor:
    raise ValueError("not today")


def flat(x: Tensor) -> Tensor:
    return x.to(torch.bfloat16)[:1].reshape(1, 1)


def listed(x: Tensor) -> list[float]:
    return x.tolist()


def halves(x: Tensor) -> Tensor:
    return x.half()


def prints(x: Tensor) -> Tensor:
    print("rounding", len(x))
    return x.to(torch.bfloat16)
