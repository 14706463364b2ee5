"""What every command returns: frozen dataclasses that know how to become plain JSON data.

Codes are hex strings, exact values decimal strings, measured floats JSON numbers with the
non-finite ones as the strings "inf", "-inf" and "nan". Nothing here prints or draws: `fpx.render`
does. The reports of casts are in `fpx.report.cast`: a scalar command has no use for them.
"""

from fpx.report.base import JsonValue, Report, Reports, to_json
from fpx.report.scalar import (
    Comparison,
    DecodeReport,
    EncodeReport,
    FormatReport,
    RangeReport,
    exact_text,
    hex_code,
    interval_json,
)

__all__ = [
    "Comparison",
    "DecodeReport",
    "EncodeReport",
    "FormatReport",
    "JsonValue",
    "RangeReport",
    "Report",
    "Reports",
    "exact_text",
    "hex_code",
    "interval_json",
    "to_json",
]
