"""What every command returns: frozen dataclasses that know how to become plain JSON data.

Codes are hex strings, exact values decimal strings, measured floats JSON numbers with the
non-finite ones as the strings "inf", "-inf" and "nan". Nothing here prints or draws: `fpx.render`
does. Here is what `fpx decode` and `fpx encode` need; the other reports are in modules of their
own, which load with the commands that make them.
"""

from fpx.report.base import JsonValue, Report, Reports, exact_text, hex_code, to_json
from fpx.report.scalar import Comparison, DecodeReport, EncodeReport, interval_json

__all__ = [
    "Comparison",
    "DecodeReport",
    "EncodeReport",
    "JsonValue",
    "Report",
    "Reports",
    "exact_text",
    "hex_code",
    "interval_json",
    "to_json",
]
