"""Which origin codes a cast is tried with: all of them, or boundaries and random ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from fpx.casts.device import Device
from fpx.casts.rounding import Span, round_codes
from fpx.core.formats import FORMATS
from fpx.core.spec import FormatSpec
from fpx.tensors.boundaries import boundaries
from fpx.tensors.draws import seeded
from fpx.tensors.dtypes import IntegerType, Origin, container, widened_dtype, wrapped

_EVERY_CODE = 20  # bits of an origin of which all codes are cast always
_CPU_BLOCK = 1 << 18  # 1 MiB of float32: with what is made of it, about a core's cache
_GPU_BLOCK = 1 << 24
_SCALARS = 1 << 12  # codes cast one by one


@dataclass(frozen=True)
class Codes:
    """The origin codes of one cast: how many, and the blocks by number."""

    kind: str
    count: int
    blocks: int
    block: Callable[[int], tuple[Tensor, Span | None]]


def choose_codes(
    origin: Origin,
    target: FormatSpec,
    device: Device,
    everything: bool,
    size: int,
    seed: int,
    few: bool = False,
) -> Codes:
    """All codes of an origin of few bits; of 32 bits if `everything`; else a sample.

    Args:
        origin, target: of the cast.
        device: that casts.
        everything: whether 2^32 codes are not too many.
        size, seed: of a sample, see `sampled_codes`.
        few: whether some thousand are enough, because each takes microseconds.
    """
    if few:
        codes = sampled_codes(origin, target, min(size, _SCALARS), seed, device)
        every = -(-codes.count // _SCALARS)
        some = torch.cat([codes.block(n)[0] for n in range(codes.blocks)])[::every]
        return Codes(codes.kind, some.numel(), 1, lambda _: (some, None))
    if origin.bits <= (32 if everything else _EVERY_CODE):
        return every_code(origin, device)
    return sampled_codes(origin, target, size, seed, device)


def every_code(origin: FormatSpec | IntegerType, device: Device) -> Codes:
    """All codes of an origin of up to 32 bits, in order."""
    dtype = container(origin)
    count = 1 << origin.bits
    size = min(_CPU_BLOCK if device.is_cpu else _GPU_BLOCK, count)
    steps = torch.arange(size, device=device.torch, dtype=torch.int32)
    half = 1 << (origin.bits - 1)

    def block(number: int) -> tuple[Tensor, Span | None]:
        first = number * size
        if origin.bits < 32:
            return (steps + first).to(dtype), None
        start = first - count if first >= half else first
        span = None
        if isinstance(origin, FormatSpec):
            low = first % half
            span = Span(low, low + size - 1, first >= half)
        return steps + start, span

    return Codes("all", count, count // size, block)


def sampled_codes(
    origin: Origin, target: FormatSpec, size: int, seed: int, device: Device
) -> Codes:
    """The target's boundaries in the origin, `size` codes around them, and `size` random ones."""
    edges = _edges(origin, target)
    generator = seeded(seed)
    dtype = container(origin)

    def draw(low: int, high: int) -> Tensor:
        return torch.randint(low, high, (size,), generator=generator)

    # 64 random bits: torch.randint's own range ends at 63
    random = (draw(0, 1 << 32) << 32) ^ draw(0, 1 << 32)
    near = edges[draw(0, edges.numel())].to(torch.int64)
    most = max(origin.bits - target.precision - 12, 1)
    step = torch.ones(size, dtype=torch.int64) << draw(0, most)
    near += torch.where(draw(0, 2) == 0, step, -step)
    codes = torch.cat([edges, near.to(dtype), random.to(dtype)])
    if origin.bits != 8 * dtype.itemsize:
        codes &= (1 << origin.bits) - 1
    block = _CPU_BLOCK
    return Codes(
        "sampled",
        codes.numel(),
        -(-codes.numel() // block),
        lambda n: (codes[n * block : (n + 1) * block].to(device.torch), None),
    )


def _boundaries(target: FormatSpec, origin: FormatSpec) -> Tensor:
    """The origin's codes at the target's boundaries; their neighbours in float64, if torch has no
    dtype for the origin."""
    held = widened_dtype(origin)
    if held is not None:
        return boundaries(target, held).view(container(origin))
    float64 = FORMATS["float64"]
    return round_codes(boundaries(target, torch.float64).view(torch.int64), float64, origin)


def _edges(origin: Origin, target: FormatSpec) -> Tensor:
    if isinstance(origin, FormatSpec):
        specials = [0, origin.max_finite_magnitude, origin.max_finite_magnitude + 1]
        if origin.nan_code is not None:
            specials += [origin.nan_code, origin.max_finite_magnitude + 2]
        dtype = container(origin)
        low = torch.tensor(specials, dtype=torch.int64)
        high = low | (origin.sign_mask - (1 << 64) if origin.bits == 64 else origin.sign_mask)
        found = [low.to(dtype), high.to(dtype)]
        return torch.cat([*found, _boundaries(target, origin)])
    values: set[int] = {0, 1}
    for power in range(origin.bits):
        spacing = power - target.precision  # log2 of half an ulp
        for steps in (0, 1, 2, 3, 5, (1 << target.precision) - 1):
            tie = (1 << power) + (steps << spacing if spacing >= 0 else steps >> -spacing)
            values |= {tie - 1, tie, tie + 1}
            if spacing > 30:  # near the tie, beyond what float32 and float64 can tell from it
                values |= {tie + (1 << (spacing - k)) for k in (1, 20, 30)}
    values |= {-v for v in values} if origin.signed else set()
    limit = 1 << (origin.bits - origin.signed)
    inside = sorted(v for v in values if -limit * origin.signed <= v < limit)
    dtype = container(origin)
    codes = [wrapped(v % (1 << 8 * dtype.itemsize), dtype) for v in inside]
    return torch.tensor(codes, dtype=dtype)
