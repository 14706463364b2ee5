"""What every command returns: frozen dataclasses that know how to become plain JSON data.

Codes are hex strings, exact values decimal strings, measured floats JSON numbers with the
non-finite ones as the strings "inf", "-inf" and "nan". Nothing here prints or draws: `fpx.render`
does.
"""

from fpx.report.base import JsonValue, Report, Reports, to_json
from fpx.report.cast import CastReport, CastRow, Condition, Location, parse_condition
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
    "CastReport",
    "CastRow",
    "Comparison",
    "Condition",
    "DecodeReport",
    "EncodeReport",
    "FormatReport",
    "JsonValue",
    "Location",
    "RangeReport",
    "Report",
    "Reports",
    "exact_text",
    "hex_code",
    "interval_json",
    "parse_condition",
    "to_json",
]
