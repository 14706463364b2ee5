"""`fpx devices`: what was tried is what torch does."""

from __future__ import annotations

import pytest
import torch

from fpx.casts import devices
from fpx.casts.devices import survey_devices
from fpx.core.formats import FORMATS


def test_the_cpu() -> None:
    report = survey_devices(["cpu"], 1 << 10)
    (cpu,) = report.devices
    assert [row.format for row in cpu.formats] == list(FORMATS)
    by_name = {row.format: row for row in cpu.formats}
    for name in ("float64", "float32", "float16", "bfloat16"):
        row = by_name[name]
        assert row.storage
        assert row.cast
        assert row.product
        assert row.subnormals is True
        assert row.bytes_per_element == FORMATS[name].bits / 8
        assert row.cast_gb_per_s is not None
        assert row.cast_gb_per_s > 0
    assert not by_name["float6_e2m3fn"].storage
    assert by_name["float6_e2m3fn"].copy_gb_per_s is None
    if hasattr(torch, "float4_e2m1fn_x2"):
        assert by_name["float4_e2m1fn"].storage
        assert not by_name["float4_e2m1fn"].cast


def test_flushed_subnormals_are_seen() -> None:
    if not torch.set_flush_denormal(True):
        pytest.skip("this processor has no flush-to-zero mode")
    try:
        assert devices._subnormals(FORMATS["float32"], torch.device("cpu")) is False
    finally:
        torch.set_flush_denormal(False)
