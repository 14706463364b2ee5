"""The functions of `import fpx`, one per command, with its options as parameters: a file per theme.

Here is what several of them take and give.
"""

from __future__ import annotations

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
    "find_format",
]
