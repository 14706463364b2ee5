"""Draws the named distributions.

Values are drawn in float64 on the CPU, in blocks, by a generator of the distribution's own: they
depend on the seed alone, not on the device, the other distributions or any global state.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from fpx.core.spec import FormatSpec
from fpx.errors import InputError
from fpx.tensors.boundaries import boundaries
from fpx.tensors.distributions import BOUNDARIES, DISTRIBUTIONS
from fpx.tensors.dtypes import origin_of
from fpx.tensors.entry import Source, TensorEntry
from fpx.tensors.late import load
from fpx.tensors.rows import row_major_blocks

_DRAWN = 1 << 16  # values drawn at a time; part of what a seed means


Draw = Callable[[int, int, Generator], Tensor]
"""(how many values, the position of the first, their generator) -> that many float64 values."""


@dataclass(frozen=True)
class Sample:
    """How distributions are drawn.

    Attributes:
        dtype: of the values; floating-point.
        size: number of values of a random distribution.
        seed: of the random distributions.
        targets: formats to whose thresholds `boundaries` goes.

    Raises:
        InputError: `dtype` is no floating-point type, `size` is not positive, or the seed has more
            than 63 bits, or a sign.
    """

    dtype: torch.dtype
    size: int = 1 << 20
    seed: int = 0
    targets: Sequence[FormatSpec] = ()

    def __post_init__(self) -> None:
        if not self.dtype.is_floating_point:
            raise InputError(f"distributions are of floating-point numbers, not {self.dtype}")
        if self.size < 1:
            raise InputError(f"`size` must be at least 1, not {self.size}")
        check_seed(self.seed)


def named_source(name: str, sample: Sample) -> Source:
    """The source of a name in `fpx.tensors.distributions.NAMES`."""
    if name == BOUNDARIES:
        entries = (_boundaries_entry(sample.dtype, target) for target in sample.targets)
        return Source(name, tuple(entries), kind="distribution")
    draw: Draw = load(DISTRIBUTIONS[name].draw)

    def read(limit: int) -> Iterator[Tensor]:
        generator = seeded(sample.seed)
        for start in range(0, sample.size, _DRAWN):
            drawn = draw(min(_DRAWN, sample.size - start), start, generator)
            yield from row_major_blocks(drawn.to(sample.dtype), limit)

    entry = TensorEntry(name, origin_of(sample.dtype), (sample.size,), read)
    return Source(name, (entry,), kind="distribution")


def check_seed(seed: int) -> None:
    """Refuses what seeds no generator.

    Raises:
        InputError: the seed has more than 63 bits, or a sign.
    """
    if not 0 <= seed < 1 << 63:
        raise InputError(f"`seed` must be from 0 to 2^63 - 1, not {seed}")


def seeded(seed: int) -> Generator:
    """A generator of random numbers.

    Raises:
        InputError: as `check_seed`.
    """
    check_seed(seed)
    return torch.Generator().manual_seed(seed)


def _boundaries_entry(dtype: torch.dtype, target: FormatSpec) -> TensorEntry:
    values = boundaries(target, dtype)
    return TensorEntry(
        BOUNDARIES,
        origin_of(dtype),
        tuple(values.shape),
        lambda limit: row_major_blocks(values, limit),
        only_for=target.name,
    )


def normal(n: int, _: int, g: Generator) -> Tensor:
    """N(0, 1)."""
    return torch.randn(n, generator=g, dtype=torch.float64)


def uniform(n: int, _: int, g: Generator) -> Tensor:
    """Uniform on [-1, 1)."""
    return torch.rand(n, generator=g, dtype=torch.float64) * 2 - 1


def lognormal(n: int, at: int, g: Generator) -> Tensor:
    """The exponential of N(0, 3^2)."""
    return torch.exp(3 * normal(n, at, g))


def gradients(n: int, at: int, g: Generator) -> Tensor:
    """Heavy-tailed, of layers of unlike scale."""
    # Student's t with 2 degrees of freedom has |t| = sqrt(2 u^2 / (1 - u^2)) for uniform u; its
    # median is sqrt(2/3), and the log-normal factor (as of layers of unlike scale) has median 1
    u = torch.rand(n, generator=g, dtype=torch.float64) * 2 - 1
    t = u * torch.sqrt(2 / (1 - u * u))
    return t / math.sqrt(2 / 3) * torch.exp(2 * normal(n, at, g)) * 1e-6


_OUTLIER_EVERY = 997  # prime, so that outliers fall into every column of a usual layer


def activations(n: int, at: int, g: Generator) -> Tensor:
    """Normal, with outliers in every column of a usual layer."""
    x = 2 * normal(n, at, g)
    size = torch.exp(uniform(n, at, g).abs() * math.log(100)) * 2000
    outlier = (torch.arange(at, at + n) + 1) % _OUTLIER_EVERY == 0
    return torch.where(outlier, torch.copysign(size, x), x)


def subnormals(n: int, at: int, g: Generator) -> Tensor:
    """Log-uniform across the smallest normals of 16-bit formats."""
    # from half of bfloat16's smallest subnormal (2^-133) to twice float16's smallest normal (2^-14)
    exponent = torch.rand(n, generator=g, dtype=torch.float64) * 121 - 134
    return torch.copysign(torch.exp2(exponent), uniform(n, at, g))
