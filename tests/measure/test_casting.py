"""Who casts: the backend that was named, or torch, or exact rounding where torch has no cast."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import fpx
from fpx.casts.backends import BACKENDS, ExactBackend
from fpx.casts.device import Device
from fpx.core.codec import Classification
from fpx.core.formats import FORMATS
from fpx.core.names import find_format
from fpx.core.spec import FormatSpec, NanEncoding
from fpx.errors import InputError, UnavailableError
from fpx.measure.cast_compare import cast_compare
from fpx.report.cast_row import CastRow
from fpx.report.metrics import LOCATIONS, METRICS
from fpx.tensors.dtypes import Origin
from tests.helpers import BF16, F16, F32, F64, call, results
from tests.measure.definitions import agree, first_largest, reference_row, row_of


def numbers() -> torch.Tensor:
    """float64 values that overflow, underflow and lie between those of every target."""
    rng = np.random.default_rng(11)
    spread = rng.standard_normal(3000) * 2.0 ** rng.integers(-30, 30, 3000)
    specials = [0.0, -0.0, math.inf, -math.inf, math.nan, 65504.0, 65520.0, 6.0, 0.25, 2.0**-24]
    return torch.from_numpy(np.concatenate([spread, specials]))


def result(value: float, spec: FormatSpec) -> float:
    """What `fpx.decode` says that a number becomes."""
    report = fpx.decode(value, spec)
    if report.value is not None:
        return float(report.value)
    sign = -1 if report.fields.sign else 1
    return sign * math.inf if report.classification is Classification.INFINITY else math.nan


def measured(row: CastRow) -> dict[str, Any]:
    """All that does not depend on who cast."""
    return {**row.metrics, **{name: repr(at) for name, at in row.locations.items()}}


def test_backends_that_round_correctly_give_equal_rows(tmp_path: Path) -> None:
    x = numbers().float()
    save_file({"x": x, "y": x[:7].clone()}, tmp_path / "x.safetensors")
    for target, backends in (
        (F16, ("torch", "exact", "numpy")), (BF16, ("torch", "exact", "ml_dtypes")),
    ):  # fmt: skip
        reports = [
            fpx.cast_compare(tmp_path / "x.safetensors", to=target, backend=backend)
            for backend in backends
        ]
        for report, backend in zip(reports, backends, strict=True):
            assert [row.backend for row in (*report.rows, *report.totals)] == [backend] * 3
            rows = (*report.rows, *report.totals)
            for row, other in zip(rows, (*reports[0].rows, *reports[0].totals), strict=True):
                assert measured(row) == measured(other)
                assert row.exponent_histogram == other.exponent_histogram


@pytest.mark.parametrize("origin", [torch.float32, torch.float64, torch.bfloat16], ids=str)
@pytest.mark.parametrize(
    "name",
    ["float4_e2m1fn", "float6_e2m3fn", "float6_e3m2fn", "float8_e3m4", "float8_e4m3",
     "float8_e4m3b11fnuz"],
)  # fmt: skip
def test_formats_that_torch_lacks_against_ml_dtypes(name: str, origin: torch.dtype) -> None:
    """Float32 and bfloat16 convert without a double rounding; from float64, what float32 holds."""
    spec = FORMATS[name]
    x = numbers().float().to(origin)
    row = row_of(x, spec)
    assert row.backend == "exact"
    assert spec.ml_dtypes is not None
    values = x.double().numpy()
    with np.errstate(all="ignore"):
        q = x.float().numpy().astype(getattr(ml_dtypes, spec.ml_dtypes)).astype(np.float64)
    if spec.nan is NanEncoding.NONE:  # fpx gives 0 for a NaN there, which is nobody's rule
        q = np.where(np.isnan(values), 0.0, q)
    expected = reference_row(values, q, spec)
    agree(row.metrics, expected)
    for key, at in first_largest(values, q, spec).items():
        found = row.locations[f"{key}_location"]
        assert (found and found.index) == at, key


@pytest.mark.parametrize("name", ["tf32", "e5m7", "binary8p4se", "e7m10", "e3m0"])
def test_formats_that_no_library_has(name: str) -> None:
    """Against the scalar rounding of fpx.encode, which is tested against a bisection."""
    spec = find_format(name)
    x = numbers()[::7]
    row = row_of(x, spec)
    assert row.backend == "exact"
    q = [result(value, spec) for value in x.tolist()]
    expected = reference_row(x.numpy(), np.array(q), spec)
    agree(row.metrics, expected)


def test_every_listed_format_that_float64_holds_is_a_target() -> None:
    wanted = [spec for spec in FORMATS.values() if F64.holds(spec)]
    assert len(wanted) == len(FORMATS) - 1
    report = fpx.cast_compare(numbers(), to=wanted)
    assert [row.to for row in report.rows] == [spec.name for spec in wanted]
    for row in report.rows:
        held = BACKENDS["torch"].offers(F64, FORMATS[row.to])
        assert row.backend == ("torch" if held else "exact")
        if row.backend == "exact":
            assert row.surviving_max_error_ulp <= 0.5 or row.saturated_count
            assert not row.unexpected_nonfinite_count


@pytest.mark.parametrize("name", ["float128", "e19m44", "e12m3"])
def test_targets_beyond_float64_are_refused(name: str) -> None:
    for backend in (None, "exact"):
        with pytest.raises(InputError, match=f"{name} has values that float64 lacks"):
            fpx.cast_compare(torch.ones(2), to=name, backend=backend)
    code, out, err = call("cast-compare", "normal", "--size", "9", "--to", name)
    assert (code, out, err.count("\n")) == (2, "", 1)


@pytest.mark.parametrize(
    ("backend", "target"),
    [("torch", "fp4"), ("torch", "e5m7"), ("numpy", "bf16"), ("ml_dtypes", "fp16"),
     ("ml_dtypes", "e5m7")],
)  # fmt: skip
def test_a_backend_without_that_cast_exits_3(backend: str, target: str) -> None:
    args = ("cast-compare", "normal", "--size", "9", "--to", "fp16", "--to", target)
    code, out, err = call(*args, "--backend", backend)
    assert (code, out, err.count("\n")) == (3, "", 1)
    assert err.startswith(f"fpx: {backend} ")
    assert "leave --backend out, or take --backend exact" in err
    code, out, err = call(*args, "--backend", "exact")
    assert (code, err) == (0, "")


def test_the_command_hands_the_backend_on() -> None:
    args = ("cast-compare", "normal", "--size", "9", "--to", "fp16")
    for backend in ("torch", "numpy", "exact"):
        (row,) = results(*args, "--backend", backend)
        assert row["backend"] == backend
    assert call(*args, "--backend", "cuda")[0] == 2
    with pytest.raises(InputError, match="ml_dtypes"):
        fpx.cast_compare(torch.ones(2), backend="nope")


class _Card(Device):
    """A device that is not the CPU, though it runs there."""

    @property
    def is_cpu(self) -> bool:
        return False


def test_libraries_that_cast_on_the_cpu_alone() -> None:
    card = _Card(torch.device("cpu"), "a card", 100)
    for name in ("numpy", "ml_dtypes"):
        with pytest.raises(UnavailableError, match=f"{name} casts on the CPU alone"):
            cast_compare([torch.ones(2)], [F16], backend=BACKENDS[name], device=card)
    row = row_of(numbers(), find_format("fp4"), device=card)
    assert (row.backend, row.device_mismatch_count) == ("exact", 0)


class _Shared(ExactBackend):
    """Elements share what they are divided by, so their codes depend on their neighbours."""

    elementwise = False

    def cast(
        self,
        codes: torch.Tensor,
        origin: Origin,
        target: FormatSpec,
        layout: str = "contiguous",
        compiled: bool = False,
    ) -> torch.Tensor:
        x = codes.view(torch.bfloat16).double()
        scale = x.view(-1, 2).abs().amax(1, keepdim=True) if len(x) > 1 else x.abs()
        shared = (x.view(-1, 2) / scale).view(-1) if len(x) > 1 else x / scale
        return super().cast(shared.view(torch.int64), F64, target)


def test_what_is_not_elementwise_is_not_taken_by_distinct_codes() -> None:
    """Of many elements with few codes, each is cast with its neighbours all the same."""
    x = torch.tensor([1.0, 4.0, 1.0, 1.0]).repeat(1 << 16).bfloat16()
    (row,) = cast_compare([x], [F16], backend=_Shared(), from_=F32).rows
    assert row.count == len(x)
    # 1/4, 1, 1, 1 of 1, 4, 1, 1: half are as they were
    assert (row.exact_count, row.max_abs_error) == (len(x) // 2, 3)


def test_every_row_has_every_metric_and_location() -> None:
    (row,) = fpx.cast_compare(numbers(), to="fp4").rows
    assert [*row.metrics] == [*METRICS]
    assert {*row.locations} == {*LOCATIONS}
