"""The Python API: what `import fpx` offers."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest
import torch

import fpx
from fpx.errors import InputError
from fpx.report.cast_compare import CastReport


def test_python_api_takes_tensors_and_arrays() -> None:
    x = np.array([1.0, 1e6])
    for data in (x, torch.tensor(x, requires_grad=True), np.float64(1e6), x[::-1]):
        report = fpx.cast_compare(data, to="fp16")
        assert isinstance(report, CastReport)
        assert report.rows[0].overflow_count == 1
    brain = np.array([1.0, 3e38], dtype=ml_dtypes.bfloat16)
    assert fpx.cast_compare(brain, to=["fp16"]).rows[0].from_ == "bfloat16"
    for bad in (object(), np.array(["a"]), torch.ones(2, dtype=torch.complex64)):
        with pytest.raises(fpx.FpxError):
            fpx.cast_compare(bad)


def test_unknown_choices_are_named() -> None:
    with pytest.raises(InputError, match="ties_to_even"):
        fpx.encode("1", "bf16", rounding="up")
    with pytest.raises(InputError, match="float16"):
        fpx.encode("1", "fp17")
