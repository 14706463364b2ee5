"""The Python API: what `import fpx` offers."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest
import torch

import fpx
from fpx.errors import InputError
from fpx.report.cast_compare import CastReport
from fpx.report.inspect import ExtremesReport, InspectReport


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


def test_inspect_takes_tensors_and_arrays_and_collections_of_them() -> None:
    layer = torch.nn.Linear(3, 2)
    for data in (layer, layer.state_dict(), dict(layer.state_dict())):
        report = fpx.inspect(data, stats=True)
        assert isinstance(report, InspectReport)
        assert [item.tensor for item in report] == ["weight", "bias"]
        assert repr(report) == "<InspectReport: 2 rows, 32 bytes>"
        assert [row.tensor for row in fpx.cast_compare(data, to="fp16").rows] == ["weight", "bias"]
    (one,) = fpx.inspect(np.ones((2, 3), ml_dtypes.bfloat16))
    assert (one.dtype, one.shape) == ("bfloat16", (2, 3))
    several = fpx.inspect([np.ones(3), {"a": torch.ones(2), "b": torch.ones(1)}], exclude="b")
    assert [(item.source, item.tensor) for item in several] == [
        ("tensor", "tensor"), ("tensor1", "a"),
    ]  # fmt: skip
    found = fpx.inspect({"x": torch.tensor([[1.0, -4.0]])}, tensor="x", top=1)
    assert isinstance(found, ExtremesReport)
    assert found.smallest[0].index == (0, 1)
    assert len(found.table().rows) == 3
    with pytest.raises(fpx.FpxError, match="`top` and `stats` exclude each other"):
        fpx.inspect(layer, tensor="bias", top=1, stats=True)
    with pytest.raises(fpx.FpxError, match="no such file"):
        fpx.inspect("nofile")
