"""Correctly rounded results for arrays of codes: most by float64, the rest with more digits.

A float64 estimate that is known to 2^-40 rounds as the result does if both ends of that interval
round alike: `fpx.casts.rounding` rounds them, in integer arithmetic. What is left, about one result
in 2^(39 - precision), and zeros, infinities and NaNs are looked at one by one.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fpx.arithmetic.functions.codes import (
    Bools,
    Codes,
    Floats,
    is_finite,
    is_nan,
    is_zero,
    nearest,
    unwrapped,
    values,
    wrapped,
)
from fpx.arithmetic.functions.function import Function
from fpx.arithmetic.functions.ziv import number, refer
from fpx.core.spec import FormatSpec

UNDEFINED = -1
"""In place of a code of up to 32 bits: the result is a NaN, and the format has none."""

MARGIN = 2.0**-40
"""Relative error that estimates are allowed: 8,192 times the rounding of float64."""

_LEAST, _MOST = 1e-305, 1e300  # of estimates that are relied on
_PRECISION, _EMAX, _QUANTUM = 24, 127, -149  # of formats whose results estimates may tell


def references(function: Function, columns: Sequence[Codes], spec: FormatSpec) -> Codes:
    """The code of each result, correctly rounded; UNDEFINED where it is none.

    Args:
        function: of as many operands as there are columns.
        columns: for each operand, its codes (n,).
        spec: the format of operands and results, of up to 64 bits.
    """
    no_number = UNDEFINED if spec.nan_code is None else wrapped(spec.nan_code, spec)
    found = np.full(len(columns[0]), no_number, np.int64)
    left = np.ones(len(found), np.bool_)
    if function.estimate is not None and _may_tell(spec):
        plain = [is_finite(column, spec) & ~is_zero(column, spec) for column in columns]
        at = np.flatnonzero(np.logical_and.reduce(plain))
        operands = [values(column[at], spec) for column in columns]
        if function.domain is not None:
            inside = function.domain(operands[0])
            left[at[~inside]] = False
            at, operands = at[inside], [operand[inside] for operand in operands]
        codes, told = _estimated(function, operands, spec)
        found[at[told]] = codes[told]
        left[at[told]] = False
    rest = np.flatnonzero(left)
    if rest.size:
        found[rest] = _one_by_one(function, [column[rest] for column in columns], spec)
    return found


def _may_tell(spec: FormatSpec) -> bool:
    return (
        spec.precision <= _PRECISION
        and spec.emax <= _EMAX
        and spec.quantum_exponent >= _QUANTUM
    )  # fmt: skip


def _estimated(
    function: Function, operands: Sequence[Floats], spec: FormatSpec
) -> tuple[Codes, Bools]:
    """The codes of estimates, and which of them are certain."""
    assert function.estimate is not None
    with np.errstate(all="ignore"):
        estimate = np.clip(function.estimate(*operands), -_MOST, _MOST)
        size = np.abs(estimate)
        known = size >= _LEAST  # no NaN is
        if function.zeros:
            known |= estimate == 0
        estimate = np.where(known, estimate, 1.0)
        margin = MARGIN * (np.maximum(size, 1) if function.absolute else size)
        margin = np.where(known, margin, 0.0)
    low, high = (nearest(estimate + side, spec) for side in (-margin, margin))
    return low, known & (low == high)


def _one_by_one(function: Function, columns: Sequence[Codes], spec: FormatSpec) -> Codes:
    if spec.nan_code is not None:  # all NaNs are alike
        nan = wrapped(spec.nan_code, spec)
        columns = [np.where(is_nan(column, spec), nan, column) for column in columns]
    rows, where = np.unique(np.stack(columns), axis=1, return_inverse=True)

    def result(codes: list[int]) -> int:
        operands = tuple(number(unwrapped(code, spec), spec) for code in codes)
        code = refer(function, operands, spec).code
        return UNDEFINED if code is None else wrapped(code, spec)

    each = np.array([result(codes) for codes in rows.T.tolist()], np.int64)
    found: Codes = each[where.reshape(-1)]
    return found
