"""Functions that are right but for one fault, and what op-verify says of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fpx.arithmetic.functions.catalogue import FUNCTIONS
from fpx.arithmetic.functions.codes import Codes
from fpx.arithmetic.functions.function import Function
from fpx.arithmetic.functions.implementations import Implementation
from fpx.arithmetic.functions.op_verify import op_verify
from fpx.arithmetic.functions.references import references
from fpx.core.spec import FormatSpec
from fpx.report.op_verify import FunctionRow

Fault = Callable[[tuple[Codes, ...], Codes], Codes]
"""(codes of the operands, right results) -> the results that come."""


class Planted(Implementation):
    """An implementation with a fault."""

    name, version, device = "planted", "0", "nowhere"

    def __init__(self, fault: Fault = lambda columns, right: right) -> None:
        self.fault = fault
        self.calls: list[int] = []

    def compute(self, function: Function, columns: Sequence[Codes], spec: FormatSpec) -> Codes:
        self.calls.append(len(columns[0]))
        return self.fault(tuple(columns), references(function, columns, spec))


def at(code: int, got: int) -> Fault:
    """Where the first operand is one code, another result."""
    return lambda columns, right: np.where(columns[0] == code, got, right)


def verify(name: str, spec: FormatSpec, fault: Fault, **more: Any) -> FunctionRow:
    """The row of a function with a fault."""
    report = op_verify([FUNCTIONS[name]], [spec], implementations=[Planted(fault)], **more)
    (row,) = report.rows
    return row


def counts(row: FunctionRow) -> dict[str, int]:
    """Its causes."""
    return {cause.cause: cause.count for cause in row.causes}
