"""`fpx devices`: what was tried is what torch does."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import torch

from fpx.casts import devices
from fpx.casts.devices import survey_devices
from fpx.core.formats import FORMATS


def test_the_cpu() -> None:
    report = survey_devices(["cpu"], 1 << 10, seconds=0.001)
    (cpu,) = report.devices
    assert [row.format for row in cpu.formats] == list(FORMATS)
    by_name = {row.format: row for row in cpu.formats}
    for name in ("float64", "float32", "float16", "bfloat16"):
        row = by_name[name]
        assert row.storage
        assert row.cast
        assert row.product
        assert row.subnormals is True
        assert row.subnormals_product_small is True
        assert row.subnormals_cast is (None if name == "float64" else True)
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


def test_where_subnormals_are_flushed() -> None:
    """Each probe alone: what is wrong there is seen there."""
    cpu = torch.device("cpu")

    def probes(name: str) -> list[bool | None]:
        spec = FORMATS[name]
        cast = devices._cast_keeps_subnormals(spec, cpu)
        return [cast, devices._product_keeps_subnormals(spec, cpu, 4)]

    if not torch.set_flush_denormal(True):
        pytest.skip("this processor has no flush-to-zero mode")
    try:
        assert probes("float32") == [False, False]
    finally:
        torch.set_flush_denormal(False)
    assert probes("float32") == [True, True]
    assert probes("float8_e8m0fnu") == [None, None]


@pytest.mark.parametrize("lost", [torch.bfloat16, torch.float32])
def test_a_cast_or_the_way_back_may_lose_them(
    lost: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    to = torch.Tensor.to
    monkeypatch.setattr(
        torch.Tensor, "to", lambda x, dtype: to(x, dtype) * (0 if dtype is lost else 1)
    )
    assert devices._cast_keeps_subnormals(FORMATS["bfloat16"], torch.device("cpu")) is False


def test_products_are_compared_as_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    """One element that is lost, and a float8 whose only product has another dtype."""

    def lossy(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return torch.mul(a, 1).index_fill(0, torch.tensor([3]), 0.0)

    monkeypatch.setattr(torch, "matmul", lossy)
    assert not devices._product_keeps_subnormals(FORMATS["bfloat16"], torch.device("cpu"), 4)
    monkeypatch.setattr(torch, "matmul", lambda a, b: a.bfloat16())
    e5m2 = FORMATS["float8_e5m2"]
    assert devices._product_keeps_subnormals(e5m2, torch.device("cpu"), 4)
    monkeypatch.setattr(torch, "matmul", lambda a, b: 2 * a.bfloat16())
    assert not devices._product_keeps_subnormals(e5m2, torch.device("cpu"), 4)


def test_rates_have_a_spread_and_tell_the_cache() -> None:
    (cpu,) = survey_devices(["cpu"], 1 << 10, seconds=0.001).devices
    for row in cpu.formats:
        rates = [
            (row.storage, row.copy_gb_per_s_min, row.copy_gb_per_s, row.copy_gb_per_s_max),
            (row.cast, row.cast_gb_per_s_min, row.cast_gb_per_s, row.cast_gb_per_s_max),
        ]
        for measured, low, median, high in rates:
            if measured:
                assert low is not None
                assert median is not None
                assert high is not None
                assert 0 < low <= median <= high
            else:
                assert low is median is high is None
        assert (row.bytes_per_element is not None) == row.storage
        known = cpu.cache_bytes is not None
        assert row.cast_in_cache == (True if known and row.cast else None)
        assert row.copy_in_cache == (True if known and row.storage else None)


@pytest.mark.parametrize(
    ("cache", "copies_fit", "casts_fit"),
    [(6000, True, True), (5999, True, False), (4000, True, False), (3999, False, False)],
)
def test_what_fits_the_cache_is_what_is_read_and_written(
    cache: int, copies_fit: bool, casts_fit: bool
) -> None:
    """Of 1,000 elements to bfloat16: a copy moves 4 bytes for each, a cast 6."""
    row = devices._try(FORMATS["bfloat16"], torch.ones(1000), cache, seconds=0.0)
    assert (row.copy_in_cache, row.cast_in_cache) == (copies_fit, casts_fit)


def test_a_call_is_repeated_until_it_takes_long_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    calls: list[float] = []

    def call() -> None:
        nonlocal now
        now += 0.001 if len(calls) % 2 else 0.003
        calls.append(now)

    monkeypatch.setattr(time, "perf_counter", lambda: now)
    rate = devices._measured(call, 1_000_000, torch.device("cpu"), seconds=0.02)
    # 1 call takes 3 ms, then 8 take 16; of 16 the 32 ms are enough, and are measured three times
    assert len(calls) == 1 + 8 + 16 + 3 * 16
    assert rate.low == pytest.approx(rate.high) == pytest.approx(0.5)  # 10^9 B/s: 1 MB in 1 ms


def test_a_call_that_takes_long_is_not_repeated() -> None:
    calls: list[float] = []

    def call() -> None:
        time.sleep(0.01)
        calls.append(time.perf_counter())

    devices._measured(call, 1, torch.device("cpu"), seconds=0.01)
    assert len(calls) == 4


@pytest.mark.parametrize(
    ("sizes", "found"),
    [
        ({"index0": "32K", "index2": "1024K", "index3": "32768K"}, 32 << 20),
        ({"index0": "32K", "index1": "1M"}, 1 << 20),
        ({"index0": "", "index1": "unknown"}, None),
        ({}, None),
    ],
)
def test_the_last_level_of_cache(tmp_path: Path, sizes: dict[str, str], found: int | None) -> None:
    for index, size in sizes.items():
        (tmp_path / index).mkdir()
        (tmp_path / index / "size").write_text(f"{size}\n")
    assert devices._cpu_cache(tmp_path) == found
    assert devices._cpu_cache(tmp_path / "gone") is None
