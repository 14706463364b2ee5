"""What torch, numpy and ml_dtypes make of one number, and why they differ from the exact result."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from typing import Any

import ml_dtypes
import numpy as np
import torch

from fpx.core import codec
from fpx.core.codec import Classification, Overflow, Rounding
from fpx.core.formats import FORMATS
from fpx.core.literals import Code, Literal, parse_literal, to_literal
from fpx.core.spec import FormatSpec
from fpx.report.base import exact_text
from fpx.report.libraries import LibraryCast, LibraryReport
from fpx.report.scalar import DecodeReport

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
    literal: Literal = exact.literal
    if isinstance(literal, Code):
        literal = parse_literal(exact_text(exact.dyadic, exact.sign) or exact.shortest)
    code = codec.encode(literal, FORMATS["float64"]).code
    (x,) = struct.unpack("<d", code.to_bytes(8, "little"))
    return float(x)


def _reason(code: int, exact: DecodeReport, x: float) -> str:
    """The first known way of going wrong that leads to this code."""
    return next((words for words, other in _ways(exact, x) if other == code), "not known")


def _ways(exact: DecodeReport, x: float) -> Iterator[tuple[str, int]]:
    """(what went wrong, the code that gives), the commonest first."""
    spec = exact.spec
    ieee = Overflow.IEEE
    even = Rounding.TIES_TO_EVEN
    sources: list[tuple[str, Literal]] = [("", to_literal(x))]
    with np.errstate(over="ignore"):
        narrow = float(np.float32(x))
    if narrow != x:
        sources.append(("rounded to float32 on the way", to_literal(narrow)))
    for through, source in sources:
        words = through or "the nearest float64 rounds so"
        yield words, codec.encode(source, spec, even, ieee).code
    if exact.rounded.invalid:
        yield "gives the smallest value", 0
    if exact.classification is Classification.SUBNORMAL:
        yield "flushes subnormals to zero", exact.code & spec.sign_mask
        yield "flushes subnormals to zero", 0
    for through, source in sources:
        also = f", {through}" if through else ""
        yield f"saturates{also}", codec.encode(source, spec, even, Overflow.SATURATE).code
        if spec.nan_code is not None:
            overflowed = codec.encode(source, spec, even, Overflow.NAN).code
            yield f"overflows to NaN{also}", overflowed
            yield f"overflows to NaN{also}", overflowed & spec.magnitude_mask
        for rounding, name in (
            (Rounding.TIES_TO_AWAY, "rounds ties away from zero"),
            (Rounding.TOWARD_ZERO, "truncates"),
        ):
            yield f"{name}{also}", codec.encode(source, spec, rounding, ieee).code
    if spec.nan_code is not None and (exact.rounded.overflow or exact.rounded.invalid):
        yield "gives NaN", spec.nan_code
        yield "gives NaN", spec.nan_code | spec.sign_mask
    if x < 0 and not spec.signed:
        positive = to_literal(-x)
        yield "drops the sign", codec.encode(positive, spec, even, ieee).code
        away = codec.encode(positive, spec, Rounding.TIES_TO_AWAY, ieee).code
        yield "drops the sign, rounds ties away from zero", away
    if exact.classification is Classification.ZERO:
        yield "has the other sign of zero", exact.code ^ spec.sign_mask
