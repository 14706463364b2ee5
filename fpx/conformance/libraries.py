"""What torch, numpy and ml_dtypes make of one number, and why they differ from the exact result."""

from __future__ import annotations

import torch
from torch import Tensor

from fpx.casts.backends import BACKENDS, EXACT
from fpx.casts.unpacked import nans
from fpx.conformance.causes import Differences, explain
from fpx.conformance.scalar import round_one_by_one
from fpx.core import codec
from fpx.core.formats import FORMATS
from fpx.core.literals import parse_literal
from fpx.core.numbers import Code, Literal
from fpx.core.policy import Rounding
from fpx.core.shortest import shortest_decimal
from fpx.core.spec import FormatSpec
from fpx.report.decode import DecodeReport
from fpx.report.libraries import LibraryCast, LibraryReport
from fpx.tensors.dtypes import wrapped

_FLOAT64 = FORMATS["float64"]
_LIBRARIES = tuple(backend for backend in BACKENDS.values() if backend is not EXACT)


def compare_libraries(exact: DecodeReport) -> LibraryReport:
    """What each library's own cast makes of the number of `exact`, from its nearest float64.

    Libraries round ties to even and have their own ways with overflow, whatever `exact` was asked
    for; a reason tells which of the two makes the difference.
    """
    spec = exact.spec
    given = _nearest_float64(exact)
    codes = torch.tensor([wrapped(given, torch.int64)])
    casts = []
    for backend in _LIBRARIES:
        if not backend.offers(_FLOAT64, spec):
            continue
        got = backend.cast(codes, _FLOAT64, spec)
        code = int(got.item()) % (1 << spec.bits)
        agrees = code == exact.code or (codec.is_nan(code, spec) and codec.is_nan(exact.code, spec))
        reason = "" if agrees else _reason(codes, got, exact)
        casts.append(LibraryCast(backend.name, backend.version, spec, code, agrees, reason))
    versions = {backend.name: backend.version for backend in _LIBRARIES}
    return LibraryReport(exact, repr(codes.view(torch.float64).item()), tuple(casts), versions)


def _nearest_float64(exact: DecodeReport) -> int:
    """The code of the float64 nearest to the number: what a user would hand to a library."""
    literal: Literal = exact.number or exact.literal
    if isinstance(literal, Code):
        literal = parse_literal(exact.value_text)
    return codec.encode(literal, _FLOAT64).code


def _reason(codes: Tensor, got: Tensor, exact: DecodeReport) -> str:
    """Why a library's result is not the exact one, as far as it tells.

    Args:
        codes, got: the float64 and the library's result, of shape (1,).
        exact: what was asked for.
    """
    spec, rounding, overflow = exact.spec, exact.rounding, exact.overflow
    asked = round_one_by_one(codes, _FLOAT64, spec, rounding, overflow)
    if _same(got, asked, spec):
        return "the nearest float64 rounds so"
    usual = round_one_by_one(codes, _FLOAT64, spec)  # what a library is to give
    reasons = []
    if not _same(asked, usual, spec):
        evenly = round_one_by_one(codes, _FLOAT64, spec, Rounding.TIES_TO_EVEN, overflow)
        if _same(evenly, usual, spec):
            way = rounding.value.replace("_", " ")
            reasons.append(f"rounds ties to even, not {way} as asked")
        elif _same(got, usual, spec):
            reasons.append(f"{_named(asked, spec)} was asked for, not {_named(usual, spec)}")
    if not _same(got, usual, spec):
        fault = Differences(codes, _FLOAT64, spec, usual, got)
        reasons += [cause.reason for cause, _ in explain(fault)]
    return "; ".join(reasons)


def _same(one: Tensor, other: Tensor, spec: FormatSpec) -> bool:
    """Whether two codes, each of shape (1,), are the same, or both NaNs."""
    return bool(torch.equal(one, other) or (nans(one, spec) & nans(other, spec)).all())


def _named(codes: Tensor, spec: FormatSpec) -> str:
    """The value of a code, of shape (1,), as an overflow policy speaks of it."""
    code = int(codes.item()) % (1 << spec.bits)
    magnitude = code & spec.magnitude_mask
    if codec.is_nan(code, spec):
        return "NaN"
    if magnitude == spec.infinity_magnitude:
        return "infinity"
    if magnitude == spec.max_finite_magnitude:
        return "the largest value"
    if not magnitude and not spec.zero:
        return "the smallest value"
    return shortest_decimal(code, spec)
