"""Rows of casts: which are worst, and their totals."""

from __future__ import annotations

import torch

from fpx.measure.cast_compare import cast_compare
from fpx.report.checks import failures, parse_condition
from tests.helpers import F16, F32


def test_worst_rows_first_and_totals() -> None:
    report = cast_compare(
        [torch.ones(5), torch.tensor([1e9, 1.0]), torch.tensor([1e-9])], [F16], from_=F32
    )
    assert [row.tensor for row in report.worst_first()] == ["tensor1", "tensor2", "tensor"]
    (total,) = report.totals
    assert (total.count, total.overflow_count, total.underflow_count) == (8, 1, 1)
    assert failures(report.rows, [parse_condition("overflow_count>=50%")])
    assert not failures(report.rows, [parse_condition("overflow_count>50%")])
    assert not failures(report.rows, [parse_condition("device_mismatch_count>=0")])
