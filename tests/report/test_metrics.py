"""The table of metrics, and what derives from it."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch

import fpx
from fpx.report import checks, metrics
from fpx.report.checks import parse_condition
from fpx.report.metrics import BLOCKS, ELEMENTS, LOCATIONS, METRICS, Merge
from tests.helpers import call

_COUNTS = [
    "overflow_count", "overflow_to_inf_count", "overflow_to_nan_count", "saturated_count",
    "unexpected_nonfinite_count", "destroyed_count", "underflow_count", "subnormal_count",
    "nan_input_count", "inf_input_count", "nan_lost_count", "exact_count", "device_mismatch_count",
    "device_nan_bits_mismatch_count",
]  # fmt: skip
KEYS = [
    "source", "tensor", "from", "to", "backend", "device", "verdict", "decided_by", "outcome",
    "count", *_COUNTS, *(name.replace("_count", "_rate") for name in _COUNTS), "max_abs", "min_abs",
    "headroom_binades", "max_abs_error", "max_rel_error", "max_error_ulp", "mean_error_ulp",
    "rms_error", "sqnr_db", "surviving_max_abs_error", "surviving_max_rel_error",
    "surviving_max_error_ulp", "surviving_rms_error", "surviving_sqnr_db", "small_value_loss_db",
    "first_overflow", "first_destroyed", "first_device_mismatch", "max_abs_location",
    "max_abs_error_location", "max_rel_error_location", "max_error_ulp_location",
    "exponent_histogram",
]  # fmt: skip
"""The keys of an entry, in their order."""


def test_the_keys_of_json_are_those_of_old() -> None:
    report = fpx.cast_compare(torch.tensor([1.0, 7e4]), to="fp16")
    for entry in (*report.to_dict()["results"], *report.to_dict()["totals"]):
        assert [key for key in entry if key in KEYS] == KEYS
        assert {*entry} - {*KEYS} <= {*METRICS, *LOCATIONS, "scale_histogram"}


def test_rows_have_their_metrics_and_locations_as_attributes() -> None:
    (row,) = fpx.cast_compare(torch.tensor([1.0004, 7e4]), to="fp16").rows
    for name, value in {**row.metrics, **row.locations}.items():
        assert getattr(row, name) is value or getattr(row, name) == value
        assert name in dir(row)
    assert (row.overflow_count, row.first_overflow.index) == (1, (1,))
    with pytest.raises(AttributeError, match="overflow"):
        _ = row.overflow


def test_counts_are_of_elements_or_blocks() -> None:
    for name, row in METRICS.items():
        assert row.name == name
        assert row.is_count == (row.unit in (ELEMENTS, BLOCKS)) == (name.endswith("count"))
        assert row.of_scales or row.unit != BLOCKS
        assert row.says
        assert not row.is_count or row.merge is Merge.SUM


@pytest.fixture(scope="module")
def help_text() -> str:
    return call("cast-compare", "--help", columns=200)[1].replace("\n", "")


@pytest.mark.parametrize("name", METRICS)
def test_every_metric_can_be_asked_about(name: str, help_text: str) -> None:
    assert parse_condition(f"{name}>=1").metric == name
    (row,) = fpx.cast_compare(torch.tensor([1.0004, 1e-9]), to="fp16").rows
    if METRICS[name].of_scales:
        assert row.metrics[name] is None
        (row,) = fpx.cast_compare(torch.tensor([1.0004, 1e-9]), to="mxfp4").rows
        assert row.metrics[name] is not None
    if METRICS[name].of_draws:
        assert row.metrics[name] is None
        (row,) = fpx.cast_compare(torch.tensor([1.0004, 1e-9]), to="fp16", rounding="stochastic")
        assert row.metrics[name] is not None
    value = row.metrics[name]
    assert parse_condition(f"{name}<1e300").fails(row) == (value is not None)
    shown = name if not name.endswith("_rate") else "*_rate"
    assert shown in help_text


@pytest.mark.parametrize("module", [metrics, checks], ids=lambda module: str(module.__name__))
def test_nothing_reads_annotations(module: Any) -> None:
    """Metrics that were told by their annotations' text once went silent without this import."""
    source = Path(module.__file__).read_text(encoding="utf-8")
    future = "from __future__ import annotations\n"
    assert future in source
    found: dict[str, Any] = {"__name__": module.__name__}
    exec(compile(source.replace(future, ""), module.__file__, "exec", dont_inherit=True), found)
    assert [*found["METRICS"]] == [*METRICS]
    if "parse_condition" in found:
        assert found["parse_condition"]("max_error_ulp>0.5").limit == 0.5


def test_a_total_of_nothing_has_every_metric() -> None:
    (row,) = fpx.cast_compare(torch.ones(0), to="fp16").rows
    assert [*row.metrics] == [*METRICS]
    assert {*row.locations} == {*LOCATIONS}
    counts = {name: m for name, m in METRICS.items() if m.is_count and not m.on_device}
    assert all(row.metrics[n] == (0 if m.is_of_all else None) for n, m in counts.items())
    (scaled,) = fpx.cast_compare(torch.ones(0), to="mxfp4").rows
    assert all(scaled.metrics[n] == (None if m.of_draws else 0) for n, m in counts.items())
    assert math.isnan(row.sqnr_db)
