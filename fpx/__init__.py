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
The functions are in `fpx.api`, which loads when one of them is first asked for: a command of the
shell needs none.
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
        bits,
        calc,
        cast_compare,
        cast_verify,
        compare_ranges,
        decode,
        decode_block,
        devices,
        diff,
        distance,
        distribution,
        element_table,
        encode,
        find_format,
        format_info,
        formats,
        inspect,
        libraries,
        op_verify,
        ranges,
        reveal,
        step_compare,
        survey,
        table,
        verify_function,
        watch,
    )

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


def __getattr__(name: str) -> Any:
    if name == "testing":  # for other people's test suites: see fpx.testing
        return import_module("fpx.testing")
    if name not in __all__:
        raise AttributeError(f"module 'fpx' has no attribute {name!r}")
    import fpx.api as api

    value = globals()[name] = getattr(api, name)
    return value


def __dir__() -> list[str]:
    return sorted(__all__)


def _renderer() -> Any:
    import fpx.render

    return fpx.render


draw_with(_renderer)
