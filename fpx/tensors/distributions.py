"""Named distributions: tensors to try a cast on when there is no file at hand.

The table alone, so that the command line can describe them without loading torch; `draws` draws.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True)
class Distribution:
    """A distribution of random values.

    Attributes:
        name: how a user calls it.
        says: its parameters, in words.
        draw: `module:function` that draws; see `fpx.tensors.draws.Draw`.
    """

    name: str
    says: str
    draw: str


DISTRIBUTIONS: Mapping[str, Distribution] = MappingProxyType(
    {
        row.name: row
        for row in (
            Distribution("normal", "N(0, 1)", "fpx.tensors.draws:normal"),
            Distribution("uniform", "uniform on [-1, 1)", "fpx.tensors.draws:uniform"),
            Distribution(
                "lognormal",
                "exp(N(0, 3^2)): positive, most within e^-9 to e^9",
                "fpx.tensors.draws:lognormal",
            ),
            Distribution(
                "gradients",
                "heavy-tailed, median magnitude 1e-6: Student's t with 2 degrees of freedom times "
                "exp(N(0, 2^2))",
                "fpx.tensors.draws:gradients",
            ),
            Distribution(
                "activations",
                "N(0, 2^2), with every 997th value an outlier: log-uniform from 2e3 to 2e5, so "
                "some are past float16's 65504",
                "fpx.tensors.draws:activations",
            ),
            Distribution(
                "subnormals",
                "log-uniform from 2^-134 to 2^-13, either sign: below and across the smallest "
                "normals of float16 and bfloat16",
                "fpx.tensors.draws:subnormals",
            ),
        )
    }
)
"""Every random distribution by name."""


BOUNDARIES = "boundaries"
"""The named source that is not random: see `fpx.tensors.boundaries`."""


_BOUNDARIES_SAY = (
    "every threshold of the target and the next value on both its sides: all values and midpoints "
    "for targets of up to 16 bits, else those at each power of two"
)


SAYS: Mapping[str, str] = MappingProxyType(
    {**{name: row.says for name, row in DISTRIBUTIONS.items()}, BOUNDARIES: _BOUNDARIES_SAY}
)
"""Every named source in words, by name, in the order of a run without sources."""


NAMES = tuple(SAYS)
"""Every named source, in that order."""
