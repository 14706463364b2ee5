"""The functions of `import fpx`: one per command, with its options as parameters."""

from __future__ import annotations

from fpx.api.arithmetic import calc, op_verify, reveal
from fpx.api.catalogue import compare_ranges, element_table, format_info, formats, ranges, table
from fpx.api.conformance import cast_verify, devices, libraries, verify_function
from fpx.api.measure import cast_compare, diff, inspect
from fpx.api.packed import bits, decode_block
from fpx.api.scalars import decode, distance, distribution, encode, survey
from fpx.api.training import step_compare, watch
from fpx.core.formats import FORMATS
from fpx.core.literals import ReadAs
from fpx.core.names import find_format
from fpx.core.policy import Overflow, Rounding
from fpx.core.spec import FormatSpec
from fpx.errors import FpxError
from fpx.report.base import Report
from fpx.report.decode import DecodeReport
from fpx.report.encode import EncodeReport

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
