"""fpx shows what a floating-point format does to numbers: exact bits, exact casts, real tensors.

    >>> import fpx
    >>> fpx.decode("3.14", "bf16").value
    Fraction(201, 64)
    >>> hex(fpx.encode("65519.999999999999", "fp16").code)
    '0x7bff'
    >>> fpx.format_info("bfloat16").max_finite == fpx.decode("0x7f7f", "bf16").value
    True

Every command is a function here, with its options as parameters, and gives the report that the
command shows. Those that work on tensors load torch when they are first called; nothing else does.
The functions are in the files of `fpx.api`, which load when they are first asked for: a command of
the shell needs none.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from fpx.drawing import draw_with
from fpx.version import __version__

if TYPE_CHECKING:
    from fpx.api import (
        FORMATS,
        DecodeReport,
        EncodeReport,
        FormatSpec,
        FpxError,
        Overflow,
        ReadAs,
        Report,
        Rounding,
        find_format,
    )
    from fpx.api.arithmetic import calc, op_verify, reveal
    from fpx.api.catalogue import compare_ranges, element_table, format_info, formats, ranges, table
    from fpx.api.conformance import cast_verify, devices, libraries, verify_function
    from fpx.api.measure import cast_compare, diff, inspect
    from fpx.api.packed import bits, decode_block
    from fpx.api.scalars import decode, distance, distribution, encode, survey
    from fpx.api.training import step_compare, watch

__all__ = [
    "FORMATS",
    "DecodeReport",
    "EncodeReport",
    "FormatSpec",
    "FpxError",
    "Overflow",
    "ReadAs",
    "Report",
    "Rounding",
    "__version__",
    "bits",
    "calc",
    "cast_compare",
    "cast_verify",
    "compare_ranges",
    "decode",
    "decode_block",
    "devices",
    "diff",
    "distance",
    "distribution",
    "element_table",
    "encode",
    "find_format",
    "format_info",
    "formats",
    "inspect",
    "libraries",
    "op_verify",
    "ranges",
    "reveal",
    "step_compare",
    "survey",
    "table",
    "verify_function",
    "watch",
]

_THEMES = {
    "arithmetic": ("calc", "op_verify", "reveal"),
    "catalogue": ("compare_ranges", "element_table", "format_info",
                  "formats", "ranges", "table"),
    "conformance": ("cast_verify", "devices", "libraries", "verify_function"),
    "measure": ("cast_compare", "diff", "inspect"),
    "packed": ("bits", "decode_block"),
    "scalars": ("decode", "distance", "distribution", "encode", "survey"),
    "training": ("step_compare", "watch"),
}  # fmt: skip
"""The files of `fpx.api`, each of which loads when one of its functions is first asked for."""


def __getattr__(name: str) -> Any:
    if name == "testing":  # for other people's test suites: see fpx.testing
        return import_module("fpx.testing")
    if name not in __all__:
        raise AttributeError(f"module 'fpx' has no attribute {name!r}")
    themes = (f".{theme}" for theme, functions in _THEMES.items() if name in functions)
    value = globals()[name] = getattr(import_module(f"fpx.api{next(themes, '')}"), name)
    return value


def __dir__() -> list[str]:
    return sorted(__all__)


def _renderer() -> Any:
    import fpx.render

    return fpx.render


draw_with(_renderer)
