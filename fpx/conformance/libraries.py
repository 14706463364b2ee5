"""What torch, numpy and ml_dtypes make of one number, and why they differ from the exact result."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np
import torch

from fpx.casts.rounding import round_codes
from fpx.conformance.causes import CAUSES, Differences
from fpx.core import codec
from fpx.core.formats import FORMATS
from fpx.core.literals import parse_literal
from fpx.core.numbers import Code, Literal
from fpx.core.spec import FormatSpec
from fpx.report.base import exact_text
from fpx.report.decode import DecodeReport
from fpx.report.libraries import LibraryCast, LibraryReport
from fpx.tensors.dtypes import wrapped

_INTEGERS = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


def _torch(x: float, spec: FormatSpec) -> int | None:
    dtype = getattr(torch, spec.torch or "", None)
    if not isinstance(dtype, torch.dtype):
        return None
    try:
        result = torch.tensor([x], dtype=torch.float64).to(dtype)
    except (RuntimeError, TypeError):  # storage only: no cast to it (float4_e2m1fn_x2)
        return None
    code = int(result.view(_INTEGERS[result.itemsize]).item())
    return code % (1 << spec.bits)


def _numpy(x: float, spec: FormatSpec) -> int | None:
    return None if spec.numpy is None else _array_cast(x, getattr(np, spec.numpy), spec)


def _ml_dtypes(x: float, spec: FormatSpec) -> int | None:
    kind = getattr(ml_dtypes, spec.ml_dtypes or "", None)
    return None if kind is None else _array_cast(x, kind, spec)


def _array_cast(x: float, kind: type, spec: FormatSpec) -> int:
    with np.errstate(all="ignore"):
        result: np.ndarray[Any, Any] = np.array([x], dtype=np.float64).astype(kind)
    return int(result.view(f"u{result.itemsize}")[0]) % (1 << spec.bits)


LIBRARIES: dict[str, tuple[str, Callable[[float, FormatSpec], int | None]]] = {
    "torch": (str(torch.__version__), _torch),
    "numpy": (np.__version__, _numpy),
    "ml_dtypes": (ml_dtypes.__version__, _ml_dtypes),
}
"""Library -> its version, and its cast of a float64 to a code (None where it has none)."""


def compare_libraries(exact: DecodeReport) -> LibraryReport:
    """What each library's own cast makes of the number of `exact`, from its nearest float64."""
    spec = exact.spec
    x = _nearest_float64(exact)
    casts = []
    for library, (version, cast) in LIBRARIES.items():
        code = cast(x, spec)
        if code is None:
            continue
        agrees = code == exact.code or (codec.is_nan(code, spec) and codec.is_nan(exact.code, spec))
        reason = "" if agrees else _reason(code, exact, x)
        casts.append(LibraryCast(library, version, spec, code, agrees, reason))
    versions = {library: version for library, (version, _) in LIBRARIES.items()}
    return LibraryReport(exact, repr(x), tuple(casts), versions)


def _nearest_float64(exact: DecodeReport) -> float:
    """The float64 nearest to the number, which is what a user would hand to a library."""
    literal: Literal = exact.number or exact.literal
    if isinstance(literal, Code):
        literal = parse_literal(exact_text(exact.dyadic, exact.sign) or exact.shortest)
    code = codec.encode(literal, FORMATS["float64"]).code
    (x,) = struct.unpack("<d", code.to_bytes(8, "little"))
    return float(x)


def _reason(code: int, exact: DecodeReport, x: float) -> str:
    """The first known way of going wrong that leads to this code."""
    source, spec = FORMATS["float64"], exact.spec
    codes = torch.tensor([x], dtype=torch.float64).view(torch.int64)
    expected = round_codes(codes, source, spec)
    got = torch.tensor([wrapped(code, expected.dtype)], dtype=expected.dtype)
    if torch.equal(got, expected):
        return "the nearest float64 rounds so"
    difference = Differences(codes, source, spec, expected, got)
    return next(cause.reason for cause in CAUSES if cause.test(difference).item())
