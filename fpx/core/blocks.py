"""The scaled formats that people ship, one row each."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from fpx.core.choices import NonFinite, ScaleRule, Ties
from fpx.core.elements import CODEBOOKS, Element
from fpx.core.formats import FORMATS
from fpx.core.scaling import Encoding, Reach, ScaledFormat, Scope

_E8M0, _E4M3, _FLOAT32 = (FORMATS[name] for name in ("float8_e8m0fnu", "float8_e4m3fn", "float32"))
_MX = "OCP Microscaling Formats (MX) v1.0, 5.2"
_NVFP4 = "Pretraining Large Language Models with NVFP4, 2025 (arXiv:2509.25149), B"


def _mx(name: str, element: Element, aliases: str = "") -> ScaledFormat:
    return ScaledFormat(
        name, element, _E8M0, Reach(Scope.BLOCK, columns=32),
        Encoding(ScaleRule.FLOOR, zero_block=0), aliases=tuple(aliases.split()), citation=_MX,
    )  # fmt: skip


def _bitsandbytes(name: str) -> ScaledFormat:
    codebook = CODEBOOKS[name]
    return ScaledFormat(
        name, codebook, _FLOAT32, Reach(Scope.BLOCK, columns=64),
        Encoding(
            # just between two it takes the smaller number, here the smaller magnitude
            ScaleRule.AMAX, Ties.ZERO, zero_block=0, nonfinite=NonFinite.ELEMENT,
            negative_zero=False,
        ),
        citation=codebook.citation,
    )  # fmt: skip


_ROWS = (
    _mx("mxfp8_e4m3", FORMATS["float8_e4m3fn"], "mxfp8_e4m3fn mxfp8"),
    _mx("mxfp8_e5m2", FORMATS["float8_e5m2"]),
    _mx("mxfp6_e3m2", FORMATS["float6_e3m2fn"], "mxfp6_e3m2fn"),
    _mx("mxfp6_e2m3", FORMATS["float6_e2m3fn"], "mxfp6_e2m3fn"),
    _mx("mxfp4", FORMATS["float4_e2m1fn"], "mxfp4_e2m1 mxfp4_e2m1fn"),
    _mx("mxint8", CODEBOOKS["int8"]),
    ScaledFormat(
        "nvfp4", FORMATS["float4_e2m1fn"], _E4M3, Reach(Scope.BLOCK, columns=16),
        Encoding(ScaleRule.AMAX, zero_block=0), global_scale=_FLOAT32, citation=_NVFP4,
    ),
    _bitsandbytes("nf4"),
    _bitsandbytes("fp4_bnb"),
)  # fmt: skip

BLOCK_FORMATS: Mapping[str, ScaledFormat] = MappingProxyType({row.name: row for row in _ROWS})
"""Every listed block format by name."""

BY_NAME: Mapping[str, ScaledFormat] = MappingProxyType(
    {name: row for row in _ROWS for name in (row.name, *row.aliases)}
)
"""Those by their other names too; mxfp8 is E4M3's, the one that every library defaults to."""
