"""What encoding with scales leaves open: names of choices, and what libraries choose.

Beside them nothing is loaded: options and help are made of these names.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from types import MappingProxyType
from typing import Any

from fpx.errors import InputError
from fpx.words import listed, quoted


class Ties(Enum):
    """What an element becomes that is just between two."""

    EVEN = "even"
    """The one whose code is even (OCP MX v1.0, 5.3: roundTiesToEven is to be offered)."""
    AWAY = "away"
    """The one of larger magnitude (microxcaling's `nearest`)."""
    ZERO = "zero"
    """The one of smaller magnitude (ggml; modelopt's MXFP4)."""


class ScaleRule(Enum):
    """Which scale a block gets, by its largest magnitude `amax`.

    The first four give powers of two, 2^(floor(log2 amax) - emax + bump) where `emax` is the
    exponent of the largest element: they differ in the bump, an exact test on amax.
    """

    FLOOR = "floor"
    """Never bumped: the largest elements may be clipped (OCP MX v1.0, 6.3)."""
    EVEN = "even"
    """Bumped where amax, rounded to the element's precision, has the next exponent."""
    CEIL = "ceil"
    """Bumped unless amax is a power of two."""
    RCEIL = "rceil"
    """Bumped where the largest element would be clipped: 2^ceil(log2(amax / largest element))."""
    AMAX = "amax"
    """No power of two: amax / largest element, rounded once to the scale's format, to nearest."""
    FOUR_OVER_SIX = "4over6"
    """E2M1 only: as `amax`, for a largest element of 6 or of 4, whichever has the smaller squared
    error, 6 of equals (Cook et al., "Four Over Six", 2025, arXiv:2512.02010)."""


POWERS_OF_TWO = (ScaleRule.FLOOR, ScaleRule.EVEN, ScaleRule.CEIL, ScaleRule.RCEIL)

_RULES = {rule.value: rule for rule in ScaleRule} | {"pow2": ScaleRule.RCEIL}


def find_rule(name: str) -> ScaleRule:
    """The rule of that name; `pow2` is `rceil`, the power of two that clips nothing.

    Raises:
        InputError: there is none.
    """
    found = _RULES.get(name.strip().lower())
    if found is None:
        raise InputError(f"no scale rule is called {quoted(name)}: use one of {listed(_RULES, 40)}")
    return found


class NonFinite(Enum):
    """What an infinity or a NaN does."""

    BLOCK = "block"
    """The scale of its block is NaN, and so is all of the block."""
    ELEMENT = "element"
    """It is left out of the scale and becomes what the element's format has for it: the same if it
    has that; else NaN becomes an element of 0, and an infinity the largest one."""


def _each(names: str, **choices: Any) -> dict[str, Mapping[str, Any]]:
    return dict.fromkeys(names.split(), choices)


LIKE: Mapping[str, Mapping[str, Mapping[str, Any]]] = MappingProxyType(
    {
        # torchao/prototype/mx_formats of 0.18: rule of its MX configs; block scales from 2^-6 up
        "torchao": {
            **_each("mxfp8_e4m3 mxfp8_e5m2 mxfp6_e3m2 mxfp6_e2m3 mxfp4", rule=ScaleRule.RCEIL),
            **_each("nvfp4", zero_block=0x08, least_scale=0x08),
        },
        # common/util/ptx_arch_spec.cuh and reference_nvfp4.py
        "transformer-engine": {
            **_each("mxfp8_e4m3 mxfp8_e5m2", rule=ScaleRule.RCEIL),
            **_each("nvfp4", zero_block=0x00),
        },
        # quantization/utils/mxfp_utils.py and helpers.py of 0.20
        "compressed-tensors": {
            **_each("mxfp6_e2m3 mxfp4", rule=ScaleRule.EVEN),
            **_each("mxfp8_e4m3", rule=ScaleRule.EVEN, even_bits=1),
            **_each("nvfp4", zero_block=0x20, zero_scale=0x20),
        },
        # torch/quantization/qtensor of 0.47
        "modelopt": {
            **_each("mxfp8_e4m3", rule=ScaleRule.RCEIL),
            **_each("mxfp4", rule=ScaleRule.RCEIL, ties=Ties.ZERO),
            **_each("nvfp4", zero_block=0x38, least_scale=0x01),
        },
        # torch/quantization/utils.py of 0.13: even_round
        "quark": _each("mxfp8_e4m3 mxfp8_e5m2 mxfp6_e3m2 mxfp6_e2m3 mxfp4", rule=ScaleRule.EVEN),
        # gguf/quants.py of 0.19
        "gguf": _each("mxfp4", ties=Ties.ZERO, negative_zero=False),
    }
)
"""Library -> format -> what its encoder chooses otherwise than the format's row.

What the libraries do by mistake (logarithms in float32, a scale's code that wraps) is left out, and
so is what the sign of a zero becomes that was -0 before.
"""
