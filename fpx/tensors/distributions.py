"""Named distributions: tensors to try a cast on when there is no file at hand.

Values are drawn in float64 on the CPU, in blocks, by a generator of the distribution's own: they
depend on the seed alone, not on the device, the other distributions or any global state.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from fpx.core.spec import FormatSpec
from fpx.errors import InputError
from fpx.tensors.boundaries import boundaries
from fpx.tensors.entry import Source, TensorEntry, row_major_blocks

_DRAWN = 1 << 16  # values drawn at a time; part of what a seed means


@dataclass(frozen=True)
class Distribution:
    """A distribution: its parameters in words, and how `n` float64 values are drawn from it.

    `draw` also gets the position of the first of them.
    """

    name: str
    description: str
    draw: Callable[[int, int, Generator], Tensor]


def _normal(n: int, _: int, g: Generator) -> Tensor:
    return torch.randn(n, generator=g, dtype=torch.float64)


def _uniform(n: int, _: int, g: Generator) -> Tensor:
    return torch.rand(n, generator=g, dtype=torch.float64) * 2 - 1


def _lognormal(n: int, at: int, g: Generator) -> Tensor:
    return torch.exp(3 * _normal(n, at, g))


def _gradients(n: int, at: int, g: Generator) -> Tensor:
    # Student's t with 2 degrees of freedom has |t| = sqrt(2 u^2 / (1 - u^2)) for uniform u; its
    # median is sqrt(2/3), and the log-normal factor (as of layers of unlike scale) has median 1
    u = torch.rand(n, generator=g, dtype=torch.float64) * 2 - 1
    t = u * torch.sqrt(2 / (1 - u * u))
    return t / math.sqrt(2 / 3) * torch.exp(2 * _normal(n, at, g)) * 1e-6


_OUTLIER_EVERY = 997  # prime, so that outliers fall into every column of a usual layer


def _activations(n: int, at: int, g: Generator) -> Tensor:
    x = 2 * _normal(n, at, g)
    size = torch.exp(_uniform(n, at, g).abs() * math.log(100)) * 2000
    outlier = (torch.arange(at, at + n) + 1) % _OUTLIER_EVERY == 0
    return torch.where(outlier, torch.copysign(size, x), x)


def _subnormals(n: int, at: int, g: Generator) -> Tensor:
    # from half of bfloat16's smallest subnormal (2^-133) to twice float16's smallest normal (2^-14)
    exponent = torch.rand(n, generator=g, dtype=torch.float64) * 121 - 134
    return torch.copysign(torch.exp2(exponent), _uniform(n, at, g))


_DISTRIBUTIONS = (
    Distribution("normal", "N(0, 1)", _normal),
    Distribution("uniform", "uniform on [-1, 1)", _uniform),
    Distribution("lognormal", "exp(N(0, 3^2)): positive, most within e^-9 to e^9", _lognormal),
    Distribution(
        "gradients",
        "heavy-tailed, median magnitude 1e-6: Student's t with 2 degrees of freedom times "
        "exp(N(0, 2^2))",
        _gradients,
    ),
    Distribution(
        "activations",
        "N(0, 2^2), with every 997th value an outlier: log-uniform from 2e3 to 2e5, so some are "
        "past float16's 65504",
        _activations,
    ),
    Distribution(
        "subnormals",
        "log-uniform from 2^-134 to 2^-13, either sign: below and across the smallest normals of "
        "float16 and bfloat16",
        _subnormals,
    ),
)


DISTRIBUTIONS = {row.name: row for row in _DISTRIBUTIONS}
"""Every random distribution by name."""


BOUNDARIES = "boundaries"


BOUNDARIES_DESCRIPTION = (
    "every threshold of the target and the source's next value on both sides (--size has no say): "
    "all values and midpoints for targets of up to 16 bits, else those at each power of two"
)


NAMES = (*DISTRIBUTIONS, BOUNDARIES)
"""Every named source, in the order of a run without SOURCE."""


def named_source(
    name: str, dtype: torch.dtype, size: int, seed: int, targets: list[FormatSpec]
) -> Source:
    """The source of a name in NAMES, in `dtype` (float), of `size` values for random ones.

    Raises:
        InputError: `dtype` is no floating-point type.
    """
    if not dtype.is_floating_point:
        raise InputError(f"distributions need a floating-point --from, not {dtype}")
    if name == BOUNDARIES:
        return Source(name, [_boundaries_entry(dtype, target) for target in targets])
    distribution = DISTRIBUTIONS[name]
    seeded(seed)  # a bad one is told now, not while reading

    def blocks(limit: int) -> Iterator[Tensor]:
        generator = seeded(seed)
        for start in range(0, size, _DRAWN):
            drawn = distribution.draw(min(_DRAWN, size - start), start, generator).to(dtype)
            yield from row_major_blocks(drawn, limit)

    return Source(name, [TensorEntry(name, dtype, (size,), blocks)])


def seeded(seed: int) -> Generator:
    """A generator of random numbers.

    Raises:
        InputError: the seed has more than 63 bits, or a sign.
    """
    if not 0 <= seed < 1 << 63:
        raise InputError(f"--seed must be from 0 to 2^63 - 1, not {seed}")
    return torch.Generator().manual_seed(seed)


def _boundaries_entry(dtype: torch.dtype, target: FormatSpec) -> TensorEntry:
    values = boundaries(target, dtype)
    return TensorEntry(
        BOUNDARIES,
        dtype,
        tuple(values.shape),
        lambda limit: row_major_blocks(values, limit),
        only_for=target.name,
    )
